"""A figure of ours: networks whose exponents are flossed beside networks of which something else is regularised.

The paper claims (Sec. 7): regularising the spectral radius of W or the one-step Jacobians does not help as much.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import Group, accuracy_axis, at_delay, courses, epoch_axis, legend_below
from floss.figures.schedules import SCHEDULES
from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.outcomes import SOLVES, outcomes, solvers, when

PENALTIES = {
    "none": "nothing",
    "exponents": "exponents",
    "one_step": "one-step Jacobians",
    "spectral_radius": "spectral radius of W",
}
"""The runs of conf/experiment/control.yaml, and what is regularised in them."""


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch (above) and at the end (below, for each delay), a column for each schedule."""
    summaries = {name: findings[name].summary for name in PENALTIES}
    delays = sorted({d for summary in summaries.values() for d in summary["d"]}, reverse=True)
    schedules = [name for name in SCHEDULES if (summaries["exponents"]["flossing"] == name).any()]
    letters = iter("ABCDEFGH")
    with house_style():
        size = (4.1 * max(len(schedules), 1.4), 2.9 * (1 + len(delays)))
        figure, panels = plt.subplots(1 + len(delays), len(schedules), figsize=size, sharey="row", squeeze=False)
        for axes, schedule in zip(panels[0], schedules, strict=True):
            d = at_delay(summaries["none"])[0]
            groups = _groups({name: findings[name].training for name in PENALTIES}, schedule, d)
            for group in groups:
                courses(axes, group, "accuracy")
            epoch_axis(axes, groups[0].rows)
            accuracy_axis(axes)
            axes.set_title(f"{next(letters)}  {when(schedule)}, d = {d}")
        for row, d in zip(panels[1:], delays, strict=True):
            for axes, schedule in zip(row, schedules, strict=True):
                title = f"{next(letters)}  {when(schedule)}, d = {d}"
                outcomes(axes, _groups(summaries, schedule, d), title)
        for place, axes in enumerate(panels[:, 0]):
            axes.set_ylabel("final test accuracy" if place else "test accuracy")
        title = (
            "what is regularised  (above: single networks thin, their mean thick;\n"
            "below: every network, and how many exceed 95 %)"
        )
        legend_below(figure, panels[0], title=title, ncols=5)
        return figure


def _groups(tables: dict[str, pd.DataFrame], schedule: str, d: int) -> list[Group]:
    """The rows of each penalty at one delay and schedule; those of networks that are never flossed in any case."""
    groups = []
    for place, (name, label) in enumerate(PENALTIES.items()):
        rows = tables[name]
        rows = rows[(rows["d"] == d) & rows["flossing"].isin(["none", schedule])]
        groups.append(Group(label, rows, COLOURS[place], MARKERS[place], DASHES[place]))
    return groups


# --- claims ---


def _solve(findings: Findings, penalty: str, schedule: str, d: int) -> Sample:
    return solvers(findings[penalty].summary, flossing=schedule, d=d)


def _no_help(penalty: str, instead: str, schedule: str, d: int) -> Claim:
    return Claim(
        name=f"control.{penalty}_{schedule}_{d}",
        figure="control",
        place="Sec. 7",
        sentence=f"Regularising {instead} instead of the exponents does not improve training as much: temporal XOR over"
        f" {d} steps, {when(schedule)}.",
        statistic=f"networks with a {SOLVES}, temporal XOR, d = {d}, {schedule}, penalty {penalty}",
        criterion=Criterion(below=0.5),
        sample=partial(_solve, penalty=penalty, schedule=schedule, d=d),
        control=partial(_solve, penalty="exponents", schedule=schedule, d=d),
        control_says="the same seeds with their exponents flossed",
    )


_RADIUS = ("spectral_radius", "the spectral radius of W")
_ONE_STEP = ("one_step", "each one-step Jacobian by itself")
CLAIMS = [
    _no_help(*_RADIUS, "early", 70),
    _no_help(*_ONE_STEP, "early", 70),
    _no_help(*_RADIUS, "during", 40),
    _no_help(*_ONE_STEP, "during", 40),
]
