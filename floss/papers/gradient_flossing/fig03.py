"""Fig. 3: loss on the delayed copy and the continuous XOR task, without flossing and with flossing before training."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import (
    TASKS,
    against,
    at_delay,
    by_schedule,
    count,
    courses,
    delay_axis,
    epoch_axis,
    legend_below,
)
from floss.figures.style import house_style
from floss.papers.finding import Findings

VARIANCE = {"copy": 1 / 12, "xor": 1 / 18}
"""Loss of a network that always answers with the mean of the target, x or |x - x'| of uniform numbers: its variance."""
_DELAY = 40
_CONVENTIONS = (
    "flossing  (A, B: single networks thin, their median thick; "
    "C, D: single networks as dots, their mean, 20th to 80th percentile shaded)"
)


def draw(findings: Findings) -> Figure:
    """Loss against the epoch at d = 40 (A, B) and at the end against the delay (C, D)."""
    n = count(pd.concat([findings[name].summary for name in VARIANCE]), ["task", "d", "flossing"], "final_loss")
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8, 6.2), sharey="row")
        for column, (name, variance) in enumerate(VARIANCE.items()):
            upper, lower = panels[:, column]
            summary, (d, training) = findings[name].summary, at_delay(findings[name].training, _DELAY)
            task = TASKS[summary["task"].iloc[0]]
            for group in by_schedule(training, n):
                courses(upper, group, "loss", "median")
            epoch_axis(upper, training)
            upper.set_title(f"{'AB'[column]}  {task}, d = {d}")
            against(lower, by_schedule(summary, n), "d", "final_loss")
            delay_axis(lower, summary)
            lower.set_title(f"{'CD'[column]}  {task}, end of training")
            for axes in (upper, lower):
                axes.set_yscale("log")
                axes.axhline(variance, color="0.6", linewidth=0.8, zorder=0, label="chance (variance of the target)")
        panels[0, 0].set_ylabel("test loss (mean squared error)")
        panels[1, 0].set_ylabel("final test loss (mean squared error)")
        legend_below(figure, panels[1], title=_CONVENTIONS)
        return figure
