"""The loop of the GRU, with gates r, z, inner drive y and candidate n.

y = W_n h + b_h, n = tanh(V_n x + b_n + r y), and

    h' = (1 - z) n + z h

depends on what enters r, z, y and n by the factors, with u = ∂h'/∂a_n = (1 - z) (1 - n²),

    E_r = u y r (1 - r),        E_z = (h - n) z (1 - z),        E_y = u r,        E_n = u

    dh' = (E_r W_r + E_z W_z + E_y W_n) dh + z dh

The last block of rows is V_n x + b_n, which does not see the state.
"""

from typing import ClassVar

import torch
from torch import Tensor

from floss.networks.gated_loops.loop import Carry, Factors, GatedLoop, Kept, shifted
from floss.networks.workspace import Workspace


class GRULoop(GatedLoop):
    """Gated recurrent units in the form of torch and cuDNN."""

    names: ClassVar[tuple[str, ...]] = ("W", "V", "b", "b_h")
    gates: ClassVar[int] = 4
    seeing: ClassVar[int] = 3

    def join(self, A: Tensor, parameters: dict[str, Tensor]) -> None:
        N = A.shape[1] // 4
        W, V, b, b_h = (parameters[name] for name in self.names)
        A[:, : 3 * N, :N], A[:, 3 * N :, :N] = W, 0.0
        A[:, : 2 * N, N:-1], A[:, 2 * N : 3 * N, N:-1], A[:, 3 * N :, N:-1] = V[:, : 2 * N], 0.0, V[:, 2 * N :]
        A[:, : 2 * N, -1], A[:, 2 * N : 3 * N, -1], A[:, 3 * N :, -1] = b[:, : 2 * N], b_h, b[:, 2 * N :]

    def part(self, gA: Tensor) -> dict[str, Tensor]:
        N = gA.shape[1] // 4
        rz, inner, candidate = gA.split((2 * N, N, N), 1)
        V, b = (torch.cat((rz[..., part], candidate[..., part]), 1) for part in (slice(N, -1), slice(-1, None)))
        return {"W": gA[:, : 3 * N, :N], "V": V, "b": b[..., 0], "b_h": inner[..., -1]}

    def forward(self, A: Tensor, z: Tensor, h0: Tensor, workspace: Workspace) -> Kept:
        N, (R, after, B) = A.shape[1] // 4, z.shape[:3]
        gates = workspace.buffer("gates", (R, after - 1, B, 3 * N), A)
        candidate = workspace.buffer("candidate", (R, (after - 1) * B, N), A)
        torch.bmm(z[:, :-1, :, N:].flatten(1, 2), A[:, 3 * N :, N:].mT, out=candidate)
        candidate = candidate.unflatten(1, (after - 1, B))
        z[:, 0, :, :N] = h0
        change = workspace.buffer("change", (R, B, N), A)
        At, z_at, a_at, n_at = A[:, : 3 * N].mT, z.unbind(1), gates.unbind(1), candidate.unbind(1)
        h_at, sigmoids = z[..., :N].unbind(1), gates[..., : 2 * N].unbind(1)
        r_at, update_at, inner_at = (part.unbind(1) for part in gates.chunk(3, -1))
        for s in range(after - 1):
            torch.bmm(z_at[s], At, out=a_at[s])
            sigmoids[s].sigmoid_()
            n_at[s].addcmul_(r_at[s], inner_at[s]).tanh_()
            torch.sub(h_at[s], n_at[s], out=change)
            torch.addcmul(n_at[s], update_at[s], change, out=h_at[s + 1])
        return gates, candidate

    def last(self, z: Tensor, kept: Kept) -> Tensor:
        return z[:, -1, :, : kept[1].shape[-1]]

    def factors(self, z: Tensor, kept: Kept, start: int, stop: int, workspace: Workspace) -> Factors:
        n = kept[1][:, start:stop]
        N = n.shape[-1]
        r, update, inner = kept[0][:, start:stop].chunk(3, -1)
        E = workspace.buffer("E", (*n.shape[:-1], 4, N), n)
        of_r, of_z, of_inner, of_n = E.unbind(-2)
        torch.sub(z[:, start:stop, :, :N], n, out=of_z)
        torch.addcmul(update, update, update, value=-1.0, out=of_n)
        of_z.mul_(of_n)
        torch.addcmul(n, update, n, value=-1.0, out=of_r)  # (1 - z) n
        torch.addcmul(1.0 - update, of_r, n, value=-1.0, out=of_n)
        torch.mul(of_n, r, out=of_inner)
        torch.addcmul(of_inner, of_inner, r, value=-1.0, out=of_r)
        of_r.mul_(inner)
        return E, update

    def backward(
        self,
        factors: Factors,
        W: Tensor,
        gh: Tensor,
        delta: Tensor,
        carry: Carry,
        more: tuple[Tensor, Tensor] | None = None,
    ) -> Carry:
        E, update = factors
        dh, direct, *last = carry
        four = delta.unflatten(-1, (4, -1))
        gh_at, update_at, E_at, four_at = gh.unbind(1), update.unbind(1), E.unbind(1), four.unbind(1)
        seeing = delta[..., : W.shape[1]].unbind(1)
        each = dh[..., None, :]
        for s in range(len(gh_at) - 1, -1, -1):
            if last:
                torch.baddbmm(gh_at[s], last[0], W, out=dh)
                dh += direct
            else:
                dh.copy_(gh_at[s])
            if more is not None:
                dh += more[1][:, s]
            torch.mul(each, E_at[s], out=four_at[s])
            if more is not None:
                four_at[s].add_(more[0][:, s])
            torch.mul(dh, update_at[s], out=direct)
            last = [seeing[s]]
        return dh, direct, *last

    def rest(self, gh: Tensor) -> Carry:
        return torch.empty_like(gh), torch.empty_like(gh)

    def initial(self, carry: Carry, W: Tensor) -> Tensor:
        return torch.baddbmm(carry[1], carry[2], W)

    def matrix(self, factors: Factors, W: Tensor) -> Tensor:
        E, update = factors
        E = E[..., None]
        matrix = (E[:, 0] * W[:, 0]).addcmul_(E[:, 1], W[:, 1]).addcmul_(E[:, 2], W[:, 2])
        matrix.diagonal(dim1=-2, dim2=-1).add_(update)
        return matrix

    def push(self, matrix: Tensor, factors: Factors, q: Tensor) -> Tensor:  # noqa: ARG002 - the matrix has it all
        return matrix @ q

    def pull(
        self,
        matrix: Tensor,
        factors: Factors,  # noqa: ARG002
        before: Tensor,
        after: tuple[Tensor, Tensor],  # noqa: ARG002
        gz: Tensor,
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        gM = gz @ before.mT
        return matrix.mT @ gz, gM, (gM.diagonal(dim1=-2, dim2=-1),)

    def of_matrix(self, gM: Tensor, factors: Factors, W: Tensor, gW: Tensor, gE: Tensor) -> None:
        gW.addcmul_(factors[0][:, :3, :, None], gM[:, None])
        torch.sum(gM[:, None] * W, -1, out=gE)

    def curvature(
        self, z: Tensor, kept: Kept, gE: Tensor, diagonal: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        gates, n = kept
        r, update, inner = gates.chunk(3, -1)
        gr, gz, gy = gE.unbind(-2)
        slope_r, slope_z, slope_n = r * (1 - r), update * (1 - update), 1 - n * n
        u = (1 - update) * slope_n
        of_u = gy * r + gr * inner * slope_r
        before = gz * slope_z
        of_n = slope_n * (-2 * of_u * (1 - update) * n - before)
        of_gates = (
            slope_r * (gy * u + gr * u * inner * (1 - 2 * r) + of_n * inner),
            slope_z * (diagonal[0] - of_u * slope_n + gz * (z[:, :-1, :, : n.shape[-1]] - n) * (1 - 2 * update)),
            gr * u * slope_r + of_n * r,
            of_n,
        )
        return torch.stack(of_gates, -2), shifted(torch.zeros_like(before), before), before
