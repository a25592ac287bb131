"""Linear networks on the copy task and on temporal XOR, never flossed and flossed before training (App. E).

The paper claims: flossing helps to train linear networks on a linear task, and not on one that needs a nonlinearity.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import (
    TASKS,
    accuracy_axis,
    by_schedule,
    count,
    courses,
    epoch_axis,
    legend_below,
    mark_schedules,
    pad,
)
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing.final import AT_CHANCE, accuracies, how_many, losses


def draw(findings: Findings) -> Figure:
    """Test loss on the copy task (A) and accuracy on temporal XOR (B) against the epoch."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
        _panel(left, findings["copy"], "A", "loss")
        left.set_yscale("log")
        _panel(right, findings["xor"], "B", "accuracy")
        accuracy_axis(right)
        legend_below(figure, (right, left), title="single networks thin, their median thick")
        return figure


def _panel(axes: Axes, finding: Finding, letter: str, measure: str) -> None:
    training, summary = finding.training, finding.summary
    n = count(summary, "flossing", f"final_{measure}")
    for group in by_schedule(training, n):
        courses(axes, group, measure, "median")
    rows = mark_schedules(axes, training)
    epoch_axis(axes, training)
    axes.set_title(f"{letter}  {TASKS[summary['task'].iloc[0]]}, d = {summary['d'].iloc[0]}", pad=pad(rows))
    axes.set_ylabel(f"test {measure}")


# --- claims ---


def _lower(findings: Findings, *, moved: int = 0) -> Sample:
    """Of how many seeds the flossed network has half the final loss or less; infinite is that of one that diverged.

    As the control, of how many the unflossed network has half of that of the seed so many places further on.
    """
    table = losses(findings["copy"].summary, by=("flossing",))
    if not {"pre", "none"} <= set(table):
        return samples.count([])
    pairs = table[["pre", "none"]].dropna()
    none = pairs["none"].to_numpy()
    own = np.roll(none, moved) if moved else pairs["pre"].to_numpy()
    return samples.count(own < none / 2, each=2)


def _leave_chance(findings: Findings, run: str) -> Sample:
    return how_many(accuracies(findings[run].summary), "pre", 40, AT_CHANCE)


CLAIMS = [
    Claim(
        name="linear.copy_is_helped",
        figure="linear",
        place="App. E",
        sentence="Gradient flossing helps to train linear networks on the copy task.",
        statistic="seeds whose final test loss with pre is below half of that with none, delayed copy, d = 40,"
        " linear networks",
        criterion=Criterion(above=0.5),
        sample=_lower,
        control=partial(_lower, moved=1),
        control_says="networks that were never flossed beside those of the next seed",
        after_data="Those of three networks of each kind that were not kept, of which the medians were equal.",
        tried="Both learn to copy within a few hundred epochs (median loss at the end 0.0061 and 0.0062); five of"
        " twenty diverge without flossing, four with it.",
    ),
    Claim(
        name="linear.xor_is_not_learnt",
        figure="linear",
        place="App. E",
        sentence="Linear networks do not learn temporal XOR, flossed or not.",
        statistic=f"networks with a final accuracy above {AT_CHANCE:.0%}, temporal XOR, d = 40, linear networks, pre",
        criterion=Criterion(below=0.2),
        sample=partial(_leave_chance, run="xor"),
        control=partial(_leave_chance, run="fig04/temporal"),
        control_says="networks of tanh units (Fig. 4)",
        further=("fig04",),
    ),
]
