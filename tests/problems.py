"""Maps whose Lyapunov spectra are known exactly: a map, where it starts, and its exponents in nats per step."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.cells import CELLS
from floss.lyapunov import Step

DOUBLE = torch.float64


@dataclass(frozen=True)
class Problem:
    """A one-step map and its spectrum. Where h0 is a batch, the exponents are those of the batch's mean."""

    name: str
    step: Step
    h0: Tensor
    exponents: Tensor
    """Exact, descending."""
    steps: int
    transient: int
    tolerance: float
    """What the finite run leaves, absolute."""


def gaussian(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers in float64, from a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def orthogonal(seed: int, n: int) -> Tensor:
    """A random orthogonal matrix."""
    return torch.linalg.qr(gaussian(seed, n, n))[0]


def rotated_diagonal() -> Problem:
    """Linear map with distinct real eigenvalues of both signs, behind a random rotation: λ_i = log|eig_i|."""
    values = torch.tensor([1.6, -1.1, 0.7, -0.4, 0.2], dtype=DOUBLE)
    rotation = orthogonal(1, 5)
    A = rotation @ torch.diag(values) @ rotation.mT
    # After t steps the tangent vectors have turned to the eigenvectors up to (1.1 / 1.6)^(2 t).
    return Problem("rotated diagonal", lambda h: h @ A.mT, gaussian(2, 5), values.abs().log(), 120, 60, 1e-12)


def scaled_orthogonal() -> Problem:
    """Linear map g Q with Q orthogonal: every vector grows by g, so all λ = log g from the first step on."""
    g, Q = 0.8, orthogonal(3, 6)
    exponents = torch.full((6,), math.log(g), dtype=DOUBLE)
    return Problem("g times orthogonal", lambda h: g * h @ Q.mT, gaussian(4, 6), exponents, 40, 0, 1e-13)


def henon() -> Problem:
    """Hénon map, a = 1.4, b = 0.3: λ₁ = 0.4192 (Sprott 2003), and λ₁ + λ₂ = log|det D| = log 0.3 exactly."""
    first = 0.4192
    exponents = torch.tensor([first, math.log(0.3) - first], dtype=DOUBLE)

    def step(h: Tensor) -> Tensor:
        x, y = h.unbind(-1)
        return torch.stack((1.0 - 1.4 * x**2 + y, 0.3 * x), dim=-1)

    # 10⁵ steps in all; the mean of 256 runs scatters by 0.001.
    return Problem("Henon", step, 0.1 * gaussian(5, 256, 2), exponents, 430, 30, 4e-3)


def logistic() -> Problem:
    """Logistic map at r = 4, conjugate to the tent map: λ = log 2."""
    uniform = torch.rand(256, 1, generator=torch.Generator().manual_seed(6), dtype=DOUBLE)
    h0 = torch.sin(0.5 * math.pi * uniform) ** 2  # on the invariant density
    # Conjugacy makes the error of each run a boundary term over the number of steps: about 1/300, and 1/√256 in mean.
    return Problem("logistic", lambda h: 4.0 * h * (1.0 - h), h0, torch.tensor([2.0], dtype=DOUBLE).log(), 300, 0, 1e-3)


def quiet_tanh() -> Problem:
    """A tanh network without input, g < 1, relaxing to its fixed point h = 0, where D = W: λ_i = log|eig_i(W)|."""
    values = torch.tensor([0.9, -0.7, 0.5, -0.3, 0.2], dtype=DOUBLE)
    basis = torch.eye(5, dtype=DOUBLE) + 0.2 * gaussian(7, 5, 5)
    W = basis @ torch.diag(values) @ torch.linalg.inv(basis)
    parameters = {"W": W[None], "V": gaussian(8, 1, 5, 1), "b": torch.zeros(1, 5, dtype=DOUBLE)}
    step = CELLS["vanilla"].step(parameters)
    # What is left of the state and of the wrong tangent directions after 200 steps: 0.9^400 and (0.7 / 0.9)^200.
    return Problem("quiet tanh network", step, gaussian(9, 1, 5), values.abs().log(), 300, 200, 1e-12)


PROBLEMS = (rotated_diagonal(), scaled_orthogonal(), henon(), logistic(), quiet_tanh())
