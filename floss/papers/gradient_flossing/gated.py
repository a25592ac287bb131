"""Gated networks on temporal XOR, never flossed and flossed before training (Sec. 1, 9); small ones.

The paper claims: gradient flossing can be combined with gated units.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
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
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import accuracies

_RUNS = {"lstm": "LSTM", "gru": "GRU"}


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch: LSTM (A), GRU (B)."""
    with house_style():
        figure, panels = plt.subplots(1, 2, figsize=(8.2, 3.6), sharey=True)
        for letter, axes, (run, name) in zip("AB", panels, _RUNS.items(), strict=True):
            training, summary = findings[run].training, findings[run].summary
            for group in by_schedule(training, count(summary, "flossing", "final_accuracy")):
                courses(axes, group, "accuracy", "median")
            rows = mark_schedules(axes, training)
            epoch_axis(axes, training)
            accuracy_axis(axes)
            task, d = TASKS[summary["task"].iloc[0]], summary["d"].iloc[0]
            axes.set_title(f"{letter}  {name}, {task}, d = {d}", pad=pad(rows))
        panels[0].set_ylabel("test accuracy")
        legend_below(figure, panels, title="single networks thin, their median thick")
        return figure


# --- claims ---


def _better(findings: Findings, run: str, *, moved: int = 0) -> Sample:
    """Of how many seeds the flossed network ends more accurate; as the control, an unflossed one than the next seed's.

    Better by more than 2 %, which is more than two evaluations of one network differ by.
    """
    table = accuracies(findings[run].summary, by=("flossing",))
    if not {"pre", "none"} <= set(table):
        return samples.count([])
    pairs = table[["pre", "none"]].dropna()
    none = pairs["none"].to_numpy()
    own = np.roll(none, moved) if moved else pairs["pre"].to_numpy()
    return samples.count(own > none + 0.02, each=2)


CLAIMS = [
    Claim(
        name=f"gated.{run}_is_helped",
        figure="gated",
        place="Sec. 1, 9",
        sentence=f"Gradient flossing can be combined with gated units: it helps to train {name} networks.",
        statistic=f"seeds with a final accuracy that is more than 2 % higher with pre than with none, temporal XOR,"
        f" d = 40, {name}, N = 32, T = 100, 2000 epochs",
        criterion=Criterion(above=0.5),
        sample=partial(_better, run=run),
        control=partial(_better, run=run, moved=1),
        control_says="networks that were never flossed beside those of the next seed",
        tried="No network leaves chance within these 2000 epochs, flossed or not, so nothing is helped or harmed here;"
        " larger networks, trained for longer, were not computed.",
    )
    for run, name in _RUNS.items()
]
