"""Appendix D: along training, how far the last step's gradient lies along the first covariant Lyapunov vector."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from floss.figures.departure import leaves_chance
from floss.figures.panels import accuracy_axis, epoch_axis, legend_below
from floss.figures.spread import curves, singles
from floss.figures.style import house_style, look
from floss.papers.finding import Findings

RUNS = {"flossed": "early", "unflossed": "none"}
"""The runs of conf/experiment/overlap.yaml, and the schedules whose looks they have."""
AROUND = 600
"""Epochs on either side of leaving chance in C."""
RANDOM = math.sqrt(2 / (math.pi * 80))
"""Mean overlap of two random directions, about: these networks have N = 80 units."""
_TICKS = (0, 250, 500, 2000, 10000)
_MEASURES = ("clv_overlap", "accuracy")


def draw(findings: Findings) -> Figure:
    """Overlap (above) and accuracy (below) against the epoch (A, B), and against that since leaving chance (C)."""
    with house_style():
        figure, axes = plt.subplots(2, 3, figsize=(8, 5), sharex="col", sharey="row")
        for column, run in enumerate(RUNS):
            training = findings[run].training
            left = leaves_chance(training)
            d = training["d"].iloc[0]
            label = f"{run}, d = {d} (n = {len(left)}, of which {left.notna().sum()} leave chance)"
            colour, marker, dashes = look(RUNS[run], list(RUNS.values()))
            for measure, panel, aligned in zip(_MEASURES, axes[:, column], axes[:, 2], strict=True):
                singles(panel, curves(training, "epoch", measure), colour, dashes, label)
                _mark(panel, training, measure, left, marker)
                singles(aligned, since_departure(training, measure, left), colour, dashes)
            axes[0, column].set_title(f"{'AB'[column]}  {run}, d = {d}")
            _epoch_axis(axes[1, column], training)
        axes[0, 2].set_title("C  both, aligned")
        axes[1, 2].set_xlabel("epochs since leaving chance")
        for panel in axes[:, 2]:
            panel.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        for panel in axes[1]:
            accuracy_axis(panel)
        for panel in axes[0]:
            panel.axhline(RANDOM, color="0.4", linestyle=":", linewidth=1.2, zorder=0)
        axes[0, 0].set_ylim(0, min(1.02, max(0.3, axes[0, 0].get_ylim()[1])))
        axes[0, 0].set_ylabel("|cos| of gradient and\ncovariant vector")
        axes[1, 0].set_ylabel("test accuracy")
        title = (
            "median thick, networks thin; black symbols: a network leaves chance, for good above 60 %\n"
            f"grey dotted line: two random directions, {RANDOM:.2f}"
        )
        legend_below(figure, axes[0], title=title, ncols=2)
        return figure


def since_departure(training: pd.DataFrame, measure: str, left: pd.Series, around: int = AROUND) -> pd.DataFrame:
    """A measure by the epochs since each network left chance, one column for each that did.

    From so many epochs before to so many after; only where half of those networks or more have a value.
    """
    since = training.assign(epoch=training["epoch"] - training["network"].map(left))
    table = curves(since[since["epoch"].abs() <= around], "epoch", measure)
    return table.loc[table.notna().sum(axis=1) >= table.shape[1] / 2, :]


def _epoch_axis(axes: Axes, training: pd.DataFrame) -> None:
    """As elsewhere, with labels that fit a narrow panel."""
    epoch_axis(axes, training, early=True)
    if axes.get_xscale() != "linear":
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if tick <= axes.get_xlim()[1]]))
        axes.set_xlabel("training epoch\n(logarithmic from 500)")


def _mark(axes: Axes, training: pd.DataFrame, measure: str, left: pd.Series, marker: str) -> None:
    """A symbol on each network's curve where it leaves chance."""
    rows = training[training["epoch"] == training["network"].map(left)]
    axes.plot(rows["epoch"], rows[measure], marker, color="black", markersize=4, fillstyle="none")
