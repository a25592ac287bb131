"""`arch=lru`: linear recurrent unit (Orvieto et al. 2023), a complex diagonal linear recurrence.

    s' = Λ s + γ ∘ (B x),   λ_j = exp(-exp(ν_j) + i exp(θ_j)),   γ_j = √(1 - |λ_j|²) at the start

so |λ_j| < 1 whatever ν. The state is real, (Re s, Im s), and the Jacobian block diagonal: |λ_j| times a rotation of
each pair, so the Lyapunov exponents are log|λ_j| = -exp(ν_j), each of them twice, for any input. The readout sees
tanh(Re(C s) + D x + b): without a nonlinear function of the state no such network computes an XOR.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.step import ClosedFormStep
from floss.networks import diagonal_loop
from floss.networks.cell import Cell, CellStep, Draw, Parameters
from floss.networks.stacked import align, apply, spread
from floss.networks.workspace import Workspace


class LRU(Cell):
    """Linear recurrent units with exponential parametrisation and input normalisation."""

    name = "lru"
    flossed = ("nu",)
    growth_needs_run = False
    is_linear = True

    def state_size(self, n: int) -> int:
        return 2 * n

    def check(self, n: int, g: float, init: str, mean: float) -> None:  # noqa: ARG002
        if not 0.0 < g <= 1.0:
            raise ValueError(f"g={g:g}: must be above 0 and at most 1 for arch=lru, where it is the largest |λ_j|")
        if init != "gaussian" or mean != 0.0:
            raise ValueError("init and mean: must be gaussian and 0 for arch=lru, which has no recurrent matrix")

    def initial_weights(self, draw: Draw, *, n: int, inputs: int) -> Parameters:
        """Eigenvalues uniform in the disc |λ| < g; B, C with entries of variance 1/(2 S), 1/N; D ~ N(0, 1)."""
        # |λ|² is uniform in (0, g²); 2^-25 keeps the logarithm finite where the uniform number is 0.
        modulus_squared = draw.g[:, None] ** 2 * (draw.uniform(0, n) * (1 - 2.0**-24) + 2.0**-25)
        nu = (-0.5 * modulus_squared.log()).log()
        theta = (2.0 * math.pi * (draw.uniform(5, n) + 2.0**-25)).log()
        return {
            "nu": nu,
            "theta": theta,
            "gamma": 0.5 * torch.log1p(-modulus_squared),
            "B": draw.normal(1, 2, n, inputs) / (2 * inputs) ** 0.5,
            "C": draw.normal(6, 2, n, n) / n**0.5,
            "D": draw.normal(7, n, inputs),
            "b": draw.bias * draw.uniform(2, n),
        }

    def step(self, parameters: Parameters) -> "LRUStep":
        return LRUStep(parameters["nu"], parameters["theta"], parameters["gamma"], parameters["B"])

    def unroll(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], *, workspace: Workspace | None = None
    ) -> Float[Tensor, "R T B"]:
        """Readouts y[1], …, y[T], with exact backpropagation through time (`diagonal_loop`)."""
        if is_transformed(x, *parameters.values()) or x.dtype not in (torch.float32, torch.float64):
            return super().unroll(parameters, x)
        return diagonal_loop.unroll(parameters, x, super().unroll, workspace=workspace)

    def features(self, parameters: Parameters, h: Tensor, x: Tensor) -> Tensor:
        C, shape = parameters["C"], (h.shape[0], -1)
        # Re(C s) = [Re C, -Im C] (Re s, Im s)
        seen = h.reshape(*shape, h.shape[-1]) @ torch.cat((C[:, 0], -C[:, 1]), -1).mT
        seen = seen + x.reshape(*shape, x.shape[-1]) @ parameters["D"].mT + parameters["b"][:, None]
        return seen.tanh().reshape(*h.shape[:-1], -1)


@dataclass(frozen=True)
class LRUStep(CellStep, ClosedFormStep):
    """The map s → Λ s + γ ∘ (B x) of real states (Re s, Im s) [R, 2N] or [R, B, 2N], with its Jacobian."""

    nu: Float[Tensor, "*R N"]
    theta: Float[Tensor, "*R N"]
    gamma: Float[Tensor, "*R N"]
    B: Float[Tensor, "*R 2 N S"]

    @property
    def input_size(self) -> int:
        return self.B.shape[-1]

    @property
    def state_size(self) -> int:
        return 2 * self.nu.shape[-1]

    def __call__(self, state: Tensor, x: Tensor | None = None) -> Tensor:
        after = self._rotate(state, self._eigenvalues())
        return after if x is None else after + self._drive(spread(x, state))

    def unroll(self, h0: Float[Tensor, "R B n"], x: Float[Tensor, "R T B S"]) -> Float[Tensor, "R T B n"]:
        h, states, eigenvalues = h0, [], self._eigenvalues()
        for drive in self._drive(x).unbind(1):
            h = self._rotate(h, eigenvalues) + drive
            states.append(h)
        return torch.stack(states, 1)

    def advance(self, state: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        cosine, sine = (align(part, state)[..., None] for part in self._eigenvalues())
        real, imaginary = q.chunk(2, -2)
        pushed = torch.cat((cosine * real - sine * imaginary, sine * real + cosine * imaginary), -2)
        return self(state, x), pushed

    def exponents(self, chain: Chain) -> Tensor:
        """The exponents log|λ_j| = -exp(ν_j), each twice, the k largest in descending order."""
        modulus = (-self.nu.exp()).sort(-1, descending=True).values.repeat_interleave(2, -1)
        return align(modulus, chain.h).expand(chain.h.shape)[..., : chain.q.shape[-1]]

    def _rotate(self, state: Tensor, eigenvalues: tuple[Tensor, Tensor]) -> Tensor:
        cosine, sine = (align(part, state) for part in eigenvalues)
        real, imaginary = state.chunk(2, -1)
        return torch.cat((cosine * real - sine * imaginary, sine * real + cosine * imaginary), -1)

    def _drive(self, x: Tensor) -> Tensor:
        """γ ∘ (B x), for one step or for many at once."""
        return apply((self.gamma.exp()[..., None, :, None] * self.B).flatten(-3, -2), x)

    def _eigenvalues(self) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of λ."""
        modulus, angle = (-self.nu.exp()).exp(), self.theta.exp()
        return modulus * angle.cos(), modulus * angle.sin()


CELL = LRU()
