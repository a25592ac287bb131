"""Orthonormalisation of tangent vectors: its share of the cost (App. F), its interval, and the basis it finds (App. J).

The paper claims: the QR decomposition is the bottleneck of gradient flossing, and its cost falls with the interval
t_ONS, which may be as long as the tangent vectors remain well-conditioned by R₁₁ / R_mm; Q turns to one basis.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import correlation, middle

RESOLVED = (4.0, 14.0)
"""log10 of condition numbers that are large, and that singular values in float64 can tell."""
SAFE, LOST = 12.0, 15.0
"""log10 R₁₁ / R_NN up to which digits are left in float64, and from which there are none."""


def draw(findings: Findings) -> Figure:
    """A: time of a flossing epoch; B: κ₂ and its estimate; C: error of the exponents; D: angle of two Q."""
    with house_style():
        figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.2, 6.4))
        for place, run in enumerate(("many", "few")):
            _times(a, findings[run].tables["cost"], place)
        a.set_xlabel("QR decompositions in a flossing epoch")
        a.set_ylabel("time of an epoch (ms per network)")
        a.set_title("A  A flossing epoch takes a + b × decompositions")
        a.set_ylim(bottom=0)
        a.set_xlim(left=0)
        intervals, basis = (findings["interval"].tables[name] for name in ("intervals", "basis"))
        b.plot(intervals["log10_exact"], intervals["log10_estimate"], "o", color=COLOURS[0], markersize=3)
        ends = [0, max(intervals["log10_exact"].max(), intervals["log10_estimate"].max())]
        b.plot(ends, ends, color="black", linestyle="--", linewidth=1, label="equal")
        b.axvspan(LOST, max(ends[1], LOST), color="0.92", zorder=0, label="not resolved in float64")
        b.set_xlabel("log₁₀ of the largest over the smallest singular value")
        b.set_ylabel("log₁₀ of R₁₁ / R_NN (Eq. 28)")
        b.set_title("B  Condition number of an interval")
        others = intervals[intervals["t_ons"] > 1]
        c.plot(others["log10_estimate"], others["error"].clip(lower=1e-16), "o", color=COLOURS[0], markersize=3)
        c.axvline(SAFE, color="0.6", linestyle=":", label=f"10^{SAFE:.0f}")
        c.set_yscale("log")
        c.set_xlabel("log₁₀ of R₁₁ / R_NN")
        c.set_ylabel("largest error of an exponent\n(nats per step)")
        c.set_title("C  Exponents beside those of t_ONS = 1")
        for place, (i, rows) in enumerate(basis.groupby("i")):
            course = rows.pivot(index="step", columns="seed", values="angle").median(axis=1)
            d.plot(course.index, course, color=COLOURS[place], linestyle=DASHES[place], label=f"column {i}")
        d.set_yscale("log")
        d.set_xlabel("time (steps)")
        d.set_ylabel("angle (radians)")
        d.set_title("D  Two Q that began differently")
        for axes in (a, b, c, d):
            axes.legend()
        return figure


def _times(axes: Axes, table: pd.DataFrame, place: int) -> None:
    rows, decompositions = by_round(table)
    low, centre, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
    part = share(rows, decompositions)
    label = f"k = {table['k'].iloc[0]} ({table['engine'].iloc[0]}): {part:.0%} of it at t_ONS = 1"
    errors = np.stack([centre - low, high - centre])
    axes.errorbar(
        decompositions, centre, errors, color=COLOURS[place], marker=MARKERS[place], linestyle="", label=label
    )
    slope, rest = line(rows, decompositions)
    x = np.array([0, decompositions.max()])
    axes.plot(x, rest + slope * x, color=COLOURS[place], linestyle=DASHES[place], linewidth=1)


# --- claims ---


def by_round(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Times [rounds, intervals] in ms, and the number of decompositions of each interval [intervals]."""
    times = table.pivot(index="round", columns="decompositions", values="ms")
    return times.to_numpy(), times.columns.to_numpy(dtype=float)


def line(rows: np.ndarray, decompositions: np.ndarray) -> tuple[float, float]:
    """Least squares of the median time: b per decomposition, and a of everything else."""
    y, x = np.median(rows, axis=0), decompositions
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return slope, y.mean() - slope * x.mean()


def share(rows: np.ndarray, decompositions: np.ndarray) -> float:
    """Share of the decompositions in an epoch that has one after every step, the most of them."""
    slope, rest = line(rows, decompositions)
    most = slope * decompositions.max()
    return most / (most + rest)


