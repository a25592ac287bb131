"""Fig. 16: Lyapunov exponents from several initial states of one network: running estimates, and their differences."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.analysed import with_variant
from floss.figures.spread import curves, singles
from floss.figures.style import COLOURS, DASHES, house_style
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
