"""Teachers of the paper, with their arguments checked; `floss.tasks.linear_teachers` has the bare functions."""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from floss.lyapunov.arguments import check_broadcast, whole_number
from floss.memory.arguments import numbers, real, require
from floss.tasks import linear_teachers as bare


def spread_eigenvalues(
    eigenvalues: Complex[Tensor, "*batch n"], nu: float | Tensor, theta: float | Tensor
) -> Complex[Tensor, "*batch n"]:
    """Eigenvalues ℓ of a random matrix, moved to λ = (ν₀ + (1 - ν₀) tanh |ℓ|) exp(i arg ℓ θ₀ / π).

    Args:
        eigenvalues: ℓ.
        nu: ν₀, the least magnitude, from 0 to 1.
        theta: θ₀, the largest angle in radians.

    Returns:
        λ, all within the unit circle.

    Raises:
        ValueError: what are not numbers, or a magnitude that is not between 0 and 1.

    Source: the authors' code of Zucchet & Orvieto 2024.
    """
    eigenvalues = numbers("eigenvalues", eigenvalues)
    require(torch.isfinite(eigenvalues), "eigenvalues: must be finite", eigenvalues.abs())
    nu, theta = (_like(eigenvalues, name, value) for name, value in (("nu", nu), ("theta", theta)))
    require((nu >= 0) & (nu <= 1), "nu: must be from 0 to 1", nu)
    require(torch.isfinite(theta), "theta: must be finite", theta)
    return bare.spread_eigenvalues(eigenvalues, nu, theta)


def _like(eigenvalues: Tensor, name: str, value: float | Tensor) -> Tensor:
    """A real number, or several that broadcast to the eigenvalues, of their precision."""
    tensor = numbers(name, value, real=True).to(eigenvalues.abs())
    check_broadcast("spread_eigenvalues", name, tensor.shape, eigenvalues.shape)
    return tensor


def authors_teacher(nu: float, theta: float, steps: int) -> Float[Tensor, "steps"]:
    """Impulse response of the one teacher behind all of the paper's training runs.

        k*_τ = D δ_{τ0} + Σ_pairs 2 Re(w λ^τ) + Σ_real w Re(λ)^τ

    A real negative eigenvalue that is turned by θ₀ < π becomes the real number |λ| cos θ₀, since the authors take the
    real part of the matrix.

    Args:
        nu: ν₀.
        theta: θ₀ in radians.
        steps: T.

    Raises:
        ValueError: ν₀ is not from 0 to 1, θ₀ is not finite, or T < 1.

    Source: regenerated from the authors' code, with residues to six digits.
    """
    magnitude, angle = real("nu", nu), real("theta", theta)
    require((magnitude >= 0) & (magnitude <= 1), "nu: must be from 0 to 1", magnitude)
    return bare.authors_teacher(float(magnitude), float(angle), whole_number("authors_teacher", "steps", steps, 1))


def zero_student_loss(kernel: Float[Tensor, "*batch steps"]) -> Float[Tensor, "*batch"]:
    """½ E y² over T steps of white input: the loss of a student that says nothing, ½ Σ_τ (1 - τ/T) k_τ².

    Raises:
        ValueError: a kernel that is not real numbers [..., T], T ≥ 1.
    """
    checked: Any = numbers("kernel", kernel, real=True)
    if checked.ndim < 1 or not checked.shape[-1]:
        raise ValueError(f"kernel: must be of shape [..., T] with T >= 1, not of {list(checked.shape)}")
    return bare.zero_student_loss(checked)
