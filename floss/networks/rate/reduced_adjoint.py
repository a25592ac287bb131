"""Lyapunov exponents of rate networks and their gradient in closed form: hot loop number two.

The chain Z_j = D Q_{j-1} = Q_j R_j is differentiated by the reduced adjoint of `floss.lyapunov.tangent_qr`.
Here the diagonal of Qᵀ Q̄ is known: it is the g_{j+1} of the next interval (0 after the last), so going backwards

    Q̄ ← [Q̄ + Q (diag(g_j - g_{j+1}) - striu(Qᵀ Q̄))] R_j^{-T}
    Q̄ ← Dᵀ Q̄

The one-step Jacobian is D = W diag(φ'(h)), so W̄ += Z̄ (φ' ∘ Q)ᵀ, and the state gets (φ''/φ') ∘ rowsum(Q̄ ∘ Q).
D has at most as many independent directions as units with φ' ≠ 0; that count is exact, where a rounded R_ii would only
be small, so directions beyond it are marked lost (-inf).

A backward pass that is itself recorded, for second derivatives, runs the plain chain again instead and differentiates
that: the reduced adjoint is the gradient of the exponents, and its own derivative is not that of the gradient.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.derivatives import recorded_gradients
from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalisation_times, orthonormalise
from floss.lyapunov.tangent_qr import TangentQR
from floss.networks.rate.activation import Activation


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
    orthonormaliser: Orthonormaliser = orthonormalise,
    sums: torch.dtype | None = None,
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
        orthonormaliser: of the tangent vectors.
        sums: dtype in which the growth is added up; None for its own.

    Returns:
        Exponents in nats per step, unsorted; -inf for directions lost to rank deficiency; NaN for a network that is
        not finite.

    Source: Eqs. 6-8 of Engelken 2023; the reduction of the adjoint is derived in `floss.lyapunov.tangent_qr`.
    """
    return _Exponents.apply(  # pyright: ignore[reportReturnType]
        W, V, b, h0, inputs, q0, activation, t_ons, transient, orthonormaliser, sums
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
        orthonormaliser: Orthonormaliser,
        sums: torch.dtype | None,
    ) -> Tensor:
        T, S = inputs.shape[0], inputs.shape[-1]
        intervals = dict(orthonormalisation_times(T, t_ons, transient))
        keep = any(ctx.needs_input_grad)  # an analysis without gradients takes no memory, however long it is
        rates, tangents, inverses = [], [q0], {}
        total = q0.new_zeros(q0.shape[0], q0.shape[-1], dtype=sums)
        drive = (inputs / S)[:, :, None, :] @ V.mT + b[:, None, :]  # [T, R, 1, N]
        h, p = h0, q0
        lost = torch.zeros_like(total, dtype=torch.bool)
        column = torch.arange(q0.shape[-1], device=q0.device)
        for s in range(T):
            r = activation.rate(h)
            slope = activation.slope(r)
            lost |= column >= (slope != 0).sum(-1, keepdim=True)
            p = W @ (slope[:, :, None] * p)
            h = torch.baddbmm(drive[s], r[:, None, :], W.mT)[:, 0]
            if s + 1 in intervals:
                p, log_r, inverse = orthonormaliser(p, inverse=keep)
                lost |= log_r == -torch.inf
                if intervals[s + 1]:
                    total += log_r
                if keep:
                    inverses[s + 1] = inverse
            if keep:
                rates.append(r)
                tangents.append(p)
        # The state enters nothing but the Jacobians: a network whose last state overflowed is caught here.
        total = torch.where(torch.isfinite(h).all(-1, keepdim=True), total, torch.nan)
        lost = (lost.cumsum(-1) > 0) & ~total.isnan()
        ctx.save_for_backward(W, V, b, h0, inputs, q0)
        ctx.orthonormaliser = orthonormaliser
        ctx.rates, ctx.tangents, ctx.inverses = rates, tangents, inverses
        ctx.intervals, ctx.activation, ctx.counted, ctx.lost = intervals, activation, T - transient, lost
        return torch.where(lost, -torch.inf, total / (T - transient)).to(q0.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        W, V, _, _, inputs, _ = ctx.saved_tensors
        S = inputs.shape[-1]
        g = torch.where(ctx.lost, 0.0, grad / ctx.counted)
        if torch.is_grad_enabled():
            return _recorded_gradient(ctx, g)
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
        return gW, gV, gb, gh, gx, gp, None, None, None, None, None


def _recorded_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph, with g = ∂L/∂(sum of the growth): by the plain chain."""
    # Views: a tensor that is two of the arguments has two gradients.
    tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    W, V, b, h, inputs, q = tensors
    drive, activation = ((inputs / inputs.shape[-1])[:, :, None] @ V.mT)[:, :, 0] + b, ctx.activation
    tangent_qr, growth = TangentQR(ctx.orthonormaliser), torch.zeros_like(g)
    for s in range(len(inputs)):
        r = activation.rate(h)
        q = W @ (activation.slope(r)[:, :, None] * q)
        h = (W @ r[:, :, None])[:, :, 0] + drive[s]
        if s + 1 in ctx.intervals:
            q, log_r = tangent_qr(q)
            growth = growth + log_r if ctx.intervals[s + 1] else growth
    return recorded_gradients(growth, tensors, g, ctx.needs_input_grad)
