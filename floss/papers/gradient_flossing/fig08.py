"""Fig. 8: how far the last step's gradient reaches, ‖∂L/∂h₀‖, and accuracy, without and with early episodes."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.panels import (
    NORM,
    accuracy_axis,
    at_delay,
    by_network,
    by_schedule,
    count,
    course,
    episodes,
    epoch_axis,
    legend_below,
    mark_schedules,
    norm_axis,
    norms,
    pad,
    thin,
)
from floss.figures.style import house_style
from floss.papers.finding import Findings

_CONVENTIONS = (
    "A, B: the first seed thick, the others thin; C, D: every flossed network by itself, "
    "a marker where it leaves chance for good"
)


def draw(findings: Findings) -> Figure:
    """The norm against the epoch (A: logarithmic, C: linear), and accuracy (B, D), every network.

    A and B have the first seed thick and colours by schedule; C and D have colours by flossed network, unflossed ones
    black, and a marker at the epoch from which on the accuracy stays above 60 %.
    """
    d, training = at_delay(findings["gradient"].training)
    n = count(findings["gradient"].summary, ["d", "flossing"], "final_accuracy")
    with house_style():
        figure, ((a, b), (c, e)) = plt.subplots(2, 2, figsize=(8.4, 7))
        for group in by_schedule(training, n):
            for axes, table in ((a, norms(group.rows)), (b, course(group.rows, "accuracy"))):
                thin(axes, table, group.colour, alpha=0.6)
                first = table.iloc[:, :1]
                axes.plot(first.index, first, color=group.colour, linewidth=1.5, zorder=3)
                axes.plot([], [], color=group.colour, linewidth=1.5, label=group.label)
        _networks(c, training, "grad_norm_h0")
        _networks(e, training, "accuracy")
        titles = ("A  gradient norm", "B  accuracy", "C  gradient norm, linear", "D  accuracy")
        for axes, title in zip((a, b, c, e), titles, strict=True):
            rows = mark_schedules(axes, training)
            axes.set_title(f"{title}, d = {d}", pad=pad(rows))
            epoch_axis(axes, training, early=True)
        norm_axis(a)
        _cut(c, training)
        for axes in (b, e):
            accuracy_axis(axes)
            axes.set_ylabel("test accuracy")
        legend_below(figure, (a, e), title=_CONVENTIONS, ncols=6)
        return figure


def _cut(axes: Axes, training: pd.DataFrame) -> None:
    """Cut off the peaks of the epochs right after an episode, beside which nothing else would be seen."""
    axes.set_ylabel(NORM)
    epochs = int(training["epoch"].max()) + 1
    starts = training["flossing"].map({name: episodes(name, epochs) for name in set(training["flossing"])})
    peak = [epoch in start for epoch, start in zip(training["epoch"], starts, strict=True)]
    highest, rest = (training.loc[where, "grad_norm_h0"].max() for where in (peak, [not each for each in peak]))
    if 0 < rest < highest:
        axes.set_ylim(-0.03 * rest, 1.1 * rest)
        axes.set_ylabel(f"{NORM}\n(cut: peaks reach {highest:.2g})")


def _networks(axes: Axes, training: pd.DataFrame, measure: str) -> None:
    """Unflossed networks black; of each flossed one the course, and a marker at the epoch when it leaves chance."""
    unflossed = training["flossing"] == "none"
    thin(axes, course(training[unflossed], measure), "black", alpha=0.5)
    axes.plot([], [], color="black", linewidth=0.5, label="without flossing (C, D)")
    departures = leaves_chance(training)
    for group in by_network(training[~unflossed]):
        table = course(group.rows, measure)
        axes.plot(table.index, table, color=group.colour, linewidth=0.8, rasterized=True)
        left = group.rows[group.rows["epoch"] == departures[group.rows["network"].iloc[0]]]
        looks = {"color": group.colour, "marker": group.marker, "markeredgecolor": "black", "markersize": 6}
        axes.plot(left["epoch"], left[measure], linestyle="", zorder=4, **looks)
        axes.plot([], [], linewidth=0.8, label=group.label, **looks)
