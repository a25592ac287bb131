"""`arch=lstm`: long short-term memory (Hochreiter & Schmidhuber 1997), state (h, c), Eqs. 12-17 of the paper.

    i, f, o = σ(W_* h + V_* x + b_*),   g = tanh(W_g h + V_g x + b_g)
    c' = f ∘ c + i ∘ g,                 h' = o ∘ tanh(c')

The four gates are stacked in the order i, f, g, o, as torch does: W [R, 4N, N], V [R, 4N, S], b [R, 4N]. The Jacobian
is that of the whole state, 2N×2N.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from floss.networks.cell import Draw, Parameters
from floss.networks.gated import GatedCell, GatedStep, scaled
from floss.networks.gated_loops.lstm import LSTMLoop
from floss.networks.stacked import align, apply


class LSTM(GatedCell):
    """Long short-term memory; the readout sees h."""

    name = "lstm"
    flossed = ("W", "V", "b")
    loop = LSTMLoop()

    def state_size(self, n: int) -> int:
        return 2 * n

    def initial_weights(self, draw: Draw, *, n: int, inputs: int) -> Parameters:
        """The initialisation of Fig. 6: W_* ~ N(mean, (g g_*)²/N), V_* ~ N(0, g_*x²), one bias for each gate.

        The gains of i, g, o and of all inputs are uniform in [0, 1), drawn for each network, that of the recurrent
        weights of f is 0, as in Appendix B; b_f is uniform in [0, bias), the other biases are 0.
        """
        gains = draw.uniform(4, 8)
        recurrent, external = gains[:, :4].clone(), gains[:, 4:]
        recurrent[:, 1] = 0.0
        W = [draw.recurrent(10 + gate, n, draw.g * recurrent[:, gate]) for gate in range(4)]
        V = external[:, :, None, None] * draw.normal(1, 4, n, inputs)
        b = torch.zeros_like(V[..., 0])
        b[:, 1] = draw.bias * draw.uniform(2, 1)
        return {"W": torch.cat(W, 1), "V": V.flatten(1, 2), "b": b.flatten(1)}

    def step(self, parameters: Parameters) -> "LSTMStep":
        return LSTMStep(parameters["W"], parameters["V"], parameters["b"])

    def features(self, parameters: Parameters, h: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        return h.chunk(2, -1)[0]


@dataclass(frozen=True)
class LSTMStep(GatedStep):
    """The map (h, c) → (h', c'), with its Jacobian in closed form. States [R, 2N] or [R, B, 2N], inputs [R, S], ...

    Without the weights' first axis states are [..., 2N]. `projection` [P, N] is that of torch's LSTM with `proj_size`:
    h' = projection (o ∘ tanh(c')), and the state has P + N numbers.
    """

    W: Float[Tensor, "*R G P"]
    V: Float[Tensor, "*R G S"]
    b: Float[Tensor, "*R G"]
    projection: Float[Tensor, "P N"] | None = None

    loop = LSTM.loop

    @property
    def has_loop(self) -> bool:
        return self.projection is None

    @property
    def state_size(self) -> int:
        return self.W.shape[-1] + self.W.shape[-2] // 4

    def driven(self, h: Tensor, drive: Tensor) -> Tensor:
        _, (_, _, _, o), tanh_c, c = self._gates(h, drive)
        return torch.cat((self._project(o * tanh_c), c), -1)

    def advance(
        self, state: Tensor, q: Tensor, x: Tensor | None = None, dx: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q; with tangent vectors dx [..., S, k] of the input what they add to it as well."""
        before, (i, f, g, o), tanh_c, c = self._gates(state, self.drive(state, x))
        outputs = self.W.shape[-1]
        gates = align(self.W, state, 2) @ q[..., :outputs, :]
        if dx is not None:
            gates = gates + align(self.V, state, 2) @ dx
        di, df, dg, do = gates.chunk(4, -2)
        dc = scaled(f, q[..., outputs:, :]) + scaled(before * f * (1 - f), df)
        dc = dc + scaled(g * i * (1 - i), di) + scaled(i * (1 - g * g), dg)
        dh = scaled(tanh_c * o * (1 - o), do) + scaled(o * (1 - tanh_c * tanh_c), dc)
        if self.projection is not None:
            dh = self.projection @ dh
        return torch.cat((self._project(o * tanh_c), c), -1), torch.cat((dh, dc), -2)

    def gates(self, state: Tensor, x: Tensor | None = None) -> dict[str, Tensor]:
        """The gates [..., N], between 0 and 1, that turn a state and an input into the next state."""
        _, (i, f, _, o), _, _ = self._gates(state, self.drive(state, x))
        return {"input": i, "forget": f, "output": o}

    def _gates(self, state: Tensor, drive: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor, Tensor]:
        """The cell before, the four gates, and tanh of the cell after, and that itself."""
        h, before = state.split((self.W.shape[-1], self.W.shape[-2] // 4), -1)
        i, f, g, o = (apply(self.W, h) + drive).chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * before + i * g
        return before, (i, f, g, o), c.tanh(), c

    def _project(self, h: Tensor) -> Tensor:
        return h if self.projection is None else h @ self.projection.mT


CELL = LSTM()
