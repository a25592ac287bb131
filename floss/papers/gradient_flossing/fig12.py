"""Fig. 12: accuracy, loss and ‖∂L/∂h₀‖ without flossing, with early episodes, and with an episode every 100 epochs.

The paper claims: flossing throughout training does harm.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import (
    FLOOR,
    NORM,
    Group,
    accuracy_axis,
    at_delay,
    by_schedule,
    count,
    courses,
    epoch_axis,
    legend_below,
    mark_schedules,
    norm_axis,
    pad,
)
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.courses import boosts, course_of
from floss.papers.gradient_flossing.final import ACCURACY, accuracies, difference
from floss.papers.samples import middle

_MEASURES = (("accuracy", "accuracy", None), ("loss", "loss", None), ("gradient norm", "grad_norm_h0", FLOOR))
"""What titles call each row of panels, its column of metrics.csv, and the smallest value that is shown."""
_LAST = 500
"""Epochs at the end of training that the panels on the right show."""
_PHASES = {90: "90 epochs after an episode", 0: "right after an episode"}
"""Epochs since the last episode at which a training with an episode every 100 epochs is shown as a whole."""
_DOTTED = ":"


def draw(findings: Findings) -> Figure:
    """Accuracy (A), loss (B) and norm (C) against the epoch, the whole training and its end: networks, median.

    Of networks that are flossed throughout, the whole training has two lines, of two phases between episodes: all of
    their epochs would be a band that covers the others.
    """
    d, training = at_delay(findings["gradient"].training)
    n = count(findings["gradient"].summary, ["d", "flossing"], "final_accuracy")
    end = training[training["epoch"] >= training["epoch"].max() - _LAST]
    with house_style():
        figure, panels = plt.subplots(3, 2, figsize=(8.4, 8.6), sharex="col", sharey="row", width_ratios=(3, 2))
        lines = 0
        for column, (rows, when) in enumerate(((training, f"d = {d}"), (end, "the end of training"))):
            for group in reversed(by_schedule(rows, n)):  # the busiest lines lie below the others
                for part in _parts(group) if column == 0 else [group]:
                    for axes, (_, measure, floor) in zip(panels[:, column], _MEASURES, strict=True):
                        courses(axes, part, measure, "median", floor)
            accuracy_axis(panels[0, column])
            panels[1, column].set_yscale("log")
            norm_axis(panels[2, column])
            for letter, axes, (name, *_) in zip("ABC", panels[:, column], _MEASURES, strict=True):
                marked = rows[rows["flossing"] != _THROUGHOUT] if column == 0 else rows
                lines = max(lines, mark_schedules(axes, marked) if len(marked) else 0)
                axes.set_title(f"{letter}  {name}, {when}", pad=pad(lines))
                epoch_axis(axes, rows)
        for axes, label in zip(panels[:, 0], ("test accuracy", "test loss (cross-entropy)", NORM), strict=True):
            axes.set_ylabel(label)
        for axes in panels.flat:
            axes.label_outer()
        legend_below(figure, panels[0], title="single networks thin, their median thick", ncols=2)
        return figure


_THROUGHOUT = "throughout"


def _parts(group: Group) -> list[Group]:
    """The networks of a schedule; those flossed throughout once for each phase."""
    if set(group.rows["flossing"]) != {_THROUGHOUT}:
        return [group]
    return [
        Group(f"{group.label}, {words}", rows, group.colour, group.marker, _DOTTED if phase == 0 else group.dashes)
        for phase, words in _PHASES.items()
        if len(rows := group.rows[group.rows["epoch"] % 100 == phase])
    ]


# --- claims ---


def _course(findings: Findings, column: str, schedule: str = "throughout") -> pd.DataFrame:
    return course_of(findings["gradient"], schedule, column)


def _late(table: pd.DataFrame) -> pd.DataFrame:
    """The second half of training."""
    return table[table.index > table.index.max() / 2]


def _drops(findings: Findings, schedule: str) -> Sample:
    late = _late(_course(findings, "accuracy", schedule))
    return middle(late[late.index % 100 == 0].mean())


def _phases(table: pd.DataFrame, before: int, after: int) -> tuple[pd.Series, pd.Series]:
    """A measure's mean over the epochs of two phases between episodes, second half of training, of each network."""
    late = _late(table)
    return late[late.index % 100 == before].mean(), late[late.index % 100 == after].mean()


def _recovers(findings: Findings, before: int, after: int) -> Sample:
    recovered, dropped = _phases(_course(findings, "accuracy"), before, after)
    return middle(recovered - dropped)


def _jumps(findings: Findings, before: int, after: int) -> Sample:
    earlier, later = _phases(np.log10(_course(findings, "loss")), before, after)
    return middle(later - earlier)


