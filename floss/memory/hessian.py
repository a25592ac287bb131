"""The Hessian of a linear student at the optimum, where it computes what its teacher does; exact, without samples."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from floss.lyapunov.arguments import whole_number
from floss.memory.arguments import numbers, real
from floss.memory.neuron import sensitivity_moment
from floss.networks.linear_students.impulse_response import checked, impulse_response


@dataclass(frozen=True)
class Hessian:
    """Second derivatives of the loss, and which of its rows belong to which parameter."""

    matrix: Float[Tensor, "*batch P P"]
    rows: Mapping[str, slice]
    """Rows of each parameter, in the order of the student's parameters."""

    def eigenvalues(self) -> Float[Tensor, "*batch P"]:
        """Descending."""
        return torch.linalg.eigvalsh(self.matrix).flip(-1)

    def eigenvectors(self, count: int) -> Float[Tensor, "*batch P count"]:
        """Unit eigenvectors of the largest eigenvalues, as columns."""
        return torch.linalg.eigh(self.matrix).eigenvectors.flip(-1)[..., :count]

    def share(self, *names: str) -> Float[Tensor, "*batch"]:
        """Part of the trace that some parameters hold."""
        diagonal = self.matrix.diagonal(dim1=-2, dim2=-1)
        return sum((diagonal[..., self.rows[name]].sum(-1) for name in names), torch.zeros(())) / diagonal.sum(-1)


def hessian(student: str, parameters: Mapping[str, Tensor], steps: int) -> Hessian:
    """The Hessian at the optimum, for white input over T steps and h_0 = 0.

        L = ½ Σ_τ (1 - τ/T) (k_τ - k*_τ)²,     H = Jᵀ diag(1 - τ/T) J,     J = ∂k / ∂parameters

    where k* is the impulse response of the parameters themselves. Its rank is the number of degrees of freedom of k,
    whatever the number of parameters: 2n + 1 for n real hidden units, and for n complex ones in conjugate pairs; 4n + 1
    for n complex ones without their conjugates.

    Args:
        student: a name from `floss.memory.STUDENTS`.
        parameters: its parameters, real, with the same leading axes.
        steps: T.

    Returns:
        The Hessian [..., P, P].

    Raises:
        ValueError: as `impulse_response`.

    Source: Sec. 4 of Zucchet & Orvieto 2024; the formula is exact where theirs is sampled.
    """
    kind, parameters = checked(student, parameters)
    steps = whole_number("hessian", "steps", steps, 1)
    dims = kind.dims
    shapes = {name: parameters[name].shape[parameters[name].ndim - dims[name] :] for name in dims}
    rows, place = {}, 0
    for name, shape in shapes.items():
        rows[name] = slice(place, place + shape.numel())
        place = rows[name].stop
    batch = parameters["D"].shape
    flat = torch.cat([parameters[name].reshape(*batch, shapes[name].numel()) for name in dims], dim=-1)

    def response(vector: Tensor) -> Tensor:
        own = {name: vector[rows[name]].reshape(shapes[name]) for name in dims}
        return impulse_response(student, own, steps)

    jacobian = torch.func.vmap(torch.func.jacfwd(response))(flat.reshape(-1, place)).reshape(*batch, steps, place)
    weights = 1.0 - torch.arange(steps, dtype=flat.dtype, device=flat.device) / steps
    return Hessian(jacobian.mT @ (weights[:, None] * jacobian), rows)


def eigenvalue_hessian(
    eigenvalues: Complex[Tensor, "*batch n"], residues: Complex[Tensor, "*batch n"], rho: float = 0.0
) -> Float[Tensor, "*batch 2n 2n"]:
    """∂²L over (Re λ, Im λ) of a complex diagonal student at the optimum, for input of any length.

        ½ [[Re(A + B), Im(B - A)], [-Im(A + B), Re(B - A)]],
        A_ij = w_i w_j S(λ_i, λ_j, ρ),     B_ij = w_i w̄_j S(λ_i, λ̄_j, ρ),     w = b c

    Its trace is Σ |w_i|² S(λ_i, λ̄_i, ρ). Entries off the diagonal are large for eigenvalues that are equal or complex
    conjugates, and for any two near 1 where the input is correlated.

    Args:
        eigenvalues: λ_i, |λ_i| < 1.
        residues: w_i = b_i c_i.
        rho: correlation of the input from one step to the next.

    Raises:
        ValueError: eigenvalues and residues that are not numbers of one shape, or as `sensitivity_moment`.

    Source: App. D of Zucchet & Orvieto 2024.
    """
    eigenvalues, residues = numbers("eigenvalues", eigenvalues), numbers("residues", residues)
    if eigenvalues.shape != residues.shape or eigenvalues.ndim < 1 or not eigenvalues.shape[-1]:
        shapes = f"{list(eigenvalues.shape)} and {list(residues.shape)}"
        raise ValueError(f"eigenvalues, residues: must be of one shape [..., n], not of {shapes}")
    rho = float(real("rho", rho))
    eigenvalues, residues = (value if value.is_complex() else value + 0j for value in (eigenvalues, residues))
    left, right = eigenvalues[..., :, None], eigenvalues[..., None, :]
    A = residues[..., :, None] * residues[..., None, :] * sensitivity_moment(left, right, rho)
    B = residues[..., :, None] * residues[..., None, :].conj() * sensitivity_moment(left, right.conj(), rho)
    upper = torch.cat(((A + B).real, (B - A).imag), dim=-1)
    lower = torch.cat((-(A + B).imag, (B - A).real), dim=-1)
    return 0.5 * torch.cat((upper, lower), dim=-2)


def participation(vectors: Float[Tensor, "*batch P"], dim: int = -1) -> Float[Tensor, "*batch"]:
    """Participation ratio (Σ v²)² / Σ v⁴: over how many coordinates a vector is spread, from 1 to P.

    Args:
        vectors: v, real.
        dim: their axis.

    Raises:
        ValueError: vectors that are not real numbers, or an axis that they do not have.
    """
    vectors = numbers("vectors", vectors, real=True)
    axes = vectors.ndim
    dim = whole_number("participation", "dim", dim, -axes, axes - 1, allowed=f"an axis of {list(vectors.shape)}")
    return (vectors**2).sum(dim) ** 2 / (vectors**4).sum(dim)
