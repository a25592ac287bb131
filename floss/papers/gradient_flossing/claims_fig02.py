"""What the paper claims of Fig. 2: condition numbers grow as the exponents say, and flossing lowers them."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false, reportOperatorIssue=false

import numpy as np
import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle, sample

K = 15
"""Number of flossed exponents, as in the paper."""
LIMIT = 5.0
"""log₁₀ κ₂ that the paper compares numbers of dimensions at."""


def _conditions(findings: Findings, method: str = "exact") -> pd.DataFrame:
    """log₁₀ κ₂ by time, of the networks before flossing and after flossing of K exponents."""
    table = findings["condition"].tables["condition"]
    return table[(table["method"] == method) & ((table["k"] == K) | (table["flossing"] == "before"))]


def _course(findings: Findings, method: str = "exact") -> pd.DataFrame:
    """log₁₀ κ₂ for m = K by (before or after, seed) in rows, and time in columns."""
    table = _conditions(findings, method)
    return table[table["m"] == K].pivot(index=["flossing", "seed"], columns="horizon", values="log10_condition")


def _by_seed(values: pd.Series) -> Sample:
    """The median over networks before and after flossing; those of one seed go together."""
    return sample(values.unstack("flossing").dropna(), np.median)


def _linear(findings: Findings) -> Sample:
    course = _course(findings)
    fits = [np.corrcoef(course.columns, row)[0, 1] ** 2 for row in course.to_numpy()]
    return _by_seed(pd.Series(fits, course.index))


def _theory(findings: Findings) -> Sample:
    computed, predicted = (_course(findings, method) for method in ("exact", "theory"))
    late = [t for t in computed.columns if t >= computed.columns.max() / 5]
    off = (computed[late] - predicted[late]).abs() / computed[late]
    return _by_seed(off.median(axis=1))


def _drop(findings: Findings) -> pd.DataFrame:
    """By how many orders of magnitude flossing lowers κ₂: seeds in rows, time in columns."""
    course = _course(findings)
    before, after = (course[course.index.get_level_values("flossing") == when] for when in ("before", "after"))
    return before.droplevel("flossing") - after.droplevel("flossing")


def _lowered(findings: Findings) -> Sample:
    drop = _drop(findings)
    return middle(drop[drop.columns.max()], each=2)


def _exponential(findings: Findings) -> Sample:
    drop = _drop(findings)
    last = drop.columns.max()
    half = min(drop.columns, key=lambda t: abs(t - last / 2))
    rows = drop[[half, last]].dropna().to_numpy()
    return Sample(rows, lambda rows: np.median(rows[:, 1]) / np.median(rows[:, 0]) * half / last, 2 * len(rows))


def _dimensions(findings: Findings) -> Sample:
    table = _conditions(findings)
    most = table.groupby("horizon")["m"].nunique().idxmax()  # the time of the panel against m
    table = table[table["horizon"] == most]
    within = table["m"].where(table["log10_condition"] <= LIMIT, 0)
    available = within.groupby([table["seed"], table["flossing"]]).max().unstack("flossing")
    available = available.reindex(columns=["before", "after"])
    return middle(available["after"] - available["before"], each=2)


CLAIMS = [
    Claim(
        name="fig02.exponential_in_time",
        figure="fig02",
        place="Sec. 5, Fig. 2A",
        sentence="The condition number of the long-term Jacobian grows exponentially with the number of steps.",
        statistic=f"squared correlation of log κ₂ (m = {K}) with time, median over networks before and after flossing",
        criterion=Criterion(above=0.99),
        sample=_linear,
    ),
    Claim(
        name="fig02.theory_matches",
        figure="fig02",
        place="Sec. 5, Fig. 2A, C",
        sentence="The condition number predicted from the Lyapunov exponents (Eq. 10) matches the computed one.",
        statistic=f"|log κ₂ - theory| / log κ₂ (m = {K}): median over times from a fifth of the longest on, then over"
        " networks before and after flossing",
        criterion=Criterion(below=0.1),
        sample=_theory,
    ),
    Claim(
        name="fig02.lowered_by_orders",
        figure="fig02",
        place="Sec. 5, Fig. 2A",
        sentence="Flossing lowers the condition number by many orders of magnitude.",
        statistic=f"log₁₀ κ₂ (m = {K}) over 500 steps before flossing {K} exponents minus after, median over networks",
        criterion=Criterion(above=10.0),
        sample=_lowered,
    ),
    Claim(
        name="fig02.factor_grows_exponentially",
        figure="fig02",
        place="Sec. 5, Fig. 2A",
        sentence="The factor by which flossing lowers the condition number grows exponentially with time.",
        statistic=f"lowering of log₁₀ κ₂ (m = {K}) per step over all of the time, median over networks, relative to"
        " that over the first half",
        criterion=Criterion(above=0.8, below=1.25),
        sample=_exponential,
    ),
    Claim(
        name="fig02.more_dimensions",
        figure="fig02",
        place="Sec. 5, Fig. 2B",
        sentence="After flossing, more tangent dimensions are available at a condition number of 10⁵.",
        statistic=f"most computed dimensions m with κ₂ ≤ 10⁵ over 100 steps, after flossing {K} minus before, median"
        " over networks",
        criterion=Criterion(above=0.0),
        sample=_dimensions,
    ),
]
