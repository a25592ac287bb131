"""`arch=gru`: gated recurrent unit (Cho et al. 2014), in the form that torch and cuDNN use.

    r, z = σ(W_* h + V_* x + b_*),   n = tanh(V_n x + b_n + r ∘ (W_n h + b_h)),   h' = (1 - z) ∘ n + z ∘ h

The gates are stacked in the order r, z, n: W [R, 3N, N], V [R, 3N, S], b [R, 3N], b_h [R, N].
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from floss.networks.cell import Draw, Parameters
from floss.networks.gated import GatedCell, GatedStep, scaled
from floss.networks.gated_loops.gru import GRULoop
from floss.networks.stacked import align, apply


class GRU(GatedCell):
    """Gated recurrent units."""

    name = "gru"
    flossed = ("W", "V", "b", "b_h")
    loop = GRULoop()

    def state_size(self, n: int) -> int:
        return n

    def initial_weights(self, draw: Draw, *, n: int, inputs: int) -> Parameters:
        """W_* ~ N(mean, g²/N) or g times orthogonal, V_* ~ N(0, 1), b_* ~ U(0, bias), as the rate network has them."""
        W = torch.cat([draw.recurrent(10 + gate, n, draw.g) for gate in range(3)], 1)
        b = draw.bias * draw.uniform(2, 4 * n)
        return {"W": W, "V": draw.normal(1, 3 * n, inputs), "b": b[:, : 3 * n], "b_h": b[:, 3 * n :]}

    def step(self, parameters: Parameters) -> "GRUStep":
        return GRUStep(parameters["W"], parameters["V"], parameters["b"], parameters["b_h"])


@dataclass(frozen=True)
class GRUStep(GatedStep):
    """The map h → h', with its Jacobian in closed form. States [R, N] or [R, B, N], inputs [R, S] or [R, B, S].

    Without the weights' first axis states are [..., N].
    """

    W: Float[Tensor, "*R G N"]
    V: Float[Tensor, "*R G S"]
    b: Float[Tensor, "*R G"]
    b_h: Float[Tensor, "*R N"]

    loop = GRU.loop

    @property
    def state_size(self) -> int:
        return self.W.shape[-1]

    def driven(self, h: Tensor, drive: Tensor) -> Tensor:
        _, z, n, _ = self._gates(h, drive)
        return n + z * (h - n)

    def advance(self, h: Tensor, q: Tensor, x: Tensor | None = None, dx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q; with tangent vectors dx [..., S, k] of the input what they add to it as well."""
        r, z, n, inner = self._gates(h, self.drive(h, x))
        dr, dz, dn = (align(self.W, h, 2) @ q).chunk(3, -2)
        if dx is None:
            driven = None
        else:
            of_r, of_z, driven = (align(self.V, h, 2) @ dx).chunk(3, -2)
            dr, dz = dr + of_r, dz + of_z
        slope = (1 - z) * (1 - n * n)
        pushed = scaled(z, q) + scaled((h - n) * z * (1 - z), dz)
        pushed = pushed + scaled(slope * r, dn) + scaled(slope * inner * r * (1 - r), dr)
        if driven is not None:
            pushed = pushed + scaled(slope, driven)
        return n + z * (h - n), pushed

    def gates(self, h: Tensor, x: Tensor | None = None) -> dict[str, Tensor]:
        """The gates [..., N], between 0 and 1, that turn a state and an input into the next state."""
        r, z, _, _ = self._gates(h, self.drive(h, x))
        return {"reset": r, "update": z}

    def _gates(self, h: Tensor, drive: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The gates r, z, the candidate n, and W_n h + b_h."""
        r, z, inner = apply(self.W, h).chunk(3, -1)
        of_r, of_z, of_n = drive.chunk(3, -1)
        r, z, inner = (r + of_r).sigmoid(), (z + of_z).sigmoid(), inner + align(self.b_h, h)
        return r, z, (of_n + r * inner).tanh(), inner


CELL = GRU()
