"""Lyapunov exponents of gated cells and their gradient in closed form.

The chain Z_j = D Q_{j-1} = Q_j R_j is differentiated by the reduced adjoint of `floss.lyapunov.tangent_qr`, as that of
rate networks in `floss.networks.rate.reduced_adjoint`. The one-step Jacobian is made of factors that depend on the
state alone (`gated_loops.loop`), so the gradient takes two ways back:

1. along the tangent vectors. M̄ = Z̄ Qᵀ has all of it: that of each gate's weights is diag(E) M̄, that of its factors
   rowsum(M̄ ∘ W), with as many products as the Jacobian has blocks;
2. along the states, as through time for a task, of what the adjoints of the factors mean for gates and states.

A backward pass that is itself recorded, for second derivatives, runs the plain chain again instead.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import recorded_gradients
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.step import Step
from floss.networks.gated_loops.bptt import joined
from floss.networks.gated_loops.loop import Factors, GatedLoop
from floss.networks.workspace import Workspace

Maker = Callable[..., Step]
"""The map of a cell, from its parameters."""


def gated_exponents(
    loop: GatedLoop,
    parameters: dict[str, Tensor],
    chain: Chain,
    inputs: Float[Tensor, "T R S"],
    maker: Maker,
) -> Float[Tensor, "R k"]:
    """Lyapunov exponents in the order of Q's columns, differentiable with respect to parameters, h0, inputs and Q.

    Args:
        loop: the cell.
        parameters: those of its map, stacked.
        chain: one trajectory per network, h [R, n] and q [R, n, k]; its own inputs are not looked at.
        inputs: x[1], …, x[T].
        maker: the map of such parameters, given by name, for second derivatives.

    Returns:
        Exponents in nats per step, unsorted; -inf for directions lost to rank deficiency; NaN for a network that is
        not finite.

    Source: Eqs. 6-8 of Engelken 2023; the reduction of the adjoint is derived in `floss.lyapunov.tangent_qr`.
    """
    given = (parameters[name] for name in loop.names)
    return _Exponents.apply(loop, chain, maker, chain.h, chain.q, inputs, *given)  # pyright: ignore[reportReturnType]


class _Exponents(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loop: GatedLoop, chain: Chain, maker: Maker, h0: Tensor, q0: Tensor, inputs: Tensor, *given: Tensor
    ) -> Tensor:
        workspace, T = Workspace(), len(inputs)
        N = given[0].shape[-1]
        A, z = joined(loop, dict(zip(loop.names, given, strict=True)), inputs.transpose(0, 1)[:, :, None], N, workspace)
        kept = loop.forward(A, z, h0[:, None], workspace)
        factors = loop.factors(z, kept, 0, T, workspace)
        W = A[:, : loop.seeing * N, :N].unflatten(1, (loop.seeing, N))
        intervals = dict(orthonormalisation_times(T, chain.t_ons, chain.transient))
        total = q0.new_zeros(q0.shape[0], q0.shape[-1], dtype=chain.sums)
        lost = torch.zeros_like(total, dtype=torch.bool)
        tangents, inverses, matrices, p = [q0], {}, [], q0
        for s in range(T):
            here = _at(factors, s)
            matrix = loop.matrix(here, W)
            p = loop.push(matrix, here, p)
            if s + 1 in intervals:
                p, log_r, inverses[s + 1] = chain.orthonormaliser(p)
                lost |= log_r == -torch.inf
                if intervals[s + 1]:
                    total += log_r
            matrices.append(matrix)
            tangents.append(p)
        # The last state enters no Jacobian: a network in which it overflowed is caught here.
        finite = torch.isfinite(loop.last(z, kept)[:, 0]).all(-1, keepdim=True)
        total = torch.where(finite, total, torch.nan)
        lost = (lost.cumsum(-1) > 0) & ~total.isnan()
        ctx.save_for_backward(h0, q0, inputs, *given)
        ctx.loop, ctx.chain, ctx.maker, ctx.intervals = loop, chain, maker, intervals
        ctx.A, ctx.z, ctx.kept, ctx.factors, ctx.lost = A, z, kept, factors, lost
        ctx.tangents, ctx.inverses, ctx.matrices = tangents, inverses, matrices
        return torch.where(lost, -torch.inf, total / (T - chain.transient)).to(q0.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        loop, A, z = ctx.loop, ctx.A, ctx.z
        g = torch.where(ctx.lost, 0.0, grad / (ctx.chain.steps - ctx.chain.transient))
        if torch.is_grad_enabled():
            return _recorded_gradient(ctx, g)
        T, N = len(ctx.matrices), ctx.factors[0].shape[-1]
        gA, seen = torch.zeros_like(A), loop.seeing * N
        gE = A.new_empty(T, len(A), loop.seeing, N)
        W, gW = (each[:, :seen, :N].unflatten(1, (loop.seeing, N)) for each in (A, gA))
        gp, g_next, diagonal = torch.zeros_like(ctx.tangents[0]), torch.zeros_like(g), []
        for s in range(T, 0, -1):
            q, b = ctx.tangents[s], gp
            if s in ctx.intervals:
                g_here = g if ctx.intervals[s] else torch.zeros_like(g)
                # Q̄ - Q striu(Qᵀ Q̄) + Q diag(g - g_next), as in rate.reduced_adjoint
                b = torch.baddbmm(gp, q, torch.diag_embed(g_here - g_next) - torch.triu(q.mT @ gp, 1))
                gp, g_next = b @ ctx.inverses[s].mT, g_here
            matrix, here = ctx.matrices[s - 1], _at(ctx.factors, s - 1)
            gp, gM, of_diagonal = loop.pull(matrix, here, ctx.tangents[s - 1], (q, b), gp)
            loop.of_matrix(gM, here, W, gW, gE[s - 1])
            diagonal.append(of_diagonal)
        of_diagonal = (torch.stack(each[::-1], 1)[:, :, None] for each in zip(*diagonal, strict=True))
        of_gates, after, before = loop.curvature(z, ctx.kept, gE.transpose(0, 1)[:, :, None], tuple(of_diagonal))
        delta, outside = torch.empty_like(of_gates).flatten(-2), torch.zeros_like(after)
        flat = A[:, :seen, :N]
        carry = loop.backward(ctx.factors, flat, outside, delta, loop.rest(outside[:, 0]), (of_gates, after))
        gh = loop.initial(carry, flat)[:, 0]
        gh[:, -N:] += before[:, 0, 0]
        d, states = delta[:, :, 0], z[:, :-1, 0]
        gA[:, :seen].baddbmm_(d[..., :seen].mT, states)
        gA[:, seen:, N:].baddbmm_(d[..., seen:].mT, states[..., N:])
        gx = (d @ A[..., N:-1]).transpose(0, 1) if ctx.needs_input_grad[5] else None
        gradients = loop.part(gA)
        return None, None, None, gh, gp, gx, *(gradients[name] for name in loop.names)


def _at(factors: Factors, s: int) -> Factors:
    """The factors of one step of the single trajectory of each network."""
    return tuple(each[:, s, 0] for each in factors)


def _recorded_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph, with g = ∂L/∂(sum of the growth): by the plain chain."""
    # Views: a tensor that is two of the arguments has two gradients.
    h, q, inputs, *given = tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    old = ctx.chain
    chain = Chain(h, q, inputs, old.steps, old.t_ons, old.transient, old.orthonormaliser, old.sums)
    growth, _, _ = qr_chain(ctx.maker(**dict(zip(ctx.loop.names, given, strict=True))), chain, total=True)
    return recorded_gradients(growth[0], tensors, g.to(growth.dtype), ctx.needs_input_grad, 3)
