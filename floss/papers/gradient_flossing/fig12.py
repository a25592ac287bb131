"""Fig. 12: accuracy, loss and ‖∂L/∂h₀‖ without flossing, with early episodes, and with an episode every 100 epochs.

The paper claims: flossing throughout training does harm.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportReturnType=false

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import (
    FLOOR,
    NORM,
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
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import ACCURACY, accuracies, difference
from floss.papers.samples import middle

_MEASURES = (("accuracy", "accuracy", None), ("loss", "loss", None), ("gradient norm", "grad_norm_h0", FLOOR))
"""What titles call each row of panels, its column of metrics.csv, and the smallest value that is shown."""
_LAST = 500
"""Epochs at the end of training that the panels on the right show."""


def draw(findings: Findings) -> Figure:
    """Accuracy (A), loss (B) and norm (C) against the epoch, the whole training and its end: networks, median."""
    d, training = at_delay(findings["gradient"].training)
    n = count(findings["gradient"].summary, ["d", "flossing"], "final_accuracy")
    end = training[training["epoch"] >= training["epoch"].max() - _LAST]
    with house_style():
        figure, panels = plt.subplots(3, 2, figsize=(8.4, 8.6), sharex="col", sharey="row", width_ratios=(3, 2))
        lines = 0
        for column, (rows, when) in enumerate(((training, f"d = {d}"), (end, "the end of training"))):
            for group in reversed(by_schedule(rows, n)):  # the busiest lines lie below the others
                for axes, (_, measure, floor) in zip(panels[:, column], _MEASURES, strict=True):
                    courses(axes, group, measure, "median", floor)
            accuracy_axis(panels[0, column])
            panels[1, column].set_yscale("log")
            norm_axis(panels[2, column])
            for letter, axes, (name, *_) in zip("ABC", panels[:, column], _MEASURES, strict=True):
                lines = max(lines, mark_schedules(axes, rows))
                axes.set_title(f"{letter}  {name}, {when}", pad=pad(lines))
                epoch_axis(axes, rows, early=column == 0)
        for axes, label in zip(panels[:, 0], ("test accuracy", "test loss (cross-entropy)", NORM), strict=True):
            axes.set_ylabel(label)
        for axes in panels.flat:
            axes.label_outer()
        legend_below(figure, panels[0], title="single networks thin, their median thick", ncols=5)
        return figure


# --- claims ---


def _courses(findings: Findings) -> pd.DataFrame:
    """Accuracy by epoch (rows) and network (columns), flossed throughout."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == "throughout"]
    return rows.pivot_table(index="epoch", columns="network", values="accuracy", dropna=False)


def _drops(findings: Findings) -> Sample:
    courses = _courses(findings)
    last = courses.index.max()
    right_after = courses[(courses.index % 100 == 0) & (courses.index > last / 2)]
    return middle(right_after.mean())


def _recovers(findings: Findings) -> Sample:
    courses = _courses(findings)
    late = courses[courses.index > courses.index.max() / 2]
    before, after = (late[late.index % 100 == phase].mean() for phase in (90, 0))
    return middle(before - after)


def _never_all(findings: Findings) -> Sample:
    return middle(_courses(findings).max())


def _early_better(findings: Findings) -> Sample:
    return difference(accuracies(findings["gradient"].summary), "early", "throughout")


CLAIMS = [
    Claim(
        name="fig12.drops_to_chance",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed every 100 epochs, accuracy drops close to chance after each episode.",
        statistic="mean accuracy of the first epoch after an episode, second half of training, median over networks,"
        " throughout",
        criterion=Criterion(below=0.6),
        sample=_drops,
    ),
    Claim(
        name="fig12.recovers_between",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Between the episodes accuracy recovers quickly.",
        statistic="mean accuracy 90 epochs after an episode minus right after it, second half of training, median over"
        " networks, throughout",
        criterion=Criterion(above=0.1),
        sample=_recovers,
    ),
    Claim(
        name="fig12.never_100",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed throughout training, networks never reach an accuracy of 100 %.",
        statistic="highest accuracy of a logged epoch, median over networks, throughout",
        criterion=Criterion(below=0.995),
        sample=_never_all,
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
