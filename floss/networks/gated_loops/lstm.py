"""The loop of the LSTM, with gates o, i, f, g.

The factors of c' = f ∘ c + i ∘ g and h' = o ∘ tanh(c') are, with τ = tanh(c'),

    E_o = ∂h'/∂a_o = τ o (1 - o)        E_i = ∂c'/∂a_i = g i (1 - i)        F = ∂h'/∂c' = o (1 - τ²)
    E_f = ∂c'/∂a_f = c f (1 - f)        E_g = ∂c'/∂a_g = i (1 - g²)         f = ∂c'/∂c

    dc' = (E_i W_i + E_f W_f + E_g W_g) dh + f dc,      dh' = E_o W_o dh + F dc'
"""

from typing import ClassVar

import torch
from torch import Tensor

from floss.networks.gated_loops.loop import Carry, Factors, GatedLoop, Kept, shifted
from floss.networks.workspace import Workspace

_ORDER = (3, 0, 1, 2)
"""Gates i, f, g, o of the parameters in the order o, i, f, g: the sigmoids side by side, and those of c' as well."""
_BACK = (1, 2, 3, 0)


class LSTMLoop(GatedLoop):
    """Long short-term memory without a projection."""

    names: ClassVar[tuple[str, ...]] = ("W", "V", "b")
    gates: ClassVar[int] = 4
    seeing: ClassVar[int] = 4

    def join(self, A: Tensor, parameters: dict[str, Tensor]) -> None:
        N = A.shape[1] // 4
        W, V, b = (parameters[name].unflatten(1, (4, N)) for name in self.names)
        for block, gate in zip(A.unflatten(1, (4, N)).unbind(1), _ORDER, strict=True):
            block[..., :N], block[..., N:-1], block[..., -1] = W[:, gate], V[:, gate], b[:, gate]

    def part(self, gA: Tensor) -> dict[str, Tensor]:
        N = gA.shape[1] // 4
        blocks = gA.unflatten(1, (4, N)).unbind(1)
        gA = torch.cat([blocks[gate] for gate in _BACK], 1)
        return {"W": gA[..., :N], "V": gA[..., N:-1], "b": gA[..., -1]}

    def forward(self, A: Tensor, z: Tensor, h0: Tensor, workspace: Workspace) -> Kept:
        N, (R, after, B) = A.shape[1] // 4, z.shape[:3]
        gates = workspace.buffer("gates", (R, after - 1, B, 4 * N), A)
        c = workspace.buffer("c", (R, after, B, N), A)
        tau = workspace.buffer("tau", (R, after - 1, B, N), A)
        z[:, 0, :, :N], c[:, 0] = h0.chunk(2, -1)
        At, z_at, a_at, c_at, tau_at = A.mT, z.unbind(1), gates.unbind(1), c.unbind(1), tau.unbind(1)
        h_at, sigmoids = z[..., :N].unbind(1), gates[..., : 3 * N].unbind(1)
        o_at, i_at, f_at, g_at = (part.unbind(1) for part in gates.chunk(4, -1))
        for s in range(after - 1):
            torch.bmm(z_at[s], At, out=a_at[s])
            sigmoids[s].sigmoid_()
            g_at[s].tanh_()
            torch.mul(f_at[s], c_at[s], out=c_at[s + 1])
            c_at[s + 1].addcmul_(i_at[s], g_at[s])
            torch.tanh(c_at[s + 1], out=tau_at[s])
            torch.mul(o_at[s], tau_at[s], out=h_at[s + 1])
        return gates, c, tau

    def last(self, z: Tensor, kept: Kept) -> Tensor:
        c = kept[1][:, -1]
        return torch.cat((z[:, -1, :, : c.shape[-1]], c), -1)

    def factors(self, z: Tensor, kept: Kept, start: int, stop: int, workspace: Workspace) -> Factors:  # noqa: ARG002
        gates, c, tau = kept
        N = tau.shape[-1]
        R, C, B = (len(gates), stop - start, gates.shape[2])
        E = workspace.buffer("E", (R, C, B, 4, N), gates)
        F = workspace.buffer("F", (R, C, B, N), gates)
        four = gates[:, start:stop].unflatten(-1, (4, N))
        o, i, f, g = four.unbind(-2)
        tau = tau[:, start:stop]
        sigmoids, slopes = four[..., :3, :], E[..., :3, :]
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1.0, out=slopes)
        E[..., 0, :].mul_(tau)
        E[..., 1, :].mul_(g)
        E[..., 2, :].mul_(c[:, start:stop])
        torch.mul(i, g, out=F)
        torch.addcmul(i, F, g, value=-1.0, out=E[..., 3, :])
        torch.mul(o, tau, out=F)
        torch.addcmul(o, F, tau, value=-1.0, out=F)
        return E, F, f

    def backward(
        self,
        factors: Factors,
        W: Tensor,
        gh: Tensor,
        delta: Tensor,
        carry: Carry,
        more: tuple[Tensor, Tensor] | None = None,
    ) -> Carry:
        E, F, f = factors
        dh, dc, *last = carry
        four = delta.unflatten(-1, (4, -1))
        gh_at, F_at, f_at, delta_at = gh.unbind(1), F.unbind(1), f.unbind(1), delta.unbind(1)
        of_h, of_c = four[..., 0, :].unbind(1), four[..., 1:, :].unbind(1)
        Eo_at, Ec_at = E[..., 0, :].unbind(1), E[..., 1:, :].unbind(1)
        each = dc[..., None, :]
        for s in range(len(gh_at) - 1, -1, -1):
            if last:
                torch.baddbmm(gh_at[s], last[0], W, out=dh)
            else:
                dh.copy_(gh_at[s])
            dc.addcmul_(dh, F_at[s])
            if more is not None:
                dc += more[1][:, s]
            torch.mul(dh, Eo_at[s], out=of_h[s])
            torch.mul(each, Ec_at[s], out=of_c[s])
            if more is not None:
                four[:, s] += more[0][:, s]
            dc.mul_(f_at[s])
            last = [delta_at[s]]
        return dh, dc, *last

    def rest(self, gh: Tensor) -> Carry:
        return torch.empty_like(gh), torch.zeros_like(gh)

    def initial(self, carry: Carry, W: Tensor) -> Tensor:
        return torch.cat((torch.bmm(carry[2], W), carry[1]), -1)

    def matrix(self, factors: Factors, W: Tensor) -> Tensor:
        E, N = factors[0][..., None], W.shape[-1]
        matrix = W.new_empty(len(W), 2 * N, N)
        torch.mul(E[:, 0], W[:, 0], out=matrix[:, :N])
        of_c = torch.mul(E[:, 1], W[:, 1], out=matrix[:, N:])
        of_c.addcmul_(E[:, 2], W[:, 2]).addcmul_(E[:, 3], W[:, 3])
        return matrix

    def push(self, matrix: Tensor, factors: Factors, q: Tensor) -> Tensor:
        _, F, f = factors
        N = F.shape[-1]
        pushed = matrix @ q[:, :N]
        of_c = pushed[:, N:].addcmul_(f[..., None], q[:, N:])
        pushed[:, :N].addcmul_(F[..., None], of_c)
        return pushed

    def pull(
        self, matrix: Tensor, factors: Factors, before: Tensor, after: tuple[Tensor, Tensor], gz: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        _, F, f = factors
        N, (q, b) = F.shape[-1], after
        gF = (b[:, :N] * q[:, N:]).sum(-1)
        of_c = gz[:, N:].addcmul_(F[..., None], gz[:, :N])
        gf = (of_c * before[:, N:]).sum(-1)
        gq = torch.empty_like(gz)
        torch.bmm(matrix.mT, gz, out=gq[:, :N])
        torch.mul(f[..., None], of_c, out=gq[:, N:])
        return gq, gz @ before[:, :N].mT, (gF, gf)

    def of_matrix(self, gM: Tensor, factors: Factors, W: Tensor, gW: Tensor, gE: Tensor) -> None:
        E, N = factors[0][..., None], W.shape[-1]
        of_h, of_c = gM[:, :N], gM[:, None, N:]
        gW[:, 0].addcmul_(E[:, 0], of_h)
        gW[:, 1:].addcmul_(E[:, 1:], of_c)
        torch.sum(of_h * W[:, 0], -1, out=gE[:, 0])
        torch.sum(of_c * W[:, 1:], -1, out=gE[:, 1:])

    def curvature(
        self,
        z: Tensor,  # noqa: ARG002
        kept: Kept,
        gE: Tensor,
        diagonal: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        gates, c, tau = kept
        o, i, f, g = gates.chunk(4, -1)
        go, gi, gf, gg = gE.unbind(-2)
        of_F, of_f = diagonal
        slope_o, slope_i, slope_f, slope_g, slope_tau = o * (1 - o), i * (1 - i), f * (1 - f), 1 - g * g, 1 - tau * tau
        of_gates = (
            slope_o * (go * tau * (1 - 2 * o) + of_F * slope_tau),
            slope_i * (gi * g * (1 - 2 * i) + gg * slope_g),
            slope_f * (gf * c[:, :-1] * (1 - 2 * f) + of_f),
            slope_g * (gi * slope_i - 2 * gg * i * g),
        )
        after = slope_tau * (go * slope_o - 2 * of_F * tau * o)
        before = gf * slope_f
        return torch.stack(of_gates, -2), shifted(after, before), before
