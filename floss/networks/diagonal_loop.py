"""The time loop of the LRU, forward and backward by hand.

With complex states s and gains G = γ ∘ B:

    s[t] = Λ s[t-1] + G x[t],   f[t] = tanh(Re(C s[t]) + D x[t] + b),   y[t] = U·f[t] + c

The loss is real, so that its derivative with respect to a complex number z = u + iv can be written as the single
complex number z̄ = ∂L/∂u - i ∂L/∂v, and every holomorphic map pulls it back by its own derivative, nothing conjugate:

    p̄[t] = ȳ[t] U ∘ (1 - f[t]²)
    s̄[t] = Cᵀ p̄[t] + Λ s̄[t+1],            s̄[T+1] = 0,   s̄[0] = Λ s̄[1]
    Λ̄    = Σ_t s̄[t] ∘ s[t-1],   Ḡ = Σ_t s̄[t] x[t]ᵀ,   C̄ = Σ_t p̄[t] s[t]ᵀ
    x̄[t] = Re(Gᵀ s̄[t]) + Dᵀ p̄[t]

One step of the recurrence is one multiply-add of complex numbers, elementwise over networks, batch and units, in both
directions; no power of Λ is formed that could underflow. All else are products over many steps. Real and imaginary
part lie side by side, so that an array is a complex one and a real one with twice as many columns, for products.

A backward pass that is itself recorded, for second derivatives, runs the plain loop again and differentiates that.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from floss.lyapunov.derivatives import recorded_gradients
from floss.networks.workspace import Workspace

_CHUNK = 10
"""Steps per product: long enough for an efficient product, short enough to stay in the cache."""

NAMES: tuple[str, ...] = ("nu", "theta", "gamma", "B", "C", "D", "b", "U", "c", "h0")
"""The parameters of a network, in the order of the function below."""

Plain = Callable[[dict[str, Tensor], Tensor], Tensor]
"""Readouts [R, T, B] of parameters and inputs, by operations that autograd follows."""


def unroll(
    parameters: dict[str, Tensor], x: Float[Tensor, "R T B S"], plain: Plain, *, workspace: Workspace | None = None
) -> Float[Tensor, "R T B"]:
    """Readouts y[1], …, y[T] of R networks, differentiable with respect to all parameters and x.

    Args:
        parameters: ν, θ, γ (logarithm of the gain) [R, N], B [R, 2, N, S], C [R, 2, N, N], D [R, N, S], b, U [R, N],
            c [R], h0 [R, B, 2 N].
        x: inputs x[1], …, x[T], in float32 or float64.
        plain: the same readouts by automatic differentiation, for second derivatives.
        workspace: buffers to reuse; without one they are allocated.

    Returns:
        y [R, T, B].

    Source: Orvieto et al. 2023; Werbos 1990.
    """
    given = (parameters[name] for name in NAMES)
    return _Unroll.apply(plain, workspace or Workspace(), x, *given)  # pyright: ignore[reportReturnType]


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plain: Plain, workspace: Workspace, x: Tensor, *given: Tensor) -> Tensor:
        p = dict(zip(NAMES, given, strict=True))
        R, T, B, S = x.shape
        N, steps = p["U"].shape[-1], min(_CHUNK, T)
        states = workspace.buffer("states", (R, T + 1, B, 2 * N), x)
        features = workspace.buffer("features", (R, T, B, N), x)
        z = workspace.buffer("inputs", (R, T, B, S + 1), x)
        z[..., :S], z[..., S] = x, 1.0
        at = _complex(states).unbind(1)
        at[0].copy_(_joined(p["h0"].unflatten(-1, (2, N)), -2))
        lam, G, C = _eigenvalues(p)[:, None], _gains(p), _joined(p["C"], 1)
        driving, seeing = _rows(G).mT, _columns(C.conj()).mT  # Re(C s) = Re C Re s - Im C Im s
        direct = torch.cat((p["D"], p["b"][..., None]), -1).mT
        for start in range(0, T, steps):
            stop = min(start + steps, T)
            z_now, now = z[:, start:stop].flatten(1, 2), states[:, start + 1 : stop + 1].flatten(1, 2)
            torch.bmm(z_now[..., :S], driving, out=now)
            for t in range(start, stop):
                at[t + 1].addcmul_(lam, at[t])
            f = features[:, start:stop].flatten(1, 2)
            torch.bmm(z_now, direct, out=f)
            f.baddbmm_(now, seeing).tanh_()
        y = features.flatten(1, 2) @ p["U"][:, :, None] + p["c"][:, None, None]
        ctx.save_for_backward(x, *given)
        ctx.plain, ctx.workspace = plain, workspace
        ctx.states, ctx.features, ctx.z, ctx.lam, ctx.G, ctx.C = states, features, z, lam, G, C
        return y.reshape(R, T, B)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            return _recorded_gradient(ctx, grad_y)
        x, *given = ctx.saved_tensors
        p = dict(zip(NAMES, given, strict=True))
        (R, T, B, S), N, lam = x.shape, p["U"].shape[-1], ctx.lam
        steps, workspace, gy = min(_CHUNK, T), ctx.workspace, grad_y.reshape(R, T * B, 1)
        pre_buffer = workspace.buffer("of_seen", (R, steps, B, N), x)
        adjoints = workspace.buffer("adjoints", (R, steps, B, 2 * N), x)
        adjoint_at, state_at = _complex(adjoints).unbind(1), _complex(ctx.states).unbind(1)
        after = torch.zeros_like(adjoint_at[0])
        g_lam = torch.zeros_like(after)
        columns, rows = _columns(ctx.C), _rows(ctx.G.conj())
        # The narrow sides come first: torch's products of many by few columns are several times slower.
        gG, gC, gU = x.new_zeros(R, S, 2 * N), torch.zeros_like(columns), x.new_zeros(R, 1, N)
        g_direct = x.new_zeros(R, S + 1, N)
        gx = torch.empty_like(x) if ctx.needs_input_grad[2] else None
        for stop in range(T, 0, -steps):
            start = max(stop - steps, 0)
            f, z = ctx.features[:, start:stop].flatten(1, 2), ctx.z[:, start:stop].flatten(1, 2)
            gy_now = gy[:, start * B : stop * B]
            pre, adjoint = (each[:, : stop - start].flatten(1, 2) for each in (pre_buffer, adjoints))
            torch.mul(gy_now, p["U"][:, None], out=pre)
            torch.ops.aten.tanh_backward.grad_input(pre, f, grad_input=pre)
            torch.bmm(pre, columns, out=adjoint)
            for t in range(stop - 1, start - 1, -1):
                after = adjoint_at[t - start].addcmul_(lam, after)
                g_lam.addcmul_(after, state_at[t])
            after = after.clone()  # its place is written again
            gU.baddbmm_(gy_now.mT, f)
            g_direct.baddbmm_(z.mT, pre)
            gC.baddbmm_(pre.mT, ctx.states[:, start + 1 : stop + 1].flatten(1, 2))
            gG.baddbmm_(z[..., :S].mT, adjoint)
            if gx is not None:
                gx[:, start:stop] = torch.baddbmm(pre @ p["D"], adjoint, rows).unflatten(1, (-1, B))
        gradients = _of_eigenvalues(p, g_lam.sum(1) * lam[:, 0]) | _of_gains(p, _complex(gG).mT, ctx.G)
        gradients["C"] = _parts(_complex(gC), 1)
        gradients |= {"D": g_direct[:, :S].mT, "b": g_direct[:, S], "U": gU[:, 0], "c": gy.sum((1, 2))}
        gradients["h0"] = _parts(lam * after, -2).flatten(-2)
        return None, None, gx, *(gradients[name] for name in NAMES)


def _eigenvalues(p: dict[str, Tensor]) -> Complex[Tensor, "R N"]:
    """λ."""
    return torch.polar((-p["nu"].exp()).exp(), p["theta"].exp())


def _of_eigenvalues(p: dict[str, Tensor], g_log: Complex[Tensor, "R N"]) -> dict[str, Tensor]:
    """The gradients of ν and θ from that of log λ = -exp(ν) + i exp(θ)."""
    return {"nu": -p["nu"].exp() * g_log.real, "theta": -p["theta"].exp() * g_log.imag}


def _gains(p: dict[str, Tensor]) -> Complex[Tensor, "R N S"]:
    """G = γ ∘ B."""
    return p["gamma"].exp()[..., None] * _joined(p["B"], 1)


def _of_gains(p: dict[str, Tensor], gG: Complex[Tensor, "R N S"], G: Complex[Tensor, "R N S"]) -> dict[str, Tensor]:
    """The gradients of γ (its logarithm) and B."""
    return {"gamma": (gG * G).real.sum(-1), "B": _parts(p["gamma"].exp()[..., None] * gG, 1)}


def _joined(parts: Tensor, axis: int) -> Tensor:
    """Complex numbers from an axis of real and imaginary part."""
    return torch.complex(*parts.unbind(axis))


def _parts(g: Tensor, axis: int) -> Tensor:
    """Derivatives with respect to real and imaginary part from ∂/∂u - i ∂/∂v."""
    return torch.stack((g.real, -g.imag), axis)


def _complex(interleaved: Float[Tensor, "*R twice"]) -> Complex[Tensor, "*R half"]:
    """A view of real and imaginary parts in turn as complex numbers."""
    return torch.view_as_complex(interleaved.unflatten(-1, (-1, 2)))


def _columns(matrix: Complex[Tensor, "R m n"]) -> Float[Tensor, "R m twice"]:
    """With real and imaginary part of each column as two columns."""
    return torch.view_as_real(matrix.resolve_conj()).flatten(-2)


def _rows(matrix: Complex[Tensor, "R m n"]) -> Float[Tensor, "R twice n"]:
    """With real and imaginary part of each row as two rows."""
    return _columns(matrix.mT).mT


def _recorded_gradient(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph."""
    # Views: a tensor that is two of the arguments has two gradients.
    x, *given = tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    y = ctx.plain(dict(zip(NAMES, given, strict=True)), x)
    return recorded_gradients(y, tensors, grad_y, ctx.needs_input_grad, 2)
