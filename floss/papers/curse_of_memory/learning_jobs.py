"""Data of Fig. 7: one neuron learns the angle of another's eigenvalue, by two rules and in three parametrisations.

The authors' code makes every step the first one of Adam, whose state it never carries over: that is descent along the
sign of the gradient, lr · sign(g). Both rules are computed.
"""

import math
from dataclasses import dataclass

import numpy as np

from floss.jobs.keys import key, real, whole
from floss.papers.curse_of_memory.neuron_jobs import SHOWN, digits, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind

RULES = ("sign", "adam")
"""Descent along the sign of the gradient, as the authors' code; Adam, as the text."""
MAGNITUDE, START, TEACHER = 0.99, math.pi / 4, math.pi / 100
"""Magnitude of both eigenvalues, and their angles: of the student at first, and of the teacher."""
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_RANGES = ((1.0, 3.2), ((0.0, 0.9), (-4.2, 0.0), (0.0, 90.0)))
"""Of ω_ν, and of ω_θ in each parametrisation, in the contours."""


@dataclass(frozen=True, kw_only=True)
class LearningJob(TablesJob):
    """Keys of `learning`."""

    steps: int = key(whole(10), "steps of gradient descent")
    lr: float = key(real(0.0, above=True), "learning rate")
    kept: int = key(whole(2), "steps that are tabled, evenly spaced in the logarithm")
    contours: int = key(whole(2), "points of each axis of the loss landscape")


def learning_tables(job: LearningJob) -> dict[str, Table]:
    """Paths of (ω_ν, ω_θ) with ν = tanh ω_ν, and θ = ω_θ, exp ω_θ, or ω_θ (1 - ν²) / (ν √(1 + ν²)).

    The loss is ½ E|h - h*|² for white input, without γ. paths.csv: some steps; ends.csv: where ω_ν is least, the last
    step, the least and largest loss over the last tenth of the steps, and the first step with a loss below 1 and 1e-6;
    contours.csv: the loss around the paths.
    """
    weights, losses = _descend(job)
    tabled = np.unique(np.geomspace(1, job.steps + 1, job.kept).astype(int) - 1)
    paths, ends = [], []
    for i, rule in enumerate(RULES):
        for j, name in enumerate(SHOWN):
            own, loss = weights[:, :, i, j], losses[:, i, j]
            paths += rows_of(
                [rule] * len(tabled),
                [name] * len(tabled),
                tabled.tolist(),
                *own[tabled].T.tolist(),
                loss[tabled].tolist(),
                count=8,
            )
            last = loss[-(job.steps // 10) :]
            below = [int(np.argmax(loss < bound)) if (loss < bound).any() else "" for bound in (1.0, 1e-6)]
            turn = own[own[:, 0].argmin()]
            ends.append([rule, name, *map(digits, (*turn, *own[-1], last.min(), last.max())), *below])
    columns = ("turn_w_nu", "turn_w_theta", "end_w_nu", "end_w_theta", "least", "most", "below_1", "below_1e-6")
    return {
        "paths": (("rule", "parametrisation", "step", "w_nu", "w_theta", "loss"), paths),
        "ends": (("rule", "parametrisation", *columns), ends),
        "contours": (("parametrisation", "w_nu", "w_theta", "loss"), _contours(job.contours)),
    }


def loss_and_gradient(w_nu: np.ndarray, w_theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and its gradient [2, ...] of ω_ν and ω_θ [..., 3], the last axis being the parametrisations.

    With λ = ν e^{iθ}, L = ½ [1 / (1 - ν²) + 1 / (1 - ν*²)] - Re 1 / (1 - λ λ̄*).
    """
    nu = np.tanh(w_nu)
    r, root = nu**2, np.sqrt(1 + nu**2)
    scale = (1 - r) / (nu * root)
    scale_slope = -2 / root - (1 - r) * (1 + 2 * r) / (r * root**3)
    pick = np.eye(3)
    exp = np.exp(w_theta[..., 1])
    theta = np.stack((w_theta[..., 0], exp, w_theta[..., 2] * scale[..., 2]), axis=-1)
    along = np.stack((np.ones_like(exp), exp, scale[..., 2]), axis=-1)
    across = pick[2] * w_theta * scale_slope  # ∂θ/∂ν, of the optimal parametrisation alone
    teacher = MAGNITUDE * np.exp(1j * TEACHER)
    lam = nu * np.exp(1j * theta)
    rest = 1 - lam * teacher.conjugate()
    loss = 0.5 * (1 / (1 - r) + 1 / (1 - MAGNITUDE**2)) - (1 / rest).real
    both = teacher.conjugate() / rest**2
    by_nu = nu / (1 - r) ** 2 - (np.exp(1j * theta) * both).real
    by_theta = -(1j * lam * both).real
    return loss, np.stack(((by_nu + by_theta * across) * (1 - r), by_theta * along))


def _descend(job: LearningJob) -> tuple[np.ndarray, np.ndarray]:
    """ω [steps + 1, 2, rules, parametrisations], and the loss [steps + 1, rules, parametrisations]."""
    root = math.sqrt(1 + MAGNITUDE**2)
    start = [START, math.log(START), START * MAGNITUDE * root / (1 - MAGNITUDE**2)]
    w = np.stack((np.full((2, 3), math.atanh(MAGNITUDE)), np.array([start] * 2)))
    m, v = np.zeros_like(w), np.zeros_like(w)
    weights, losses = np.empty((job.steps + 1, *w.shape)), np.empty((job.steps + 1, 2, 3))
    sign = np.array([True, False])[:, None]
    for step in range(job.steps + 1):
        loss, gradient = loss_and_gradient(w[0], w[1])
        weights[step], losses[step] = w, loss
        m, v = _BETA1 * m + (1 - _BETA1) * gradient, _BETA2 * v + (1 - _BETA2) * gradient**2
        mean, square = m / (1 - _BETA1 ** (step + 1)), v / (1 - _BETA2 ** (step + 1))
        mean, square = np.where(sign, gradient, mean), np.where(sign, gradient**2, square)
        w = w - job.lr * mean / (np.sqrt(square) + _EPSILON)
    return weights, losses


def _contours(points: int) -> list[list[object]]:
    magnitudes = np.linspace(*_RANGES[0], points)
    angles = np.stack([np.linspace(*own, points) for own in _RANGES[1]], axis=-1)
    w_nu = np.broadcast_to(magnitudes[:, None, None], (points, points, 3))
    w_theta = np.broadcast_to(angles[None], (points, points, 3))
    loss, _ = loss_and_gradient(w_nu, w_theta)
    return [
        row
        for j, name in enumerate(SHOWN)
        for row in rows_of(
            [name] * points**2,
            *(each[..., j].ravel().tolist() for each in (w_nu, w_theta, loss)),
            count=5,
        )
    ]


LEARNING = tables_kind("learning", LearningJob, learning_tables, seconds=10)
