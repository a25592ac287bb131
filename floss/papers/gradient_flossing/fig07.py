"""Fig. 7: how many exponents must be flossed in five early episodes, and before training only, for how long a delay.

The paper claims: as Fig. 5, and flossing before training alone is never enough.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from floss.figures.panels import CHANCE, sweep_panel
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.fig05 import by_k, claims, ends
from floss.papers.gradient_flossing.final import ACCURACY
from floss.papers.samples import mean_of


def draw(findings: Findings) -> Figure:
    """Final accuracy with early episodes against the delay (A), k (B) and both (C, median); flossed before only (D)."""
    early, pre = findings["early"].summary, findings["pre"].summary
    with house_style():
        figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.4, 8))
        sweep_panel(a, early, "d", 'A  flossing "early", against the delay')
        sweep_panel(b, early, "k", "B  the same networks, against k")
        cells = _plane(c, early)
        below = c.inset_axes((0, -0.28, 1, 0.05))
        figure.colorbar(cells, cax=below, orientation="horizontal", label="median final test accuracy (%)")
        sweep_panel(d, pre, "k", 'D  flossing "pre" (before training only)')
        return figure


def _plane(axes: Axes, summary: pd.DataFrame) -> ScalarMappable:
    """The median of each cell by colour and as a number, in percent; cells without networks are grey."""
    table = summary.pivot_table(index="k", columns="d", values="final_accuracy", aggfunc="median").mul(100)
    table = table.reindex(index=sorted(summary["k"].unique()), columns=sorted(summary["d"].unique()))
    values = table.to_numpy()
    axes.set_facecolor("0.85")
    cells = axes.imshow(values, origin="lower", aspect="auto", cmap="cividis", vmin=100 * CHANCE, vmax=100)
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        text, colour = ("-", "black") if np.isnan(value) else (f"{value:.0f}", "white" if value < 75 else "black")
        axes.text(column, row, text, color=colour, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), table.index)
    axes.set_xlabel("delay d (steps)")
    axes.set_ylabel("number k of flossed exponents")
    axes.set_title("C  the same networks: median (%)")
    return cells


# --- claims ---


def _all_before(findings: Findings) -> Sample:
    _, last = ends(by_k(findings, "pre"))
    return mean_of(last.iloc[:, -1:])


CLAIMS = [
    *claims("fig07", "early", "App. B.2, Fig. 7A-C", "five early episodes"),
    Claim(
        name="fig07.pre_never_solves",
        figure="fig07",
        place="Sec. 7.1, App. B.2, Fig. 7D",
        sentence="Flossed before training only, networks never solve the hardest task, even with k = N.",
        statistic=f"mean {ACCURACY}, temporal XOR, longest delay, pre, most flossed exponents (k = 80)",
        criterion=Criterion(below=0.9),
        sample=_all_before,
    ),
]
