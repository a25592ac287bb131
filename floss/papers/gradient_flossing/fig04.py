"""Fig. 4: accuracy on the binary temporal and spatial XOR tasks, without flossing and with it.

The paper claims: flossing during training solves binary XOR over delays where nothing else does.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

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
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.binary_xor import Words, claims_of

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

CLAIMS = claims_of(Words("fig04", "Sec. 7", "networks", "gaussian"))
