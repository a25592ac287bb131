"""What M1, M2 and M3 share: students that were flossed to several targets, and final losses at the best of them."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from floss.memory import authors_teacher, zero_student_loss
from floss.papers.claim import Sample
from floss.papers.curse_of_memory.students import decades
from floss.papers.samples import middle

MAGNITUDES = {-0.693147: "0.5", -0.105361: "0.9", -0.030459: "0.97", -0.01005: "0.99", 0.0: "1"}
"""exp of the targets, that is |λ| of networks that are at them."""
TARGETS = tuple(MAGNITUDES)
BETWEEN = TARGETS[:-1]
"""Those below 0."""
STEPS = 300
"""T of the sequences."""


def least_loss(rows: pd.DataFrame) -> tuple[pd.Series, int]:
    """Loss of each seed at the target and learning rate with the smallest mean loss over all other seeds.

    As `students.tuned`, but the target is chosen as well: a seed that a choice was made on does not test it. Infinite
    where the network diverged. And how many networks were trained for it.
    """
    by = ["train.lr", *(["flossing.target"] if "flossing.target" in rows else [])]
    losses = rows.assign(loss=rows["final_loss"].fillna(np.inf))
    if "flossing.target" in losses:
        losses["flossing.target"] = losses["flossing.target"].fillna(9.0)  # networks that are not flossed
    table = losses.pivot(index="seed", columns=by, values="loss")
    chosen = {}
    for seed in table.index:
        others = table.drop(index=seed) if len(table) > 1 else table
        chosen[seed] = table.iloc[table.index.get_loc(seed), int(np.argmin(others.mean().to_numpy()))]
    return pd.Series(chosen), int(table.size)


def gap(worse: pd.DataFrame, better: pd.DataFrame) -> Sample:
    """Median over seeds of log₁₀ of one loss over another, each at its best target and learning rate."""
    (first, some), (second, others) = least_loss(worse), least_loss(better)
    sample = middle(decades(first, second))
    return Sample(sample.rows, sample.statistic, some + others)


def at(rows: pd.DataFrame, targets: Sequence[float]) -> pd.DataFrame:
    """Networks that were flossed to any of some targets."""
    return rows[np.isclose(rows["flossing.target"].to_numpy(dtype=float)[:, None], list(targets), atol=1e-6).any(-1)]


def with_memory(rows: pd.DataFrame, longest: bool) -> pd.DataFrame:
    """Networks whose teacher has the longest of the memories, or the shortest."""
    if "task.nu" not in rows:
        return rows
    return rows[rows["task.nu"] == (rows["task.nu"].max() if longest else rows["task.nu"].min())]


def zero_loss(nu: float) -> float:
    """Loss of a student that says nothing, ½ E y²; of the authors' teacher."""
    return float(zero_student_loss(authors_teacher(nu, math.pi, STEPS)))
