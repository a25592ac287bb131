"""How many networks solve a task, and panels that show how each of them ends: what the figures of ours share."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from floss.figures.panels import CHANCE, Group, accuracy_axis
from floss.figures.schedules import in_words
from floss.papers.claim import Sample
from floss.papers.gradient_flossing.final import SOLVED
from floss.papers.samples import count

SOLVES = f"final accuracy above {SOLVED:.0%}"
"""What counts as solved, in words."""


def when(schedule: str) -> str:
    """When a schedule has its episodes, in words."""
    return in_words(schedule).removeprefix("flossed ")


def solved(summary: pd.DataFrame, **kind: object) -> pd.Series:
    """Whether each network of a kind solves its task, by seed; one that diverged does not.

    Args:
        summary: rows of summary.csv.
        kind: values of columns, with `__` for a point in their names: `flossing="early"`, `flossing__epochs=500`.
    """
    rows = summary
    for name, value in kind.items():
        column = name.replace("__", ".")
        rows = rows[rows[column] == value] if column in rows else rows.iloc[:0]
    accuracy = rows["final_accuracy"].fillna(CHANCE)
    return (accuracy > SOLVED).set_axis(pd.Index(rows["seed"], name="seed")).sort_index()


def solvers(summary: pd.DataFrame, **kind: object) -> Sample:
    """How many networks of a kind solve their task."""
    return count(solved(summary, **kind))


def more_solve(more: pd.Series, less: pd.Series) -> Sample:
    """Share of networks that solve their task, of one kind minus another, of the seeds that both have."""
    seeds = more.index.intersection(less.index)
    rows = np.stack([more[seeds], less[seeds]], axis=1).astype(float)
    return Sample(rows, lambda r: float((r[:, 0] - r[:, 1]).mean()) if len(r) else np.nan, rows.size)


def outcomes(axes: Axes, groups: Sequence[Group], title: str) -> None:
    """The final accuracy of every network as a dot, side by side for each group, and how many solve the task."""
    for place, group in enumerate(groups):
        values = np.sort(group.rows["final_accuracy"].fillna(CHANCE).to_numpy(dtype=float))
        if not len(values):
            continue
        beside = place + np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.array([float(place)])
        axes.plot(beside, values, group.marker, color=group.colour, markersize=3.5, alpha=0.8, label=group.label)
        axes.text(place, 1.045, f"{(values > SOLVED).sum()} of {len(values)}", ha="center", fontsize=8)
    axes.set_xticks(range(len(groups)), [fill(group.label, 48 // len(groups)) for group in groups], fontsize=7)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.axhline(SOLVED, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    accuracy_axis(axes)
    axes.set_ylim(0.4, 1.09)
    axes.set_title(title)
