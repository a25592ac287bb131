"""Data of Fig. 15: one orthonormalisation step of two tangent vectors, of a fixed Jacobian and of random maps.

A decomposition depends in its last digits on the processor's linear algebra, so it is computed once, by `floss
reproduce`, and figure and claim read its tables.
"""

from dataclasses import dataclass

import numpy as np

from floss.jobs.keys import key, whole
from floss.papers.tables import Table, TablesJob, tables_kind

JACOBIAN = np.array([[1.9, 0.9], [0.15, 1.35]])
"""D_s; it has no meaning beyond the drawing."""
_TURN = np.deg2rad(8)


@dataclass(frozen=True, kw_only=True)
class OneStepJob(TablesJob):
    """Keys of `one_step`."""

    seed: int = key(whole(0), "seed of the random maps")
    maps: int = key(whole(1), "number of random maps")


def tables(job: OneStepJob) -> dict[str, Table]:
    """The vectors of the drawing, and both areas of every random map.

    vectors.csv has the columns of Q_s (orthonormal), of D_s Q_s, and of its factors Q_{s+1} and R, in all digits;
    maps.csv the area of the parallelogram that a map with independent standard normal entries makes of the unit square,
    the area R₁₁ R₂₂ of the rectangle, and how far the ratio of the two is from 1.
    """
    before = np.array([[np.cos(_TURN), -np.sin(_TURN)], [np.sin(_TURN), np.cos(_TURN)]])
    mapped = JACOBIAN @ before
    q, r = _qr(mapped)
    matrices = {"Q_s": before, "D_s Q_s": mapped, "Q_s+1": q, "R": r}
    vectors = [
        [name, column, *map(repr, matrix[:, column - 1].tolist())]
        for name, matrix in matrices.items()
        for column in (1, 2)
    ]
    maps = []
    for number, matrix in enumerate(np.random.default_rng(job.seed).normal(size=(job.maps, 2, 2))):
        parallelogram, rectangle = areas(matrix)
        maps.append([number, parallelogram, rectangle, abs(rectangle / parallelogram - 1)])
    return {
        "vectors": (("matrix", "column", "x", "y"), vectors),
        "maps": (("map", "parallelogram", "rectangle", "difference"), maps),
    }


def areas(matrix: np.ndarray) -> tuple[float, float]:
    """Areas of the parallelogram spanned by the two columns [n, 2], and of the rectangle R₁₁ × R₂₂ of its QR."""
    a, b = matrix.T
    _, r = _qr(matrix)
    return float(np.sqrt((a @ a) * (b @ b) - (a @ b) ** 2)), float(r[0, 0] * r[1, 1])


def _qr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q and R with a positive diagonal of R."""
    q, r = np.linalg.qr(matrix)
    sign = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q * sign, r * sign[:, None]


ONE_STEP = tables_kind("one_step", OneStepJob, tables)
