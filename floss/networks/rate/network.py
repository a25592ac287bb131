"""Ensembles of rate networks: h[s+1] = W φ(h[s]) + V x[s+1] / S + b, readout y[s] = U·h[s] + c (Eq. 9).

The state h is the pre-activation, and the readout is linear in h, not in φ(h). R networks are stacked along the first
axis of every tensor: W [R, N, N], V [R, N, S], b [R, N], U [R, N], c [R], h0 [R, B, N].
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_plain, is_transformed
from floss.lyapunov.step import ClosedFormStep
from floss.networks.cell import Cell, CellStep, Draw, Parameters
from floss.networks.rate.activation import Activation
from floss.networks.rate.bptt import unroll
from floss.networks.rate.fast_spectrum import rate_network_spectrum
from floss.networks.rate.reduced_adjoint import rate_network_exponents
from floss.networks.stacked import align, apply, spread
from floss.networks.workspace import Workspace


@dataclass(frozen=True)
class RateNetwork(Cell):
    """A rate network with transfer function φ."""

    name: str
    activation: Activation
    flossed: ClassVar[tuple[str, ...]] = ("W", "V", "b")

    @property
    def is_linear(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether φ is linear, so that the Jacobian is a multiple of W."""
        return self.activation.is_linear

    def state_size(self, n: int) -> int:
        return n

    def initial_weights(self, draw: Draw, *, n: int, inputs: int) -> Parameters:
        """W ~ N(mean, g²/N), or g times a Haar-random orthogonal matrix; V ~ N(0, 1); b ~ U(0, bias)."""
        return {
            "W": draw.recurrent(0, n, draw.g),
            "V": draw.normal(1, n, inputs),
            "b": draw.bias * draw.uniform(2, n),
        }

    def unroll(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], *, workspace: Workspace | None = None
    ) -> Float[Tensor, "R T B"]:
        """Readouts y[1], …, y[T] for inputs x[1], …, x[T], with exact backpropagation through time (`rate.bptt`)."""
        return unroll(parameters, x, self.activation, workspace=workspace)

    def step(self, parameters: Parameters) -> "RateStep":
        return RateStep(parameters["W"], parameters["V"], parameters["b"], self.activation)


@dataclass(frozen=True)
class RateStep(CellStep, ClosedFormStep):
    """The map h → W φ(h) + V x / S + b of stacked networks, with its Jacobian in closed form.

    States are [R, N] or [R, B, N], inputs [R, S] or [R, B, S]; without weights' first axis (W [N, N]) states are
    [..., N].
    """

    W: Float[Tensor, "*R N N"]
    V: Float[Tensor, "*R N S"]
    b: Float[Tensor, "*R N"]
    activation: Activation

    @property
    def input_size(self) -> int:
        return self.V.shape[-1]

    @property
    def state_size(self) -> int:
        return self.W.shape[-1]

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        return self._after(h, self.activation.rate(h), x)

    def advance(self, h: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q = W diag(φ'(h)) q."""
        rate = self.activation.rate(h)
        return self._after(h, rate, x), align(self.W, h, 2) @ (self.activation.slope(rate)[..., None] * q)

    def exponents(self, chain: Chain) -> Tensor | None:
        """Unsorted exponents, with the reduced QR adjoint where a gradient is wanted.

        None where it is not one trajectory per network, or under `torch.func` or forward-mode differentiation.
        """
        h0, inputs = chain.h, chain.inputs
        if not (self.W.ndim == 3 and h0.ndim == 2 and len(h0) == len(self.W)):
            return None
        if inputs is None:
            inputs = h0.new_zeros(chain.steps, len(h0), self.V.shape[-1])
        else:  # they may be the same for all networks
            inputs = inputs.reshape(chain.steps, -1, inputs.shape[-1]).expand(-1, len(h0), -1)
        tensors = (self.W, self.V, self.b, h0, inputs, chain.q)
        if is_transformed(*tensors):
            return None
        # The fast loop has been measured on CPUs alone: it looks at numbers on the way, and chooses its own QR.
        # Training computes in single precision what it always did.
        double = h0.dtype == torch.float64
        plain = is_plain(*tensors) and (double or chain.traced) and h0.device.type == "cpu"
        arguments, orthonormaliser = (*tensors, self.activation), chain.orthonormaliser
        if plain and orthonormaliser.failed is None:
            return rate_network_spectrum(
                *arguments, t_ons=chain.t_ons, transient=chain.transient, compiled=chain.traced
            )
        return rate_network_exponents(
            *arguments,
            t_ons=chain.t_ons,
            transient=chain.transient,
            orthonormaliser=orthonormaliser,
            sums=chain.sums,
        )

    def _after(self, h: Tensor, rate: Tensor, x: Tensor | None) -> Tensor:
        after = apply(self.W, rate) + align(self.b, h)
        return after if x is None else after + apply(self.V, spread(x, h)) / self.V.shape[-1]
