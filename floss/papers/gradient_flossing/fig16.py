"""Fig. 16: Lyapunov exponents from several initial states of one network: running estimates, and their differences.

The paper claims: the exponents converge.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.analysed import with_variant
from floss.figures.spread import curves, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A: running estimates of λ_i against time, one line for each initial state; B: largest minus smallest of them."""
    table = with_variant(findings["convergence"].tables["convergence"])
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.6))
        for place, i in enumerate(sorted(table["i"].unique())):
            colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
            course = curves(table[table["i"] == i], "step", "lambda")
            singles(left, course, colour, dashes, f"i = {i}")
            difference = course.max(axis=1) - course.min(axis=1)
            right.plot(difference.index, difference.where(difference > 0), color=colour, linestyle=dashes)
            if (difference > 0).any():
                right.set_xscale("log")
                right.set_yscale("log")
        left.set_title(f"A  One network, {table['state'].nunique()} initial states")
        left.set_ylabel(r"running estimate of $\lambda_i$ (nats per step)")
        right.set_title("B  How far the states' estimates differ")
        right.set_ylabel(r"largest − smallest $\lambda_i$ (nats per step)")
        for axes in (left, right):
            axes.set_xlabel("time (steps)")
        handles, labels = left.get_legend_handles_labels()
        title = "left: median of the states thick, single ones thin"
        figure.legend(handles, labels, loc="outside lower center", ncols=4, title=title, title_fontsize=8)
        return figure


# --- claims ---


def _spread(findings: Findings, run: str, unit: str) -> Sample:
    """How the spread of estimates over `unit` (states, or networks as the control) changes from a tenth of the time on.

    λ₁ < 0: the states synchronise, and from then on every estimate adds the same terms, so that the spread falls as
    1/t. It says that the exponents are those of the network, and not that the estimates have settled.
    """
    table = findings[run].tables["convergence"]
    steps = sorted(table["step"].unique())
    first, last = min(s for s in steps if s >= steps[-1] / 10), steps[-1]
    courses = table.pivot(index=unit, columns=["step", "i"], values="lambda")
    ends = np.stack([courses[step] for step in (first, last)], axis=1)

    def statistic(rows: np.ndarray) -> float:
        early, late = rows.std(axis=0)
        return (late / early).max()

    return Sample(ends, statistic, table["seed"].nunique())


def _settle(findings: Findings, *, until: float = 1.0) -> Sample:
    """Largest change of a network's estimates over the second half of a part of the time, relative to their size."""
    table = findings["networks"].tables["convergence"]
    steps = table["step"].max() * until
    courses = table.pivot(index="seed", columns=["step", "i"], values="lambda")
    times = np.array(sorted(table["step"].unique()))
    half, end = (courses[times[times >= part * steps][0]].to_numpy() for part in (0.5, 1.0))
    return middle(np.abs(end / half - 1).max(axis=1))


CLAIMS = [
    Claim(
        name="fig16.converges",
        figure="fig16",
        place="App. K, Fig. 16",
        sentence="The estimates from different initial states of one network converge to the same exponents.",
        statistic="standard deviation over ten initial states after 100 steps, relative to that after 10; largest of"
        " i = 1, 20, 60, 80",
        criterion=Criterion(below=0.5),
        sample=partial(_spread, run="convergence", unit="state"),
        control=partial(_spread, run="networks", unit="seed"),
        control_says="ten different networks instead of ten states of one",
    ),
    Claim(
        name="fig16.settles",
        figure="fig16",
        place="App. K, Fig. 16",
        sentence="The estimates of the exponents have converged after 100 steps.",
        statistic="|λ_i(100) / λ_i(50) - 1|, λ_i(t) the estimate after t steps: the largest of i = 1, 20, 60, 80,"
        " median over ten networks",
        criterion=Criterion(below=0.05),
        sample=_settle,
        control=partial(_settle, until=0.1),
        control_says="the same of λ_i(10) and λ_i(5)",
        after_data="Those of one network (another one), whose λ₈₀ changes by 13 %.",
    ),
]
