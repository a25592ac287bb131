"""The time loop of a gated cell, forward and backward by hand.

With the notation of `gated_loops.loop`, the states in z [R, T+1, B, N+S+1], and the readout y[s] = U·h[s] + c:

    h̄[s] = ȳ[s] U + Wᵀ δ[s] + (what the state keeps of itself)          0 < s ≤ T,  δ[T] = 0
    Ā    = Σ_s δ[s] z[s]ᵀ                       one large product for each chunk of steps
    x̄[s+1] = Vᵀ δ[s],   Ū = Σ ȳ[s] h[s],   c̄ = Σ ȳ

Every product is batched over the R networks. A backward pass that is itself recorded, for second derivatives, runs the
plain loop again and differentiates that.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.derivatives import recorded_gradients
from floss.networks.gated_loops.loop import GatedLoop
from floss.networks.workspace import Workspace

_CHUNK = 10
"""Steps per product for Ā: long enough for an efficient product, short enough to stay in the cache."""

Plain = Callable[[dict[str, Tensor], Tensor], Tensor]
"""Readouts [R, T, B] of parameters and inputs, by operations that autograd follows."""


def unroll(
    loop: GatedLoop,
    parameters: dict[str, Tensor],
    x: Float[Tensor, "R T B S"],
    plain: Plain,
    *,
    workspace: Workspace | None = None,
) -> Float[Tensor, "R T B"]:
    """Readouts y[1], …, y[T] of R networks, differentiable with respect to all parameters and x.

    Args:
        loop: the cell.
        parameters: those of the cell's map, U [R, N], c [R], h0 [R, B, n].
        x: inputs x[1], …, x[T].
        plain: the same readouts by automatic differentiation, for second derivatives.
        workspace: buffers to reuse; without one they are allocated.

    Returns:
        y [R, T, B].

    Source: Werbos 1990.
    """
    names = (*loop.names, "U", "c", "h0")
    return _Unroll.apply(  # pyright: ignore[reportReturnType]
        loop, names, plain, workspace or Workspace(), x, *(parameters[name] for name in names)
    )


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loop: GatedLoop, names: tuple[str, ...], plain: Plain, workspace: Workspace, x: Tensor, *given: Tensor
    ) -> Tensor:
        parameters = dict(zip(names, given, strict=True))
        U, c, h0 = parameters["U"], parameters["c"], parameters["h0"]
        R, T, B, _ = x.shape
        N = U.shape[-1]
        A, z = joined(loop, parameters, x, N, workspace)
        kept = loop.forward(A, z, h0, workspace)
        y = z[:, 1:, :, :N].flatten(1, 2) @ U[:, :, None] + c[:, None, None]
        ctx.save_for_backward(x, *given)
        ctx.loop, ctx.names, ctx.plain, ctx.workspace = loop, names, plain, workspace
        ctx.A, ctx.z, ctx.kept = A, z, kept
        return y.reshape(R, T, B)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            return _recorded_gradient(ctx, grad_y)
        x, *given = ctx.saved_tensors
        loop, A, z, workspace = ctx.loop, ctx.A, ctx.z, ctx.workspace
        U = given[-3]
        (R, T, B, _), N = x.shape, U.shape[-1]
        G, seen, steps = A.shape[1], loop.seeing * N, min(_CHUNK, T)
        W, gy = A[:, :seen, :N], grad_y.contiguous()
        deltas = workspace.buffer("delta", (R, steps, B, G), A)
        outside = workspace.buffer("gh", (R, steps, B, N), A)
        gA, gU = torch.zeros_like(A), U.new_zeros(R, 1, N)
        gx = torch.empty_like(x) if ctx.needs_input_grad[4] else None
        carry = loop.rest(outside[:, 0])
        for stop in range(T, 0, -steps):
            start = max(stop - steps, 0)
            gh, delta = outside[:, : stop - start], deltas[:, : stop - start]
            torch.mul(gy[:, start:stop, :, None], U[:, None, None], out=gh)
            carry = loop.backward(loop.factors(z, ctx.kept, start, stop, workspace), W, gh, delta, carry)
            before, d = z[:, start:stop].flatten(1, 2), delta.flatten(1, 2)
            gA[:, :seen].baddbmm_(d[..., :seen].mT, before)
            if seen < G:
                gA[:, seen:, N:].baddbmm_(d[..., seen:].mT, before[..., N:])
            gU.baddbmm_(gy[:, start:stop].reshape(R, 1, -1), z[:, start + 1 : stop + 1, :, :N].flatten(1, 2))
            if gx is not None:
                gx[:, start:stop] = (d @ A[..., N:-1]).unflatten(1, (stop - start, B))
        gradients = loop.part(gA)
        gradients |= {"U": gU[:, 0], "c": gy.sum((1, 2)), "h0": loop.initial(carry, W)}
        return None, None, None, None, gx, *(gradients[name] for name in ctx.names)


def joined(
    loop: GatedLoop, parameters: dict[str, Tensor], x: Tensor, N: int, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    """A, and z with the inputs in it and the states still missing."""
    R, T, B, S = x.shape
    A = workspace.buffer("A", (R, loop.gates * N, N + S + 1), x)
    loop.join(A, parameters)
    z = workspace.buffer("z", (R, T + 1, B, N + S + 1), x)
    z[:, :-1, :, N:-1] = x
    z[:, :-1, :, -1] = 1.0
    return A, z


def _recorded_gradient(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph."""
    # Views: a tensor that is two of the arguments has two gradients.
    x, *given = tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    y = ctx.plain(dict(zip(ctx.names, given, strict=True)), x)
    return recorded_gradients(y, tensors, grad_y, ctx.needs_input_grad, 4)
