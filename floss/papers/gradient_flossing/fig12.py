"""Fig. 12: accuracy, loss and ‖∂L/∂h₀‖ without flossing, with early episodes, and with an episode every 100 epochs."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
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
from floss.papers.finding import Findings

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
        legend_below(figure, panels[0], title="flossing  (single networks thin, their median thick)", ncols=5)
        return figure
