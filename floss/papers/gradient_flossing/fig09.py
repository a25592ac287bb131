"""Fig. 9: the gradient norm ‖∂L/∂h₀‖ grows before the accuracy does, with early episodes.

The paper has A and B. In networks that solve the task the loss and so its gradient are small at the end, which is where
B then looks; C is aligned to the first lasting rise instead.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false, reportReturnType=false

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import LARGE, leaves_chance, rises
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
from floss.papers.finding import Findings

_WINDOW = 500
"""Epochs before and after the alignment that are shown."""
_EVERY = 10
"""Logged epochs between the markers of a line."""
_NAMED = 10
"""Networks up to which each is named."""
_CONVENTIONS = "networks that leave chance (their accuracy stays above 60 % from some epoch on)"


def draw(findings: Findings) -> Figure:
    """A: the norm, aligned to the last epoch at chance; B: the accuracy, aligned to the last epoch with a small norm.

    C: the accuracy, aligned to the first epoch from which the norm stays large for 100 epochs. Shows the networks that
    leave chance (whose accuracy stays above 60 % from some epoch on) and have such an epoch, each in its colour and
    with its marker, and their median.
    """
    d, training = at_delay(findings["gradient"].training)
    departures = leaves_chance(training)
    learning = training[training["network"].map(departures).notna()]
    everyone = training["network"].nunique()
    norms = learning.pivot_table(index="epoch", columns="network", values="grad_norm_h0", dropna=False)
    panels: list[tuple[str, str, pd.Series, str]] = [
        (
            "A  gradient norm",
            "grad_norm_h0",
            _last(learning, learning["accuracy"] <= CHANCE),
            "the last with accuracy ≤ 50 %",
        ),
        ("B  accuracy", "accuracy", _last(learning, learning["grad_norm_h0"] < LARGE), "the last with ‖∂L/∂h₀‖ < 10⁻³"),
        ("C  accuracy", "accuracy", rises(norms).dropna(), "the first of 100 with ‖∂L/∂h₀‖ ≥ 10⁻³"),
    ]
    with house_style():
        figure, several = plt.subplots(1, 3, figsize=(9.6, 4.0))
        for axes, (title, measure, origin, what) in zip(several, panels, strict=True):
            _panel(axes, learning, origin, measure)
            axes.set_title(f"{title}, d = {d} ({len(origin)} of {everyone})")
            axes.set_xlabel(f"epochs since\n{what}")
            if measure == "accuracy":
                accuracy_axis(axes)
                axes.set_ylabel("test accuracy")
            else:
                norm_axis(axes)
        legend_below(figure, tuple(several), title=_CONVENTIONS, ncols=6)
        return figure


def _last(learning: pd.DataFrame, at: pd.Series) -> pd.Series:
    """The last epoch at which something holds, of the networks that have one."""
    return learning[at].groupby("network")["epoch"].max()


def _panel(axes: Axes, learning: pd.DataFrame, origin: pd.Series, measure: str) -> None:
    """A measure around an epoch of each network."""
    since = learning["epoch"] - learning["network"].map(origin)
    rows = learning.assign(epoch=since)[since.abs() <= _WINDOW]
    floor = FLOOR if measure == "grad_norm_h0" else None
    groups = by_network(learning)
    for place, group in enumerate(groups):
        own = course(rows[rows["network"] == group.rows["network"].iloc[0]], measure, floor)
        looks: dict[str, Any] = {"color": group.colour, "marker": group.marker, "markersize": 3.5, "linewidth": 0.8}
        axes.plot(own.index, own, alpha=0.8, markevery=(place % _EVERY, _EVERY), **looks)
        if len(groups) <= _NAMED:
            axes.plot([], [], label=group.label, **looks)
    table = course(rows, measure, floor)
    median = table[table.count(axis=1) >= len(origin) / 2].median(axis=1)
    axes.plot(median.index, median, color="black", linewidth=2, label="median (of at least half of them)")
    if not len(origin):
        axes.text(0.5, 0.7, "no such network", transform=axes.transAxes, ha="center")
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlim(-_WINDOW, _WINDOW)