def _never_all(findings: Findings, schedule: str) -> Sample:
    table = _course(findings, "accuracy", schedule)
    return samples.count(table.max() < ALL if len(table) else [])


def _boosted(findings: Findings, schedule: str) -> Sample:
    return middle(boosts(_course(findings, "grad_norm_h0", schedule)))


def _apart(findings: Findings, schedule: str) -> Sample:
    """log₁₀ of the norm of a schedule over that of early ones with the same seeds, second half of training."""
    rows = findings["gradient"].training
    rows = rows[rows["epoch"] > rows["epoch"].max() / 2]
    table = rows.groupby(["seed", "flossing"])["grad_norm_h0"].median().unstack("flossing")
    pairs = np.log10(table.reindex(columns=[schedule, "early"])).dropna()
    return middle(pairs[schedule] - pairs["early"], each=2)


def _early_better(findings: Findings) -> Sample:
    return difference(accuracies(findings["gradient"].summary), "early", "throughout")


ALL = 0.995
"""An accuracy on one batch that comes to 100 % within half a percent."""
_LAST_STEP = "the same with the loss of the last step (100 times that of early networks)"

CLAIMS = [
    Claim(
        name="fig12.drops_to_chance",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed every 100 epochs, accuracy drops close to chance after each episode.",
        statistic="mean accuracy of the first epoch after an episode, second half of training, median over networks,"
        " throughout",
        criterion=Criterion(below=0.6),
        sample=partial(_drops, schedule="throughout"),
        control=partial(_drops, schedule="early"),
        control_says="the networks with five early episodes, at the same epochs",
    ),
    Claim(
        name="fig12.recovers_between",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Between the episodes accuracy recovers quickly.",
        statistic="mean accuracy 90 epochs after an episode minus right after it, second half of training, median over"
        " networks, throughout",
        criterion=Criterion(above=0.1),
        sample=partial(_recovers, before=90, after=0),
        control=partial(_recovers, before=90, after=80),
        control_says="90 epochs after an episode minus 80 after it",
    ),
    Claim(
        name="fig12.error_jumps",
        figure="fig12",
        place="App. D.2, Fig. 12B",
        sentence="When the accuracy drops, the test error jumps up.",
        statistic="log₁₀ of the loss of the first epoch after an episode over that 90 epochs after one, mean over the"
        " second half of training, median over networks, throughout",
        criterion=Criterion(above=0.3),
        sample=partial(_jumps, before=90, after=0),
        control=partial(_jumps, before=80, after=90),
        control_says="90 epochs after an episode over 80 after it",
        after_data="the accuracies of these networks, and so in part their losses",
    ),
    Claim(
        name="fig12.never_100",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed throughout training, networks never reach an accuracy of 100 %.",
        statistic=f"share of networks whose accuracy is below {100 * ALL:g} % at every logged epoch, throughout",
        criterion=Criterion(above=0.9),
        sample=partial(_never_all, schedule="throughout"),
        control=partial(_never_all, schedule="early"),
        control_says="the networks with five early episodes",
        changed="before, the median over networks of their highest accuracies had to be below 99.5 %, which hid those"
        " networks that reach it",
        after_data="the accuracies of ten networks (2 reach it)",
    ),
    Claim(
        name="fig12.initially_boosted",
        figure="fig12",
        place="App. D.2, Fig. 12C",
        sentence="The gradient norm is boosted by the first episodes of flossing.",
        statistic="log₁₀ of the median ‖dL/dh0‖ in the 25 epochs after an episode over that in the 25 before it, median"
        " over the episodes at 100, 200, 300, 400, then over networks, throughout",
        criterion=Criterion(above=0.5),
        sample=partial(_boosted, schedule="throughout"),
        control=partial(_boosted, schedule="none"),
        control_says="the networks that are never flossed, at the same epochs",
    ),
    Claim(
        name="fig12.norm_indistinguishable",
        figure="fig12",
        place="App. D.2, Fig. 12C",
        sentence="Once the norm is large, it is hardly distinguishable from that of networks with five early episodes.",
        statistic="log₁₀ of the median ‖dL/dh0‖ over the second half of training, throughout over early, median over"
        " seeds",
        criterion=Criterion(above=-0.3, below=0.3),
        sample=partial(_apart, schedule="throughout"),
        control=partial(_apart, schedule="none"),
        control_says="networks that are never flossed over early ones",
        after_data=_LAST_STEP,
    ),
    Claim(
        name="fig12.early_is_better",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Five early episodes lead to a higher accuracy than flossing throughout.",
        statistic=f"mean {ACCURACY}, early minus throughout",
        criterion=Criterion(above=0.0),
        sample=_early_better,
    ),
]
