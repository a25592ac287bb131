"""Impulse responses of the second paper's teachers: linear networks with a least |λ| = ν₀ and a largest angle θ₀."""

import math

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor

from floss import random
from floss.random import Stream

# |ℓ|, arg ℓ and residue of the eigenvalues ℓ of the authors' random matrix (ten units, their fixed seed), one of each
# complex pair and the real ones, and the weight from input to output.
_AUTHORS = (
    (0.843228, 0.368151, 0.092543 - 0.357170j),
    (0.549138, 2.541982, -0.776845 + 0.037363j),
    (0.828258, math.pi, 0.251426),
    (0.533169, 0.339244, 0.130694 - 0.151670j),
    (0.504094, 1.993444, 0.797064 + 0.537946j),
    (0.248398, math.pi, -0.213691),
)
_AUTHORS_D = -0.879144


def spread_eigenvalues(
    eigenvalues: Complex[Tensor, "*batch n"], nu: float | Tensor, theta: float | Tensor
) -> Complex[Tensor, "*batch n"]:
    """Eigenvalues ℓ of a random matrix, moved to λ: `floss.memory.spread_eigenvalues` without its checks."""
    return torch.polar(nu + (1.0 - nu) * torch.tanh(eigenvalues.abs()), eigenvalues.angle() * theta / math.pi)


def authors_teacher(nu: float, theta: float, steps: int) -> Float[Tensor, "steps"]:
    """The one teacher behind all of the paper's training runs: `floss.memory.authors_teacher` without its checks."""
    magnitude, angle, weight = (
        torch.tensor(column, dtype=dtype)
        for column, dtype in zip(
            zip(*_AUTHORS, strict=True), (torch.float64, torch.float64, torch.complex128), strict=True
        )
    )
    lam = spread_eigenvalues(torch.polar(magnitude, angle), nu, theta)
    single = angle == math.pi
    lam = torch.where(single, lam.real + 0j, lam)
    k = torch.einsum("n,nt->t", torch.where(single, 1.0, 2.0) * weight, _powers(lam, steps)).real.clone()
    k[0] += _AUTHORS_D
    return k


def seeded_teacher(
    seeds: Int64[Tensor, "R"], nu: Float[Tensor, "R"], theta: Float[Tensor, "R"], steps: int, *, n: int = 10
) -> Float[Tensor, "R {steps}"]:
    """Impulse responses of teachers that are drawn by the authors' recipe, one from each seed.

        k*_τ = C A^τ B + D δ_{τ0},     A = Re[P λ P⁻¹],     B, D ~ N(0, 1),     C ~ N(0, 1/n)

    where P are the eigenvectors of a matrix with entries N(0, 1/n), and λ its eigenvalues moved by
    `spread_eigenvalues`. In float64.

    Args:
        seeds: one per teacher.
        nu: ν₀ of each.
        theta: θ₀ of each, in radians.
        steps: T.
        n: hidden units.

    Source: App. E of Zucchet & Orvieto 2024, who have one teacher for all networks (`authors_teacher`).
    """

    def normal(part: int, *shape: int) -> Tensor:
        count = math.prod(shape)
        numbers = random.normal(seeds, Stream.TEACHER, count, part=part, dtype=torch.float64)
        return numbers.reshape(len(seeds), *shape)

    eigenvalues, P = torch.linalg.eig(normal(0, n, n) / n**0.5)
    moved = spread_eigenvalues(eigenvalues, nu[:, None].double(), theta[:, None].double())
    A = torch.linalg.solve(P, P * moved[:, None, :], left=False).real
    state, readout, responses = normal(1, n, 1), normal(2, 1, n) / n**0.5, []
    for _ in range(steps):
        responses.append((readout @ state)[:, 0, 0])
        state = A @ state
    k = torch.stack(responses, -1)
    k[:, 0] += normal(3, 1)[:, 0]
    return k


def _powers(lam: Complex[Tensor, "n"], steps: int) -> Complex[Tensor, "n {steps}"]:
    """λ^0 … λ^{T-1}, in float64."""
    factors = lam[:, None].expand(-1, steps).clone()
    factors[:, 0] = 1.0
    return factors.cumprod(-1)


def zero_student_loss(kernel: Float[Tensor, "*batch steps"]) -> Float[Tensor, "*batch"]:
    """Loss of a student that says nothing: `floss.memory.zero_student_loss` without its checks."""
    steps = kernel.shape[-1]
    weights = 1.0 - torch.arange(steps, dtype=kernel.dtype, device=kernel.device) / steps
    return 0.5 * (weights * kernel**2).sum(-1)
