"""Fig. 4: accuracy on the binary temporal and spatial XOR tasks, without flossing and with it.

The paper claims: flossing during training solves binary XOR over delays where nothing else does.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import (
    TASKS,
    accuracy_axis,
    against,
    at_delay,
    by_schedule,
    count,
    courses,
    delay_axis,
    epoch_axis,
    legend_below,
    mark_schedules,
    pad,
)
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import ACCURACY, AT_CHANCE, accuracies, at, difference
from floss.papers.samples import mean_of

_RUNS = ("temporal", "spatial")
_CONVENTIONS = (
    "A, B: single networks thin, their mean thick; "
    "C, D: single networks as dots, their mean, 20th to 80th percentile shaded"
)


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch at d = 70 (A, B) and at the end against the delay (C, D)."""
    n = count(pd.concat([findings[name].summary for name in _RUNS]), ["task", "d", "flossing"], "final_accuracy")
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8, 6.2), sharey=True)
        for column, name in enumerate(_RUNS):
            upper, lower = panels[:, column]
            summary, (d, training) = findings[name].summary, at_delay(findings[name].training)
            task = TASKS[summary["task"].iloc[0]]
            for group in by_schedule(training, n):
                courses(upper, group, "accuracy")
            rows = mark_schedules(upper, training)
            epoch_axis(upper, training)
            upper.set_title(f"{'AB'[column]}  {task}, d = {d}", pad=pad(rows))
            against(lower, by_schedule(summary, n), "d", "final_accuracy")
            delay_axis(lower, summary)
            lower.set_title(f"{'CD'[column]}  {task}, end of training")
            accuracy_axis(upper)
            accuracy_axis(lower)
        panels[0, 0].set_ylabel("test accuracy")
        panels[1, 0].set_ylabel("final test accuracy")
        legend_below(figure, [*panels[1], *panels[0]], title=_CONVENTIONS, ncols=5)
        return figure


# --- claims ---


def accuracy(findings: Findings, task: str, schedule: str, keep: Callable[[int], bool]) -> Sample:
    """Mean final accuracy of one schedule over some delays."""
    return mean_of(at(accuracies(findings[task].summary), schedule, keep))


def better(findings: Findings, task: str, more: str, less: str, first: int = 0) -> Sample:
    """Mean final accuracy of one schedule minus that of another, over the delays from `first` on."""
    return difference(accuracies(findings[task].summary), more, less, first)


def during_at_70(figure: str, place: str, networks: str, name: str = "during_at_70") -> Claim:
    """More than 80 % on temporal XOR over 70 steps."""
    return Claim(
        name=f"{figure}.{name}",
        figure=figure,
        place=place,
        sentence=f"Flossed before and during training, {networks} reach more than 80 % on temporal XOR over 70 steps.",
        statistic=f"mean {ACCURACY}, temporal XOR, d = 70, during",
        criterion=Criterion(above=0.8),
        sample=partial(accuracy, task="temporal", schedule="during", keep=lambda d: d == 70),
    )


def chance_at_70(figure: str, place: str, schedule: str, networks_stay: str) -> Claim:
    """Chance on temporal XOR over 70 steps."""
    return Claim(
        name=f"{figure}.{schedule}_at_70",
        figure=figure,
        place=place,
        sentence=f"{networks_stay} at chance on temporal XOR over 70 steps.",
        statistic=f"mean {ACCURACY}, temporal XOR, d = 70, {schedule}",
        criterion=Criterion(below=AT_CHANCE),
        sample=partial(accuracy, task="temporal", schedule=schedule, keep=lambda d: d == 70),
    )


def chance_from_40(figure: str, place: str) -> Claim:
    """Without flossing, chance from 40 steps on."""
    return Claim(
        name=f"{figure}.none_from_40",
        figure=figure,
        place=place,
        sentence="Without flossing, accuracy on temporal XOR falls to chance for delays of 40 steps and more.",
        statistic=f"mean {ACCURACY}, temporal XOR, d ≥ 40, none",
        criterion=Criterion(below=AT_CHANCE),
        sample=partial(accuracy, task="temporal", schedule="none", keep=lambda d: d >= 40),
    )


CLAIMS = [
    during_at_70("fig04", "Sec. 7, Fig. 4A, C", "networks"),
    chance_at_70("fig04", "Sec. 7, Fig. 4A, C", "pre", "Networks flossed before training only stay"),
    chance_at_70("fig04", "Fig. 4A", "none", "Networks that were never flossed stay"),
    chance_from_40("fig04", "Sec. 7, Fig. 4C"),
    Claim(
        name="fig04.pre_helps",
        figure="fig04",
        place="Sec. 7, Fig. 4C",
        sentence="Flossing before training improves accuracy on temporal XOR.",
        statistic=f"mean {ACCURACY} over all delays, temporal XOR, pre minus none",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="temporal", more="pre", less="none"),
    ),
    Claim(
        name="fig04.spatial_pre_helps",
        figure="fig04",
        place="Sec. 7, Fig. 4D",
        sentence="Flossing before training improves accuracy on spatial XOR.",
        statistic=f"mean {ACCURACY} over all delays, spatial XOR, pre minus none",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="spatial", more="pre", less="none"),
    ),
    Claim(
        name="fig04.spatial_pre_fails_beyond_60",
        figure="fig04",
        place="Sec. 7, Fig. 4D",
        sentence="With flossing before training only, networks begin to fail on spatial XOR for delays above 60 steps.",
        statistic=f"mean {ACCURACY}, spatial XOR, d > 60, pre",
        criterion=Criterion(below=0.9),
        sample=partial(accuracy, task="spatial", schedule="pre", keep=lambda d: d > 60),
    ),
    Claim(
        name="fig04.spatial_during_helps_more",
        figure="fig04",
        place="Sec. 7, Fig. 4D",
        sentence="Networks that are also flossed during training solve spatial XOR over delays where the others fail.",
        statistic=f"mean {ACCURACY}, spatial XOR, d > 60, during minus pre",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="spatial", more="during", less="pre", first=61),
    ),
]
