"""Recurrences over whole sequences of stacked networks, with hand-written derivatives: a diagonal one, and a GRU's.

Both go once along the sequence and once back; products with weights are taken of all steps together.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def diagonal_scan(lam: Complex[Tensor, "R N"], u: Complex[Tensor, "R T B N"]) -> Complex[Tensor, "R T B N"]:
    """The states h_t = λ ∘ h_{t-1} + u_t from h_0 = 0; differentiable by λ and u.

    The gradient g of the states goes back by the same recurrence, s_t = g_t + λ̄ ∘ s_{t+1}: it is s for u, and
    Σ_t s_t ∘ h̄_{t-1} for λ.
    """
    return _Diagonal.apply(lam, u)


def gru_scan(
    W: Float[Tensor, "R 3*N N"], b_h: Float[Tensor, "R N"], drive: Float[Tensor, "R T B 3*N"]
) -> Float[Tensor, "R T B N"]:
    """The states of `floss.networks.gru` from h_0 = 0, with V x_t + b given for all steps as `drive`.

    Its gates are stacked in the order r, z, n: h_t = (1 - z) ∘ n + z ∘ h_{t-1}, n = tanh(drive_n + r ∘ (W_n h + b_h)).
    """
    return _Gated.apply(W, b_h, drive)


class _Diagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, lam: Tensor, u: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, h = torch.empty_like(u), torch.zeros_like(u[:, 0])
        for t in range(u.shape[1]):
            h = torch.addcmul(u[:, t], lam[:, None], h)
            states[:, t] = h
        ctx.save_for_backward(lam, states)
        return states

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        lam, states = ctx.saved_tensors
        conjugate, back = lam.conj().resolve_conj()[:, None], torch.empty_like(states)
        s = torch.zeros_like(states[:, 0])
        for t in range(states.shape[1] - 1, -1, -1):
            s = torch.addcmul(g[:, t], conjugate, s)
            back[:, t] = s
        return (back[:, 1:] * states[:, :-1].conj()).sum((1, 2)), back


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, W: Tensor, b_h: Tensor, drive: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        N = W.shape[-1]
        states, gates = drive.new_empty(*drive.shape[:-1], N), torch.empty_like(drive)
        inner = torch.empty_like(states)
        h, transposed, bias = torch.zeros_like(states[:, 0]), W.mT.contiguous(), b_h[:, None]
        for t in range(drive.shape[1]):
            pushed, now = h @ transposed, drive[:, t]
            r, z = (now[..., : 2 * N] + pushed[..., : 2 * N]).sigmoid().chunk(2, -1)
            m = pushed[..., 2 * N :] + bias
            n = torch.addcmul(now[..., 2 * N :], r, m).tanh()
            h = torch.lerp(n, h, z)
            states[:, t], inner[:, t] = h, m
            gates[:, t] = torch.cat((r, z, n), -1)
        ctx.save_for_backward(W, states, gates, inner)
        return states

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        W, states, gates, inner = ctx.saved_tensors
        R, T, B, N = states.shape
        before = torch.cat((torch.zeros_like(states[:, :1]), states[:, :-1]), 1)
        pre, s = torch.empty_like(gates), torch.zeros_like(states[:, 0])  # by what is in the sigmoids and the tanh
        recurrent = torch.empty_like(gates)  # by W h + b_h
        for t in range(T - 1, -1, -1):
            r, z, n = gates[:, t].chunk(3, -1)
            h = s + g[:, t]
            dn = h * (1 - z) * (1 - n * n)
            pre[:, t] = torch.cat((dn * inner[:, t] * r * (1 - r), h * (before[:, t] - n) * z * (1 - z), dn), -1)
            recurrent[:, t] = pre[:, t]
            recurrent[:, t, :, 2 * N :] *= r
            s = torch.baddbmm(h * z, recurrent[:, t], W)
        of_W = recurrent.reshape(R, T * B, 3 * N).mT @ before.reshape(R, T * B, N)
        return of_W, recurrent[..., 2 * N :].sum((1, 2)), pre
