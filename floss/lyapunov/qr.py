"""Differentiable QR decomposition with a positive diagonal of R, batched; the analytic pullback of Eq. 8."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.precision import in_full_precision


def rank_tolerance(r_diagonal: Float[Tensor, "*batch k"], n: int) -> Float[Tensor, "*batch"]:
    """Largest R_ii that is only rounding noise: √n · ε · max_j R_jj, with ε the precision of the dtype."""
    return r_diagonal.amax(-1) * (n**0.5 * torch.finfo(r_diagonal.dtype).eps)


def copyltu(m: Tensor) -> Tensor:
    """The symmetric matrix M_ij = m_{max(i,j), min(i,j)} with the lower triangle of m."""
    lower = torch.tril(m)
    return lower + torch.tril(m, -1).mT


def qr_pullback(q: Tensor, r: Tensor, grad_q: Tensor, grad_r: Tensor) -> Tensor:
    """Adjoint of a for a = q r: [Q̄ + Q copyltu(M)] R^{-T} with M = R R̄ᵀ - Q̄ᵀ Q (Eq. 8 of Engelken 2023).

    Shapes: q, grad_q [..., n, k]; r, grad_r [..., k, k]; returns [..., n, k]. The lower triangle of r is constant, and
    copyltu passes over what grad_r has there.
    """
    m = r @ grad_r.mT - grad_q.mT @ q
    return torch.linalg.solve_triangular(r.mT, grad_q + q @ copyltu(m), upper=False, left=False)


def qr_pushforward(q: Tensor, r: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """Tangents of q and r for a = q r with the tangent of a: Q̇ = Q Ω + (I - Q Qᵀ) Ȧ R⁻¹, Ṙ = (B - Ω) R.

    B = Qᵀ Ȧ R⁻¹, and Ω is the skew-symmetric matrix with its strictly lower triangle. Shapes as in `qr_pullback`.
    """
    tangent_q, growth = pushforward_factors(q, torch.linalg.solve_triangular(r, tangent, upper=True, left=False))
    return tangent_q, growth @ r


def pushforward_factors(q: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor]:
    """Q̇ and Ṙ R⁻¹ = B - Ω, upper triangular, of the tangent Ȧ R⁻¹ [..., n, k]."""
    b = q.mT @ scaled
    skew = torch.tril(b, -1) - torch.tril(b, -1).mT
    return q @ skew + scaled - q @ b, torch.triu(b - skew)


class _QR(torch.autograd.Function):
    """Decomposes and checks; `torch.func` sees through it, and differentiates its derivatives as well."""

    @staticmethod
    def forward(a: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        finite = torch.isfinite(a).all(-1).all(-1)
        if not finite.all():
            raise ValueError(f"qr: the matrix{_place(~finite)} has a value that is not finite")
        q, r = torch.linalg.qr(a)
        sign = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(a.dtype)
        q, r = q * sign[..., None, :], r * sign[..., :, None]
        diagonal = r.diagonal(dim1=-2, dim2=-1)
        dependent = diagonal <= rank_tolerance(diagonal, a.shape[-2])[..., None]
        if dependent.any():
            column = int(dependent.nonzero()[0, -1])
            raise ValueError(
                f"qr: column {column} of the matrix{_place(dependent.any(-1))} depends linearly on the columns before"
                f" it: R_ii = {float(diagonal[dependent][0]):.3g}"
            )
        return q, r

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:  # noqa: ARG004
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        q, r = ctx.saved_tensors
        return qr_pullback(q, r, *grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> tuple[Tensor, Tensor]:
        q, r = ctx.saved_tensors
        return qr_pushforward(q, r, tangents[0])

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:  # noqa: ARG004
        return _QR.apply(args[0].movedim(in_dims[0], 0)), (0, 0)  # pyright: ignore[reportReturnType]


@in_full_precision
def qr(a: Float[Tensor, "*batch n k"]) -> tuple[Float[Tensor, "*batch n k"], Float[Tensor, "*batch k k"]]:
    """QR decomposition a = q r with diag(r) > 0, which makes it unique, and its analytic derivatives.

    By Householder reflections (LAPACK), so orthonormal to rounding whatever the condition number of a. Forward and
    reverse mode, of any order, also by `torch.func` (grad, jacrev, jvp, vmap).

    Args:
        a: matrices of full column rank, [..., n, k] with n ≥ k ≥ 1; float32 or float64.

    Returns:
        q with orthonormal columns, [..., n, k], and r, upper triangular with positive diagonal, [..., k, k].

    Raises:
        ValueError: a has fewer rows than columns, a value that is not finite, or a column that depends linearly on
            those before it (R_ii below √n · ε · max_j R_jj); the message names the batch index.

    Source: Eq. 8 and Appendix A of Engelken 2023; Walter & Lehmann 2010.
    """
    a = arguments.real_tensor("qr", "a", a, "[..., n, k]")
    if a.ndim < 2 or a.shape[-2] < a.shape[-1] or a.shape[-1] < 1:
        raise ValueError(f"qr: needs matrices of shape [..., n, k] with n >= k >= 1, got {list(a.shape)}")
    return _QR.apply(a)  # pyright: ignore[reportReturnType]


def _place(flags: Tensor) -> str:
    """' at batch index (i, j)' of the first set flag; empty for a single matrix."""
    return f" at batch index {tuple(flags.nonzero()[0].tolist())}" if flags.ndim else ""
