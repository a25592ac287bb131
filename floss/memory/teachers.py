"""Teachers of the paper: linear networks whose eigenvalues have a least magnitude ν₀ and a largest angle θ₀."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from floss.lyapunov.arguments import check_broadcast, whole_number
from floss.memory.arguments import numbers, real, require
from floss.memory.students import powers

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
    return torch.polar(nu + (1.0 - nu) * torch.tanh(eigenvalues.abs()), eigenvalues.angle() * theta / math.pi)


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
    nu, theta = float(real("nu", nu)), float(real("theta", theta))
    steps = whole_number("authors_teacher", "steps", steps, 1)
    magnitude, angle, weight = (
        torch.tensor(column, dtype=dtype)
        for column, dtype in zip(
            zip(*_AUTHORS, strict=True), (torch.float64, torch.float64, torch.complex128), strict=True
        )
    )
    lam = spread_eigenvalues(torch.polar(magnitude, angle), nu, theta)
    single = angle == math.pi
    lam = torch.where(single, lam.real + 0j, lam)
    k = torch.einsum("n,nt->t", torch.where(single, 1.0, 2.0) * weight, powers(lam, steps)).real.clone()
    k[0] += _AUTHORS_D
    return k


def zero_student_loss(kernel: Float[Tensor, "*batch steps"]) -> Float[Tensor, "*batch"]:
    """½ E y² over T steps of white input: the loss of a student that says nothing, ½ Σ_τ (1 - τ/T) k_τ².

    Raises:
        ValueError: a kernel that is not real numbers [..., T], T ≥ 1.
    """
    kernel = numbers("kernel", kernel, real=True)
    if kernel.ndim < 1 or not kernel.shape[-1]:
        raise ValueError(f"kernel: must be of shape [..., T] with T >= 1, not of {list(kernel.shape)}")
    steps = kernel.shape[-1]
    weights = 1.0 - torch.arange(steps, dtype=kernel.dtype, device=kernel.device) / steps
    return 0.5 * (weights * kernel**2).sum(-1)
