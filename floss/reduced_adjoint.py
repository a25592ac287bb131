"""Lyapunov exponents of rate networks and their gradient in closed form: hot loop number two.

The exponents depend on the chain Z_j = D Q_{j-1} = Q_j R_j only through log diag R_j, and for such a loss the
general pullback of the QR decomposition (Eq. 8, `floss.qr_decomposition`) reduces exactly. With
g_j = ∂L/∂ log diag R_j (zero in the transient) and Q̄ the adjoint of Q_j, going backwards:

    Q̄ ← Q̄ - Q striu(Qᵀ Q̄)                re-projection
    Z̄ = [Q̄ + Q diag(g_j - g_{j+1})] R_j^{-T}      g_{j+1} = 0 after the last interval
    Q̄ ← Dᵀ Z̄

In exact arithmetic the re-projection changes nothing, since Q̄ᵀ Q is upper triangular by induction; in floating point
the adjoint explodes without it. The one-step Jacobian is D = W diag(φ'(h)), so W̄ += Z̄ (φ' ∘ Q)ᵀ, and the state
gets (φ''/φ') ∘ rowsum(Q̄ ∘ Q).

Directions that a rank-deficient Jacobian annihilates have exponent -inf; they neither stop the others nor touch their
gradient, since the first i exponents depend on the first i columns alone. D has at most as many independent directions
as units with φ' ≠ 0; that count is exact, where a rounded R_ii would only be small.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.activation import Activation
from floss.qr_decomposition import rank_tolerance

_CHOLESKY_SPREAD = 1e5
"""Largest R_ii / R_jj for which the Gram matrix in float64 keeps all digits of single precision."""


def orthonormalisation_times(steps: int, t_ons: int, transient: int) -> Iterator[tuple[int, bool]]:
    """Ends of the orthonormalisation intervals, and whether the interval counts.

    Intervals of t_ons steps, first over the transient, then over the counted steps; the last one of each part is
    shorter where t_ons does not divide it, and is closed all the same.
    """
    for start, stop in ((0, transient), (transient, steps)):
        for begin in range(start, stop, t_ons):
            yield min(begin + t_ons, stop), start == transient


def orthonormalise(z: Float[Tensor, "R N k"]) -> tuple[Tensor, Tensor, Tensor]:
    """QR decomposition for the hot loop: Q [R, N, k], log diag R [R, k] and R^{-1} [R, k, k], never raising.

    Single precision goes through the Cholesky factor of the Gram matrix in float64, which is batched on every device,
    and orthonormal to about 1e-7 up to condition numbers of 1e5. Double precision, and the networks whose R_ii spread
    more than that, go through Householder reflections.

    A dependent column and those after it get log R_ii = -inf; a network that is not finite gets NaN throughout and an
    arbitrary finite Q. R^{-1} is finite in any case.
    """
    if z.dtype == torch.float64:
        return _householder(z)
    wide = z.double()
    factor, info = torch.linalg.cholesky_ex(wide.mT @ wide)
    identity = torch.eye(z.shape[-1], dtype=torch.float64, device=z.device).expand_as(factor)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False).mT
    q = (wide @ inverse).to(z.dtype)
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    failed = (info != 0) | ~(diagonal.amin(-1) > diagonal.amax(-1) / _CHOLESKY_SPREAD)
    log_r, inverse = diagonal.log().to(z.dtype), inverse.to(z.dtype)
    if failed.any():
        q[failed], log_r[failed], inverse[failed] = _householder(z[failed])
    return q, log_r, inverse


def _householder(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    k = z.shape[-1]
    finite = torch.isfinite(z).all(-1).all(-1)
    identity = torch.eye(*z.shape[-2:], dtype=z.dtype, device=z.device)
    q, r = torch.linalg.qr(torch.where(finite[:, None, None], z, identity))
    sign = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(z.dtype)
    q, r = q * sign[:, None, :], r * sign[:, :, None]
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    sound = (diagonal > rank_tolerance(diagonal, z.shape[-2])[:, None]).cumprod(-1).bool()
    log_r = torch.where(sound, diagonal, 0.0).log()
    log_r = torch.where(finite[:, None], log_r, torch.nan)
    safe = torch.where(sound[:, :, None] & sound[:, None, :], r, torch.eye(k, dtype=z.dtype, device=z.device))
    inverse = torch.linalg.solve_triangular(safe, torch.eye(k, dtype=z.dtype, device=z.device).expand_as(r), upper=True)
    return q, log_r, inverse


def rate_network_exponents(
    W: Float[Tensor, "R N N"],
    V: Float[Tensor, "R N S"],
    b: Float[Tensor, "R N"],
    h0: Float[Tensor, "R N"],
    inputs: Float[Tensor, "T R S"],
    q0: Float[Tensor, "R N k"],
    activation: Activation,
    *,
    t_ons: int = 1,
    transient: int = 0,
) -> Float[Tensor, "R k"]:
    """Lyapunov exponents in the order of the columns of q0, differentiable with respect to all tensors.

    Args:
        W: recurrent weights.
        V: input weights; the drive is V x / S.
        b: biases.
        h0: initial states, one trajectory per network.
        inputs: x[1], …, x[T].
        q0: orthonormal initial tangent vectors.
        activation: transfer function φ.
        t_ons: orthonormalisation interval in steps.
        transient: steps that are not counted.

    Returns:
        Exponents in nats per step, unsorted; -inf for directions lost to rank deficiency; NaN for a network that is
        not finite.

    Source: Eqs. 6-8 of Engelken 2023; the reduction of the adjoint is derived in this module's docstring.
    """
    return _Exponents.apply(  # pyright: ignore[reportReturnType]
        W, V, b, h0, inputs, q0, activation, t_ons, transient
    )


class _Exponents(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        W: Tensor,
        V: Tensor,
        b: Tensor,
        h0: Tensor,
        inputs: Tensor,
        q0: Tensor,
        activation: Activation,
        t_ons: int,
        transient: int,
    ) -> Tensor:
        T, S = inputs.shape[0], inputs.shape[-1]
        intervals = dict(orthonormalisation_times(T, t_ons, transient))
        rates, tangents, inverses = [], [q0], {}
        total = q0.new_zeros(q0.shape[0], q0.shape[-1])
        drive = (inputs / S)[:, :, None, :] @ V.mT + b[:, None, :]  # [T, R, 1, N]
        h, p = h0, q0
        lost = torch.zeros_like(total, dtype=torch.bool)
        column = torch.arange(q0.shape[-1], device=q0.device)
        for s in range(T):
            r = activation.rate(h)
            rates.append(r)
            slope = activation.slope(r)
            lost |= column >= (slope != 0).sum(-1, keepdim=True)
            p = W @ (slope[:, :, None] * p)
            h = torch.baddbmm(drive[s], r[:, None, :], W.mT)[:, 0]
            if s + 1 in intervals:
                p, log_r, inverses[s + 1] = orthonormalise(p)
                lost |= log_r == -torch.inf
                if intervals[s + 1]:
                    total += log_r
            tangents.append(p)
        # The state enters nothing but the Jacobians: a network whose last state overflowed is caught here.
        total = torch.where(torch.isfinite(h).all(-1, keepdim=True), total, torch.nan)
        lost = (lost.cumsum(-1) > 0) & ~total.isnan()
        ctx.save_for_backward(W, V, inputs)
        ctx.rates, ctx.tangents, ctx.inverses = rates, tangents, inverses
        ctx.intervals, ctx.activation, ctx.counted, ctx.lost = intervals, activation, T - transient, lost
        return torch.where(lost, -torch.inf, total / (T - transient))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        W, V, inputs = ctx.saved_tensors
        S = inputs.shape[-1]
        g = torch.where(ctx.lost, 0.0, grad / ctx.counted)
        g_next = torch.zeros_like(g)
        gW, gV, gb = torch.zeros_like(W), torch.zeros_like(V), W.new_zeros(W.shape[:2])
        gh = torch.zeros_like(gb)
        gp = torch.zeros_like(ctx.tangents[0])
        gx = torch.zeros_like(inputs) if ctx.needs_input_grad[4] else None
        for s in range(len(ctx.rates), 0, -1):
            if s in ctx.intervals:
                q = ctx.tangents[s]
                g_here = g if ctx.intervals[s] else torch.zeros_like(g)
                # Q̄ - Q striu(Qᵀ Q̄) + Q diag(g - g_next) = Q̄ + Q [diag(g - g_next) - striu(Qᵀ Q̄)]
                mix = torch.diag_embed(g_here - g_next) - torch.triu(q.mT @ gp, 1)
                gp = torch.baddbmm(gp, q, mix) @ ctx.inverses[s].mT
                g_next = g_here
            r, p = ctx.rates[s - 1], ctx.tangents[s - 1]
            slope = ctx.activation.slope(r)
            gW.baddbmm_(gp, (slope[:, :, None] * p).mT)
            gp = slope[:, :, None] * (W.mT @ gp)
            # h[s] = W r[s-1] + V x[s] / S + b
            gW.baddbmm_(gh[:, :, None], r[:, None, :])
            gV.baddbmm_(gh[:, :, None], inputs[s - 1][:, None, :], alpha=1.0 / S)
            gb += gh
            if gx is not None:
                gx[s - 1] = torch.bmm(gh[:, None, :], V)[:, 0] / S
            gh = slope * torch.bmm(gh[:, None, :], W)[:, 0] + ctx.activation.curvature(r) * (gp * p).sum(-1)
        return gW, gV, gb, gh, gx, gp, None, None, None
