"""Fig. 9: the gradient norm ‖∂L/∂h₀‖ grows before the accuracy does, with early episodes.

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

from floss.figures.departure import LARGE, leaves_chance
from floss.figures.panels import (
    CHANCE,
    DELAY,
    FLOOR,
    accuracy_axis,
    at_delay,
    by_network,
    course,
    legend_below,
    norm_axis,
)
from floss.figures.schedules import in_words
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.courses import FEWEST, SETTLED, course_of, departures, growth
from floss.papers.gradient_flossing.final import SOLVED, accuracies, at
from floss.papers.gradient_flossing.which_gradient import lead, norms_of
from floss.papers.samples import middle, number_of

_WINDOW = 500
"""Epochs before and after the alignment that are shown."""
_EVERY = 10
"""Logged epochs between the markers of a line."""
_NAMED = 10
"""Networks up to which each is named."""
_CONVENTIONS = f"{in_words('early')}; networks that leave chance (their accuracy stays above 60 % from some epoch on)"


def draw(findings: Findings) -> Figure:
    """A: the norm, aligned to the last epoch at chance; B: the accuracy, aligned to the last epoch with a small norm.

    Shows the networks that leave chance (whose accuracy stays above 60 % from some epoch on) and have such an epoch,
    each in its colour and with its marker, and their median.
    """
    d, training = at_delay(findings["gradient"].training)
    departures = leaves_chance(training)
    learning = training[number_of(training["network"], departures).notna()]
    everyone = training["network"].nunique()
    panels: list[tuple[str, str, pd.Series, str]] = [
        (
            "A  gradient norm",
            "grad_norm_h0",
            _last(learning, learning["accuracy"] <= CHANCE),
            "the last with accuracy ≤ 50 %",
        ),
        ("B  accuracy", "accuracy", _last(learning, learning["grad_norm_h0"] < LARGE), "the last with ‖∂L/∂h₀‖ < 10⁻³"),
    ]
    with house_style():
        figure, several = plt.subplots(1, 2, figsize=(8.0, 4.0))
        for axes, (title, measure, origin, alignment) in zip(several, panels, strict=True):
            _panel(axes, learning, origin, measure)
            axes.set_title(f"{title}, d = {d} ({len(origin)} of {everyone} networks)")
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
    since = learning["epoch"] - number_of(learning["network"], origin)
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


def _lead(findings: Findings) -> Sample:
    return lead(findings["gradient"])


def _grows(findings: Findings) -> Sample:
    """Growth of the norm up to the last epoch at chance, of the networks that leave it long after the episodes."""
    finding = findings["gradient"]
    accuracy = course_of(finding, "early", "accuracy")
    at_chance = {key: accuracy.index[accuracy[key] <= CHANCE].max() for key in departures(finding, "early").index}
    return middle(growth(norms_of(finding, "early"), pd.Series(at_chance, dtype=float).dropna()))


def _unflossed(findings: Findings) -> Sample:
    """The same of networks that are never flossed, in the 500 epochs from then on."""
    table = norms_of(findings["fig08/gradient"], "none")
    return middle(growth(table, pd.Series(SETTLED + 500, table.columns)))


def _solves(findings: Findings, figure: str, schedule: str) -> pd.Series:
    """Whether each seed's network solves d = 70; a network that diverged does not."""
    table = at(accuracies(findings[figure].summary), schedule, lambda d: d == DELAY)
    return table[DELAY].dropna() > SOLVED if table.size else pd.Series(dtype=bool)


def _all_solve(findings: Findings) -> Sample:
    return samples.count(_solves(findings, "gradient", "early"))


def _during(findings: Findings) -> Sample:
    return samples.count(_solves(findings, "fig04/temporal", "during"))


def _pairs(findings: Findings) -> Sample:
    """Of the seeds that one of two schedules solves and the other does not: whether it is the five episodes."""
    both = pd.DataFrame(
        {"early": _solves(findings, "gradient", "early"), "during": _solves(findings, "fig04/temporal", "during")}
    ).dropna()
    return samples.count(both.loc[both["early"] != both["during"], "early"], each=2)


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
        changed="before, L was the loss of the last step alone, which is small again at the end of training, and was"
        " not what the author's published example takes; another claim stood in for this one",
        after_data="a rerun of ten other networks by an audit: 120 epochs",
    ),
    Claim(
        name="fig09.gradient_grows_at_chance",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="The gradient norm grows over epochs while the accuracy is still at chance.",
        statistic=f"growth of ‖dL/dh0‖ from epoch {SETTLED} to the last accuracy ≤ 50 %, in decades per 100 epochs, by"
        f" least squares; median over networks whose accuracy stays above 60 % from some epoch on and that have"
        f" {FEWEST} such epochs",
        criterion=Criterion(above=0.1),
        sample=_grows,
        further=("fig08",),
        control=_unflossed,
        control_says=f"networks that are never flossed, epochs {SETTLED} to {SETTLED + 500}",
        changed="before, L was the loss of the last step alone, and the measure the ratio of two windows, one of which"
        " lay before the first epoch in 13 of 20 networks, and in some of the others on an episode's spike",
    ),
    Claim(
        name="fig09.early_solves",
        figure="fig09",
        place="Figs 7, 12",
        sentence="With five early episodes, networks solve d = 70.",
        statistic=f"share of networks with a final accuracy above {SOLVED:.0%}, early, d = 70".replace("%", " %"),
        criterion=Criterion(above=0.9),
        sample=_all_solve,
        further=("fig04",),
        control=_during,
        control_says="two episodes (during, Fig. 4)",
        after_data="the first twenty networks (all solve it) and the twenty of the control (13 do)",
        ours=True,
    ),
    Claim(
        name="fig09.early_solves_what_during_fails",
        figure="fig09",
        place="Figs 4, 12",
        sentence="Where five early episodes and two lead to different ends, the five are those that solve d = 70.",
        statistic=f"of the seeds that one of early and during solves (final accuracy above {SOLVED:.0%}) and the other"
        " one does not, d = 70, the share that early solves (exact McNemar test)".replace("%", " %"),
        criterion=Criterion(above=0.5),
        sample=_pairs,
        further=("fig04",),
        after_data="all twenty seeds (7 of 7)",
        ours=True,
    ),
]
