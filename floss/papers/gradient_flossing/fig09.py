"""Fig. 9: the gradient norm ‖∂L/∂h₀‖ grows before the accuracy does, with early episodes.

The paper has A and B. In networks that solve the task the loss and so its gradient are small at the end, which is where
B then looks; C is aligned to the first lasting rise instead.

The paper claims: the gradient grows before the accuracy.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOptionalOperand=false, reportReturnType=false

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
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.fig08 import gradient_norms
from floss.papers.samples import middle

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
        for axes, (title, measure, origin, alignment) in zip(several, panels, strict=True):
            _panel(axes, learning, origin, measure)
            axes.set_title(f"{title}, d = {d} ({len(origin)} of {everyone})")
            axes.set_xlabel(f"epochs since\n{alignment}")
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
        table = course(rows[rows["network"] == group.rows["network"].iloc[0]], measure, floor)
        looks: dict[str, Any] = {"color": group.colour, "marker": group.marker, "markersize": 3.5, "linewidth": 0.8}
        axes.plot(table.index, table, alpha=0.8, markevery=(place % _EVERY, _EVERY), **looks)
        if len(groups) <= _NAMED:
            axes.plot([], [], label=group.label, **looks)
    table = course(rows, measure, floor)
    median = table[table.count(axis=1) >= len(origin) / 2].median(axis=1)
    axes.plot(median.index, median, color="black", linewidth=2, label="median (of at least half of them)")
    if not len(origin):
        axes.text(0.5, 0.7, "no such network", transform=axes.transAxes, ha="center")
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlim(-_WINDOW, _WINDOW)


# --- claims ---


def last_small(findings: Findings) -> pd.Series:
    """The last epoch with a gradient norm below the threshold, of each network; -1 where there is none."""
    table = gradient_norms(findings, "early")
    return pd.Series({key: table.index[table[key] < LARGE].max() for key in table}).fillna(-1)


def _lead(findings: Findings) -> Sample:
    departure = leaves_chance(findings["gradient"].training)
    return middle((departure - last_small(findings)).dropna())


def _lasting_lead(findings: Findings) -> Sample:
    departure = leaves_chance(findings["gradient"].training)
    return middle((departure - rises(gradient_norms(findings, "early"))).dropna())


def _grows(findings: Findings) -> Sample:
    """The norm shortly before the last epoch at chance, relative to 1000 to 500 epochs before it."""
    rows, table = findings["gradient"].training, gradient_norms(findings, "early")
    learned = leaves_chance(rows).dropna().index
    at_chance = rows[rows["accuracy"] <= CHANCE].groupby("network")["epoch"].max()
    ratios = []
    for key in learned:
        last = at_chance.get(key, -1)
        near = table.loc[(table.index > last - 100) & (table.index <= last), key].median()
        far = table.loc[(table.index > last - 1000) & (table.index <= last - 500), key].median()
        ratios.append(near / far)
    return middle(ratios)


CLAIMS = [
    Claim(
        name="fig09.gradient_precedes_accuracy",
        figure="fig09",
        place="App. D, Fig. 9B",
        sentence="The gradient norm rises before the accuracy leaves chance.",
        statistic=f"epochs from the last ‖dL/dh0‖ < {LARGE:g} (-1: never) to the first from which accuracy stays"
        " above 60 %, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=_lead,
        tried="This is the last small norm of the whole training, which in networks that solve the task comes"
        " at the end: there the loss, and every gradient of it, is small. The next claim, added for that reason after"
        " these data were seen, takes the first lasting rise.",
    ),
    Claim(
        name="fig09.lasting_rise_precedes_accuracy",
        figure="fig09",
        place="App. D, Fig. 9B",
        sentence="The gradient norm rises before the accuracy leaves chance.",
        statistic=f"epochs from the first of at least 100 with ‖dL/dh0‖ ≥ {LARGE:g} to the first from which accuracy"
        " stays above 60 %, median over networks that have both",
        criterion=Criterion(above=0.0),
        sample=_lasting_lead,
    ),
    Claim(
        name="fig09.gradient_grows_at_chance",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="The gradient norm grows over epochs while the accuracy is still at chance.",
        statistic="median ‖dL/dh0‖ in the last 100 epochs up to the last accuracy ≤ 50 %, relative to 500-1000 epochs"
        " before it; median over networks whose accuracy stays above 60 % from some epoch on",
        criterion=Criterion(above=1.5),
        sample=_grows,
    ),
]
