"""Ensembles of rate networks: h[s+1] = W φ(h[s]) + V x[s+1] / S + b, readout y[s] = U·h[s] + c (Eq. 9).

The state h is the pre-activation, and the readout is linear in h, not in φ(h). R networks are stacked along the first
axis of every tensor: W [R, N, N], V [R, N, S], b [R, N], U [R, N], c [R], h0 [R, B, N].
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss import random
from floss.activation import Activation
from floss.bptt import Workspace, unroll
from floss.qr_decomposition import qr
from floss.random import Stream
from floss.reduced_adjoint import rate_network_exponents

Parameters = dict[str, Tensor]

FLOSSED = ("W", "V", "b")
"""Parameters that flossing changes; the task trains all of them."""


@dataclass(frozen=True)
class RateNetwork:
    """A rate network with transfer function φ. Holds no parameters: those are dictionaries of stacked tensors."""

    name: str
    activation: Activation

    def state_size(self, n: int) -> int:
        """Number of state variables of a network with n units: the most exponents it has."""
        return n

    def initial_parameters(
        self,
        seeds: Int64[Tensor, "R"],
        g: Float[Tensor, "R"],
        *,
        n: int,
        inputs: int,
        batch: int,
        init: str = "gaussian",
        mean: float = 0.0,
        bias: float = 0.1,
        readout: float = 1.0,
        relaxation: int = 100,
        dtype: torch.dtype = torch.float32,
    ) -> Parameters:
        """Parameters drawn from each network's own seed; the defaults are those of the reference protocol.

        W ~ N(mean, g²/N), or g times a Haar-random orthogonal matrix; V ~ N(0, 1); b ~ U(0, bias); U ~ N(0, readout²),
        not scaled by N; c = 0.001; h0 ~ N(0, 1), settled by `relaxation` steps without input.

        Args:
            seeds: one per network.
            g: gain of each network's recurrent weights.
            n: number of units N.
            inputs: number of inputs S.
            batch: number of batch slots B, each with an initial state of its own.
            init: `gaussian` or `orthogonal`.
            mean: mean of the Gaussian weights.
            bias: upper end of the biases' distribution.
            readout: standard deviation of the readout weights.
            relaxation: steps that bring the initial states towards the attractor.
            dtype: of the result. Weights are drawn in float64, so both dtypes start from the same network.

        Returns:
            W [R, N, N], V [R, N, S], b [R, N], U [R, N], c [R], h0 [R, B, N], on the device of `seeds`.

        Raises:
            ValueError: an init of another name.
        """
        count = len(seeds)

        def draw(part: int, *shape: int) -> Tensor:
            numbers = random.normal(
                seeds, Stream.WEIGHTS, int(torch.Size(shape).numel()), part=part, dtype=torch.float64
            )
            return numbers.reshape(count, *shape)

        gaussian = draw(0, n, n)
        if init == "gaussian":
            W = mean + g.double()[:, None, None] * gaussian / n**0.5
        elif init == "orthogonal":
            W = g.double()[:, None, None] * qr(gaussian)[0]
        else:
            raise ValueError(f"init={init!r}: allowed are gaussian, orthogonal")
        parameters = {
            "W": W,
            "V": draw(1, n, inputs),
            "b": bias * random.uniform(seeds, Stream.WEIGHTS, n, part=2, dtype=torch.float64),
            "U": readout * draw(3, n),
            "c": torch.full((count,), 1e-3, dtype=torch.float64, device=seeds.device),
        }
        h = random.normal(seeds, Stream.INITIAL_STATE, batch * n, dtype=torch.float64).reshape(count, batch, n)
        step = self.step(parameters)
        for _ in range(relaxation):
            h = step(h)
        parameters["h0"] = h
        return {name: value.to(dtype) for name, value in parameters.items()}

    def unroll(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], *, workspace: Workspace | None = None
    ) -> Float[Tensor, "R T B"]:
        """Readouts y[1], …, y[T] for inputs x[1], …, x[T], with exact backpropagation through time (`floss.bptt`)."""
        return unroll(parameters, x, self.activation, workspace=workspace)

    def step(self, parameters: Parameters) -> "RateStep":
        """One-step map of the networks, for `floss.lyapunov_spectrum`."""
        return RateStep(parameters["W"], parameters["V"], parameters["b"], self.activation)


@dataclass(frozen=True)
class RateStep:
    """The map h → W φ(h) + V x / S + b of stacked networks, with its Jacobian in closed form.

    States are [R, N] or [R, B, N], inputs [R, S] or [R, B, S]; without weights' first axis (W [N, N]) states are
    [..., N].
    """

    W: Float[Tensor, "*R N N"]
    V: Float[Tensor, "*R N S"]
    b: Float[Tensor, "*R N"]
    activation: Activation

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        """The next state."""
        after = self._apply(self.W, self.activation.rate(h)) + self._align(self.b, h)
        return after if x is None else after + self._apply(self.V, x) / self.V.shape[-1]

    def tangent(self, h: Tensor, q: Tensor) -> Tensor:
        """D(h) q = W diag(φ'(h)) q: the one-step Jacobian times tangent vectors q [..., N, k]."""
        slope = self.activation.slope(self.activation.rate(h))
        return self._align(self.W, h, 2) @ (slope[..., None] * q)

    def exponents(
        self, h0: Tensor, inputs: Tensor | None, steps: int, q0: Tensor, t_ons: int, transient: int
    ) -> Tensor | None:
        """Unsorted exponents by the reduced QR adjoint; None where the shapes are not one trajectory per network."""
        if not (self.W.ndim == 3 and h0.ndim == 2 and len(h0) == len(self.W)):
            return None
        if inputs is None:
            inputs = h0.new_zeros(steps, len(h0), self.V.shape[-1])
        elif inputs.ndim == 2:  # the same inputs for all networks
            inputs = inputs[:, None, :].expand(steps, len(h0), -1)
        return rate_network_exponents(
            self.W, self.V, self.b, h0, inputs, q0, self.activation, t_ons=t_ons, transient=transient
        )

    def _apply(self, matrix: Tensor, vector: Tensor) -> Tensor:
        return (self._align(matrix, vector, 2) @ vector[..., None]).squeeze(-1)

    def _align(self, parameter: Tensor, state: Tensor, own_axes: int = 1) -> Tensor:
        """The parameter with axes of size 1 between the network axis and its own, to match [R, B, ...] states."""
        networks = parameter.shape[: parameter.ndim - own_axes]
        missing = state.ndim - 1 - len(networks)
        if not networks or missing <= 0:
            return parameter
        return parameter.reshape(*networks, *(1,) * missing, *parameter.shape[-own_axes:])
