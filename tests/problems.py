"""Maps whose Lyapunov spectra are known exactly: a map, where it starts, and its exponents in nats per step."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.lyapunov.flow import stroboscopic_map
from floss.lyapunov.spectrum import Step
from floss.networks import CELLS, RateNetwork
from floss.networks.rate.activation import Activation

DOUBLE = torch.float64

RATE_CELLS = ("vanilla", "relu", "linear")
"""Rate networks: h ↦ W φ(h) + V x / S + b, with a hand-written time loop and exponents in closed form."""
GATED_CELLS = ("lstm", "gru")
TRAINED_CELLS = tuple(name for name, cell in CELLS.items() if cell.trains_initial_state)
"""All but the linear students, which have a test file of their own."""
QR_CELLS = (*RATE_CELLS, *GATED_CELLS)
"""Architectures whose exponents come from a chain of QR decompositions; those of the LRU are known at once."""


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


def activation(arch: str) -> Activation:
    """The transfer function of a rate network."""
    cell = CELLS[arch]
    assert isinstance(cell, RateNetwork)
    return cell.activation


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
    """Hénon map, a = 1.4, b = 0.3: λ₁ = 0.41922 (Sprott 2003), and λ₁ + λ₂ = log|det D| = log 0.3 exactly."""
    first = 0.41922
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


def ikeda() -> Problem:
    """Ikeda map, μ = 0.9, α = 6, β = 0.4, γ = 1: λ₁ = 0.50760 (Sprott 2003), and λ₁ + λ₂ = 2 log 0.9 exactly."""
    first = 0.50760

    def step(h: Tensor) -> Tensor:
        x, y = h.unbind(-1)
        angle = 0.4 - 6.0 / (1.0 + x**2 + y**2)
        c, s = angle.cos(), angle.sin()
        return torch.stack((1.0 + 0.9 * (x * c - y * s), 0.9 * (x * s + y * c)), dim=-1)

    exponents = torch.tensor([first, 2.0 * math.log(0.9) - first], dtype=DOUBLE)
    # The mean of 256 runs of 300 steps scatters by 0.002.
    return Problem("Ikeda", step, 0.1 * gaussian(10, 256, 2), exponents, 340, 40, 6e-3)


def standard_map() -> Problem:
    """Chirikov's standard map at K = 20: λ₁ = log(K / 2) up to order 1/K² (Chirikov 1979), and λ₂ = -λ₁: symplectic."""
    K = 20.0

    def step(h: Tensor) -> Tensor:
        angle, momentum = h.unbind(-1)
        momentum = momentum + K * angle.sin()
        return torch.stack((angle + momentum, momentum), dim=-1) % math.tau

    uniform = torch.rand(512, 2, generator=torch.Generator().manual_seed(11), dtype=DOUBLE)  # the invariant density
    first = math.log(K / 2.0)
    # 1/K² = 0.0025, and the mean of 512 runs of 200 steps scatters by 0.003.
    return Problem("standard map", step, math.tau * uniform, torch.tensor([first, -first], dtype=DOUBLE), 210, 10, 8e-3)


def cat_map() -> Problem:
    """Arnold's cat map: hyperbolic with a constant Jacobian, λ = ±log((3 + √5) / 2), orthogonal directions."""
    A = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=DOUBLE)
    first = math.log((3.0 + 5.0**0.5) / 2.0)
    h0 = torch.tensor([0.2, 0.7], dtype=DOUBLE)
    # After t steps the tangent vectors have turned to the eigenvectors up to exp(-4 λ t).
    return Problem(
        "cat map", lambda h: (h @ A.mT) % 1.0, h0, torch.tensor([first, -first], dtype=DOUBLE), 60, 30, 1e-12
    )


def coupled_logistic() -> Problem:
    """Synchronous ring of coupled logistic maps, N = 4, ε = 0.6: λ_i = log 2 + log|1 - ε (1 - cos(2π i / N))|.

    x_i ← (1 - ε) f(x_i) + ε/2 (f(x_{i-1}) + f(x_{i+1})) with f(x) = 4 x (1 - x). Where all sites are equal, D = f'(x) C
    with the circulant matrix C of the ring; log 2 is the mean of log|f'|. Here all but the first exponent are negative,
    so that the sites stay equal.
    """
    N, coupling = 4, 0.6
    identity = torch.eye(N, dtype=DOUBLE)
    C = (1.0 - coupling) * identity + 0.5 * coupling * (identity.roll(1, 0) + identity.roll(-1, 0))
    waves = torch.arange(N, dtype=DOUBLE) * (math.tau / N)
    exponents = (2.0 * (1.0 - coupling * (1.0 - waves.cos())).abs()).log().sort(descending=True).values
    h0 = torch.full((N,), 0.3, dtype=DOUBLE)
    # Of one run of the logistic map a boundary term over the number of steps is left.
    return Problem("coupled logistic", lambda h: (4.0 * h * (1.0 - h)) @ C.mT, h0, exponents, 1100, 100, 3e-3)


def lorenz_field(h: Tensor) -> Tensor:
    """Lorenz's flow of 1963, σ = 10, ρ = 28, β = 8/3."""
    x, y, z = h.unbind(-1)
    return torch.stack((10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z), dim=-1)


def lorenz_product(h: Tensor, q: Tensor) -> Tensor:
    """Its Jacobian times tangent vectors q [..., 3, k]."""
    x, y, z = h[..., None].unbind(-2)
    a, b, c = q.unbind(-2)
    return torch.stack((10.0 * (b - a), a * (28.0 - z) - x * c - b, a * y + x * b - 8.0 / 3.0 * c), dim=-2)


def lorenz_starts(seed: int, *shape: int) -> Tensor:
    """States about the attractor."""
    return 8.0 * gaussian(seed, *shape, 3) + torch.tensor([0.0, 0.0, 25.0], dtype=DOUBLE)


def lorenz(period: float = 0.1, substeps: int = 10) -> Problem:
    """Lorenz 1963: 0.9056, 0, -14.5723 per unit of time (Sprott 2003), here per `period`; their sum is -(σ + 1 + β)."""
    step = stroboscopic_map(lorenz_field, period, substeps=substeps, jacobian_product=lorenz_product)
    exponents = period * torch.tensor([0.9056, 0.0, -14.5723], dtype=DOUBLE)
    transient, steps = round(20.0 / period), round(60.0 / period)
    # 40 units of time: the mean of 400 runs scatters by 0.002 per unit of time.
    return Problem("Lorenz", step, lorenz_starts(12, 400), exponents, steps, transient, 6e-3 * period)


PROBLEMS = (
    rotated_diagonal(),
    scaled_orthogonal(),
    henon(),
    ikeda(),
    standard_map(),
    cat_map(),
    logistic(),
    coupled_logistic(),
    quiet_tanh(),
)