def _share(findings: Findings, run: str) -> Sample:
    rows, decompositions = by_round(findings[run].tables["cost"])
    return Sample(rows, partial(share, decompositions=decompositions), 0)


def _linear(findings: Findings) -> Sample:
    rows, decompositions = by_round(findings["many"].tables["cost"])
    return Sample(rows, lambda rows: correlation(decompositions, np.median(rows, axis=0)) ** 2, 0)


def _estimate(findings: Findings) -> Sample:
    table = findings["interval"].tables["intervals"]
    table = table[table["log10_exact"].between(*RESOLVED)]
    off = (table["log10_estimate"] / table["log10_exact"] - 1).abs()
    return middle(off.groupby(table["seed"]).mean())


def _error(findings: Findings, *, lost: bool = False) -> Sample:
    """log10 of the error of the longest interval that is safe, of each network; or of the shortest that is not."""
    table = findings["interval"].tables["intervals"].sort_values("t_ons")
    table = table[(table["t_ons"] > 1) & (table["error"] > 0)]
    if lost:
        chosen = table[table["log10_estimate"] > LOST].groupby("seed")["error"].first()
    else:
        chosen = table[table["log10_estimate"] < SAFE].groupby("seed")["error"].last()
    return middle(np.log10(chosen))


def _angle(findings: Findings, *, early: bool = False) -> Sample:
    table = findings["interval"].tables["basis"]
    steps = sorted(table["step"].unique())
    at = table[table["step"] == (min(s for s in steps if s >= min(10, steps[-1])) if early else steps[-1])]
    return middle(at.groupby("seed")["angle"].max())


CLAIMS = [
    Claim(
        name="qr.bottleneck",
        figure="qr",
        place="Sec. 4",
        sentence="The QR decomposition is the bottleneck of gradient flossing.",
        statistic="share of the decompositions, forward and backward, in the time of a flossing epoch with t_ONS = 1,"
        " N = 80, k = 75, T_f = 55: b n / (a + b n) of a fit a + b n to the times with n = 55, 28, 19, 11 of them",
        criterion=Criterion(above=0.5),
        sample=partial(_share, run="many"),
        control=partial(_share, run="few"),
        control_says="k = 8, where N k² is less than N² k",
    ),
    Claim(
        name="qr.interval_in_cost",
        figure="qr",
        place="App. F, Table 1",
        sentence="The cost of a flossing epoch has a part that falls as 1 / t_ONS.",
        statistic="squared correlation of the time of a flossing epoch with the number of decompositions, t_ONS = 1, 2,"
        " 3, 5, N = 80, k = 75",
        criterion=Criterion(above=0.95),
        sample=_linear,
    ),
    Claim(
        name="qr.condition_by_diagonal",
        figure="qr",
        place="App. J, Eq. 28",
        sentence="The condition number of the tangent vectors before a decomposition is R₁₁ / R_mm.",
        statistic="|log₁₀ of R₁₁ / R_NN over log₁₀ of σ₁ / σ_N - 1|, mean over the intervals t_ONS with σ₁ / σ_N from"
        " 10⁴ to 10¹⁴, median over networks",
        criterion=Criterion(below=0.1),
        sample=_estimate,
        after_data="Those of two networks of 16 units.",
    ),
    Claim(
        name="qr.often_enough",
        figure="qr",
        place="App. J",
        sentence="Tangent vectors need not be orthonormalised at every step, only so often that they remain"
        " well-conditioned.",
        statistic="log₁₀ of the largest |λ_i - λ_i(t_ONS = 1)| in nats per step, with the longest t_ONS whose"
        " R₁₁ / R_NN is below 10¹², median over networks",
        criterion=Criterion(below=-3.0),
        sample=_error,
        control=partial(_error, lost=True),
        control_says="the shortest t_ONS whose R₁₁ / R_NN is above 10¹⁵",
        after_data="Those of two networks of 16 units.",
    ),
    Claim(
        name="qr.one_basis",
        figure="qr",
        place="App. J",
        sentence="Q converges to one basis, whatever it began with.",
        statistic="largest angle between column i of two Q along one trajectory, i = 1, 20, 60, 80, after 2000 steps,"
        " median over networks, in radians",
        criterion=Criterion(below=0.01),
        sample=_angle,
        control=partial(_angle, early=True),
        control_says="after 10 steps",
        after_data="Those of two networks of 16 units.",
    ),
]
