"""Fig. 16: Lyapunov exponents from several initial states of one network: running estimates, and their differences.

The paper claims: the exponents converge.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.analysed import with_variant
from floss.figures.spread import curves, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings


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


def _converge(findings: Findings) -> Sample:
    table = findings["convergence"].tables["convergence"]
    steps = sorted(table["step"].unique())
    first, last = min(s for s in steps if s >= steps[-1] / 10), steps[-1]
    courses = table.pivot(index="state", columns=["step", "i"], values="lambda")
    ends = np.stack([courses[step] for step in (first, last)], axis=1)

    def statistic(rows: np.ndarray) -> float:
        early, late = rows.std(axis=0)
        return (late / early).max()

    return Sample(ends, statistic, 1)


CLAIMS = [
    Claim(
        name="fig16.converges",
        figure="fig16",
        place="App. J, Fig. 16",
        sentence="The estimates from different initial states of one network converge to the same exponents.",
        statistic="standard deviation over ten initial states after 100 steps, relative to that after 10; largest of"
        " i = 1, 20, 60, 80",
        criterion=Criterion(below=0.5),
        sample=_converge,
    ),
]
