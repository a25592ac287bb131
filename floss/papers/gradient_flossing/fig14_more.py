"""Binary XOR over 70 steps with further networks: every final accuracy, for each schedule.

The paper claims: trained for 10⁴ epochs, orthogonal networks bridge 70 steps of spatial XOR with flossing before
training alone. The networks of temporal XOR are those behind statements of Figs 4 and 14.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import TASKS, Group, accuracy_axis, by_schedule, legend_below
from floss.figures.style import house_style
from floss.papers.claim import Claim
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.binary_xor import MOST, REACHED, measure
from floss.papers.gradient_flossing.final import how_many
from floss.papers.intervals import clopper_pearson

_PANELS = {"gaussian": "Gaussian W", "orthogonal": "orthogonal W", "spatial_long": "orthogonal W"}


def draw(findings: Findings) -> Figure:
    """Final accuracies in ascending order, one panel for each run; the legend of a panel counts those above 80 %."""
    with house_style():
        figure, panels = plt.subplots(1, len(_PANELS), figsize=(8.4, 4.2), sharey=True)
        for letter, axes, (run, weights) in zip("ABC", panels, _PANELS.items(), strict=True):
            summary = findings[run].summary
            groups = by_schedule(summary)
            for row, group in enumerate(groups):
                _ascending(axes, group, len(groups) - row)
            task, d = TASKS[summary["task"].iloc[0]], summary["d"].iloc[0]
            axes.set_title(f"{letter}  {task}, d = {d},\n{weights}, {summary['epochs'].max()} epochs")
            axes.set_xlabel("networks in ascending order")
            accuracy_axis(axes)
        panels[0].set_ylabel("final test accuracy")
        legend_below(figure, panels, title="numbers in the panels: networks above 80 %, exact 95 % interval", ncols=4)
        return figure


def _ascending(axes: Axes, group: Group, row: int) -> None:
    """Each network as a point, and how many are above the accuracy that the paper names."""
    values = np.sort(group.rows["final_accuracy"].fillna(0.5).to_numpy())
    share = np.arange(1, len(values) + 1) / len(values)
    axes.plot(share, values, group.marker, color=group.colour, markersize=4, linestyle="", label=group.label)
    many = int((values > REACHED).sum())
    low, high = clopper_pearson(many, len(values))
    text = f"{many} of {len(values)} [{low:.2f}, {high:.2f}]"
    axes.text(0.03, 0.54 + 0.035 * row, text, color=group.colour, fontsize=8)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])


# --- claims ---


def _long(schedule: str) -> Claim:
    words = {"pre": "before training only", "during": "before and during training"}[schedule]
    return Claim(
        name=f"fig14_more.spatial_long_{schedule}",
        figure="fig14_more",
        place="App. G",
        sentence=f"Trained for 10⁴ epochs, orthogonal networks flossed {words} bridge 70 steps of spatial XOR.",
        statistic=f"networks with a final accuracy above {REACHED:.0%}, spatial XOR, d = 70, orthogonal, 10⁴ epochs,"
        f" {schedule}",
        criterion=MOST,
        sample=partial(measure, run="spatial_long", what=how_many, schedule=schedule, d=70, above=REACHED),
        after_data="Those of Fig. 14 after 5000 epochs, where 18 of 20 (pre) and 20 of 20 (during) are above it.",
    )


CLAIMS = [_long("pre"), _long("during")]
