"""The time loop of a rate network, forward and backward by hand: hot loop number one.

Write z[s] = [φ(h[s]), x[s+1], 1] and A = [W | V/S | b]; then h[s+1] = A z[s], and
y[s+1] = U·h[s+1] + c = (Aᵀ U)·z[s] + c. So one buffer z [R, T, B, N+S+1] is all that the backward pass needs:

    δ[T] = ȳ[T] U
    δ[s] = ȳ[s] U + φ'(h[s]) ∘ (Wᵀ δ[s+1])       0 < s < T      (δ[0] = ∂L/∂h0 has no readout term)
    Ā    = Σ_s δ[s+1] z[s]ᵀ                        one large product per chunk of steps
    Ū    = A Σ_s ȳ[s+1] z[s],   c̄ = Σ ȳ

Nothing else is stored, and every product is batched over the R networks.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.networks.rate.activation import Activation
from floss.networks.workspace import Workspace

_CHUNK = 25
"""Steps per product for Ā: long enough for an efficient product, short enough to stay in the cache."""

_ONE_ORDER = "unroll: the gradient of the time loop of rate networks cannot be differentiated again (create_graph=True)"


def unroll(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "R T B S"],
    activation: Activation,
    *,
    workspace: Workspace | None = None,
) -> Float[Tensor, "R T B"]:
    """Readouts y[1], …, y[T] of R networks, differentiable with respect to W, V, b, U, c and h0 (not x).

    Args:
        parameters: W [R, N, N], V [R, N, S], b [R, N], U [R, N], c [R], h0 [R, B, N].
        x: inputs x[1], …, x[T].
        activation: the transfer function φ.
        workspace: buffers to reuse; without one they are allocated.

    Returns:
        y [R, T, B].
    """
    p = parameters
    return _Unroll.apply(  # pyright: ignore[reportReturnType]
        p["W"], p["V"], p["b"], p["U"], p["c"], p["h0"], x, activation, workspace or Workspace()
    )


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        W: Tensor,
        V: Tensor,
        b: Tensor,
        U: Tensor,
        c: Tensor,
        h0: Tensor,
        x: Tensor,
        activation: Activation,
        workspace: Workspace,
    ) -> Tensor:
        R, T, B, S = x.shape
        N = W.shape[-1]
        A = workspace.buffer("A", (R, N, N + S + 1), W)
        A[..., :N], A[..., N:-1], A[..., -1] = W, V / S, b
        z = workspace.buffer("z", (R, T, B, N + S + 1), W)
        z[..., N:-1] = x
        z[..., -1] = 1.0
        h = workspace.buffer("h", (R, B, N), W)
        At = A.mT
        z_at, rate_at = z.unbind(1), z[..., :N].unbind(1)
        activation.rate(h0, out=rate_at[0])
        for s in range(T - 1):
            torch.bmm(z_at[s], At, out=h)
            activation.rate(h, out=rate_at[s + 1])
        y = z.flatten(1, 2) @ (At @ U[:, :, None]) + c[:, None, None]
        ctx.save_for_backward(W, U, A)
        ctx.z, ctx.activation, ctx.workspace, ctx.inputs = z, activation, workspace, S
        return y.reshape(R, T, B)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            raise RuntimeError(_ONE_ORDER)
        W, U, A = ctx.saved_tensors
        z, activation, S = ctx.z, ctx.activation, ctx.inputs
        R, T, B, M = z.shape
        N = W.shape[-1]
        chunk = ctx.workspace.buffer("delta", (R, min(_CHUNK, T), B, N), W)
        delta = ctx.workspace.buffer("h", (R, B, N), W)
        readout = U[:, None, :]
        gy = grad_y.contiguous()[..., None]
        rate_at, gy_at, delta_at = z[..., :N].unbind(1), gy.unbind(1), chunk.unbind(1)
        gA = A.new_zeros(R, N, M)
        gU = A.new_zeros(R, 1, M)  # Σ ȳ z, mapped to Ū at the end
        last: Tensor | None = None  # δ[s+1]; lies in `chunk`, and is read before its place is written again
        for end in range(T, 0, -chunk.shape[1]):
            start = max(end - chunk.shape[1], 0)
            for s in range(end - 1, start - 1, -1):  # δ[s+1] meets z[s]
                here = delta_at[s - start]
                if last is None:
                    torch.mul(gy_at[s], readout, out=here)
                else:
                    torch.bmm(last, W, out=delta)
                    activation.pull_(delta, rate_at[s + 1])
                    torch.addcmul(delta, gy_at[s], readout, out=here)
                last = here
            steps = end - start
            z_chunk = z[:, start:end].flatten(1, 2)
            gA.baddbmm_(chunk[:, :steps].flatten(1, 2).mT, z_chunk)
            gU.baddbmm_(gy[:, start:end].reshape(R, 1, steps * B), z_chunk)
        assert last is not None, "T >= 1"
        grad_h0 = activation.pull_(torch.bmm(last, W), rate_at[0])
        grad_U = torch.bmm(A, gU.mT).squeeze(-1)
        return gA[..., :N], gA[..., N:-1] / S, gA[..., -1], grad_U, gy.sum((1, 2, 3)), grad_h0, None, None, None
