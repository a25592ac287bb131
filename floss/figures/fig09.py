"""Fig. 9: the gradient norm ‖∂L/∂h₀‖ grows before the accuracy does, with early episodes."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.finding import Findings
from floss.figures.panels import (
    CHANCE,
    FLOOR,
    accuracy_axis,
    at_delay,
    by_network,
    course,
    legend_below,
    norm_axis,
)
from floss.figures.style import house_style

_SMALL = 1e-3
_WINDOW = 500
"""Epochs before and after the alignment that are shown."""
_EVERY = 10
"""Logged epochs between the markers of a line."""
_CONVENTIONS = "networks that leave chance (their accuracy stays above 60 % from some epoch on)"


def draw(findings: Findings) -> Figure:
    """A: the norm, aligned to the last epoch at chance; B: the accuracy, aligned to the last epoch with a small norm.

    Shows the networks that leave chance (whose accuracy stays above 60 % from some epoch on) and have such an epoch,
    each in its colour and with its marker, and their median.
    """
    d, training = at_delay(findings["gradient"].training)
    departures = leaves_chance(training)
    learning = training[training["network"].map(departures).notna()]
    everyone = training["network"].nunique()
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.6))
        shown = _panel(left, learning, learning["accuracy"] <= CHANCE, "grad_norm_h0")
        left.set_title(f"A  gradient norm, d = {d} ({shown} of {everyone} networks)")
        left.set_xlabel("epochs since the last with accuracy ≤ 50 %")
        norm_axis(left)
        shown = _panel(right, learning, learning["grad_norm_h0"] < _SMALL, "accuracy")
        right.set_title(f"B  accuracy, d = {d} ({shown} of {everyone} networks)")
        right.set_xlabel("epochs since the last with ‖∂L/∂h₀‖ < 10⁻³")
        accuracy_axis(right)
        right.set_ylabel("test accuracy")
        legend_below(figure, (left, right), title=_CONVENTIONS, ncols=8)
        return figure


def _panel(axes: Axes, learning: pd.DataFrame, at: pd.Series, measure: str) -> int:
    """A measure around the last epoch at which something holds; returns how many networks have such an epoch."""
    last = learning[at].groupby("network")["epoch"].max()
    since = learning["epoch"] - learning["network"].map(last)
    rows = learning.assign(epoch=since)[since.abs() <= _WINDOW]
    floor = FLOOR if measure == "grad_norm_h0" else None
    for place, group in enumerate(by_network(learning)):
        own = course(rows[rows["network"] == group.rows["network"].iloc[0]], measure, floor)
        looks: dict[str, Any] = {"color": group.colour, "marker": group.marker, "markersize": 3.5, "linewidth": 0.8}
        axes.plot(own.index, own, alpha=0.8, markevery=(place % _EVERY, _EVERY), **looks)
        axes.plot([], [], label=group.label, **looks)
    table = course(rows, measure, floor)
    median = table[table.count(axis=1) >= len(last) / 2].median(axis=1)
    axes.plot(median.index, median, color="black", linewidth=2, label="median (of at least half of them)")
    if not len(last):
        axes.text(0.5, 0.7, "no such network", transform=axes.transAxes, ha="center")
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlim(-_WINDOW, _WINDOW)
    return len(last)
