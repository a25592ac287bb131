"""What the claims about condition numbers measure: log₁₀ κ₂ against time, dimensions and its prediction (Fig. 2)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportReturnType=false

import numpy as np
import pandas as pd

from floss.papers.claim import Sample
from floss.papers.finding import Findings
from floss.papers.samples import correlation, middle, sample

K = 15
"""Number of flossed exponents in A and B, and of tangent dimensions in A, where the experiment has it."""
LIMIT = 5
"""log₁₀ κ₂ at which the paper compares numbers of dimensions, and of the guide to the eye in B."""


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


def linearity(findings: Findings) -> Sample:
    """The squared correlation of log κ₂ with time."""
    course = _course(findings)
    times = course.columns.to_numpy(dtype=float)
    fits = [correlation(times, row) ** 2 for row in course.to_numpy()]
    return _by_seed(pd.Series(fits, course.index))


def _pairs(findings: Findings, when: str, theory_of: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Computed and predicted log₁₀ κ₂, before or after flossing; seeds in rows, time in columns.

    Args:
        findings: runs of the figure.
        when: before or after.
        theory_of: whose prediction instead, as a control: `other` networks, or the `other time`, before for after.
    """
    computed, predicted = _course(findings), _course(findings, "theory")
    then = {"before": "after", "after": "before"}[when] if theory_of == "other time" else when
    own, theirs = (
        table[table.index.get_level_values("flossing") == of].droplevel("flossing").sort_index()
        for table, of in ((computed, when), (predicted, then))
    )
    if theory_of == "other":
        theirs = theirs.set_axis(np.roll(theirs.index, 1)).sort_index()
    seeds = own.index.intersection(theirs.index)
    return own.loc[seeds], theirs.loc[seeds]


def slope(findings: Findings, when: str, theory_of: str = "") -> Sample:
    """The slope of a straight line through log κ₂ over its prediction, by least squares."""
    own, theirs = _pairs(findings, when, theory_of)
    y, x = (table.sub(table.mean(axis=1), axis=0) for table in (own, theirs))
    return middle((x * y).sum(axis=1) / (x * x).sum(axis=1))


def error_falls(findings: Findings, theory_of: str = "") -> Sample:
    """|log κ₂ - theory| / log κ₂ at the last time relative to that at a tenth of it; both of a seed go together."""
    ratios = {}
    for when in ("before", "after"):
        own, theirs = _pairs(findings, when, theory_of)
        error = (own - theirs).abs() / own
        last = max(own.columns, default=np.nan)
        tenth = min(own.columns, key=lambda t: abs(t - last / 10), default=np.nan)
        ratios[when] = error[last] / error[tenth] if len(own.columns) else pd.Series(dtype=float)
    return sample(pd.DataFrame(ratios).dropna(), np.median)


def finite_size(findings: Findings, when: str, theory_of: str = "") -> Sample:
    """Correlation over networks of computed and predicted log κ₂ at the last time."""
    own, theirs = _pairs(findings, when, theory_of)
    last = own.columns.max()
    rows = np.stack([theirs[last], own[last]], axis=1) if len(own.columns) else np.empty((0, 2))
    return Sample(rows, lambda rows: correlation(rows[:, 0], rows[:, 1]), len(rows))


def lowering_on(findings: Findings, run: str, k: int, m: int, other: bool = False) -> Sample:
    """By how many orders flossing k exponents lowers κ₂ on m dimensions at the last time."""
    table = findings[run].tables["condition"]
    table = table[(table["method"] == "exact") & (table["m"] == m) & (table["horizon"] == table["horizon"].max())]
    before, after = (
        table[own].set_index("seed")["log10_condition"].sort_index()
        for own in (table["flossing"] == "before", (table["flossing"] == "after") & (table["k"] == k))
    )
    if other:
        after = before.set_axis(np.roll(before.index, 1))
    return middle((before - after).dropna(), each=2)


def _drop(findings: Findings) -> pd.DataFrame:
    """By how many orders of magnitude flossing lowers κ₂: seeds in rows, time in columns."""
    course = _course(findings)
    before, after = (course[course.index.get_level_values("flossing") == when] for when in ("before", "after"))
    return before.droplevel("flossing") - after.droplevel("flossing")


def lowering(findings: Findings) -> Sample:
    """By how many orders flossing lowers κ₂ at the last time."""
    drop = _drop(findings)
    return middle(drop[drop.columns.max()], each=2)


def growth_of_lowering(findings: Findings) -> Sample:
    """The lowering per step over all of the time, relative to that over the first half."""
    drop = _drop(findings)
    last = drop.columns.max()
    half = min(drop.columns, key=lambda t: abs(t - last / 2))
    rows = drop[[half, last]].dropna().to_numpy()
    return Sample(rows, lambda rows: np.median(rows[:, 1]) / np.median(rows[:, 0]) * half / last, 2 * len(rows))


def available(findings: Findings) -> Sample:
    """How many more dimensions have a κ₂ within the limit after flossing than before."""
    table = _conditions(findings)
    most = table.groupby("horizon")["m"].nunique().idxmax()  # the time of the panel against m
    table = table[table["horizon"] == most]
    within = table["m"].where(table["log10_condition"] <= LIMIT, 0)
    available = within.groupby([table["seed"], table["flossing"]]).max().unstack("flossing")
    available = available.reindex(columns=["before", "after"])
    return middle(available["after"] - available["before"], each=2)
