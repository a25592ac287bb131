"""What every recurrent cell offers: initial parameters, the time loop with its readout, and the one-step map.

R networks are stacked along the first axis of every tensor. A cell holds no parameters: those are dictionaries of
stacked tensors, in which U [R, N], c [R] are the readout and h0 [R, B, n] the trained initial states.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss import random
from floss.lyapunov.qr import qr
from floss.lyapunov.step import SizedStep, Step, next_state
from floss.networks.workspace import Workspace
from floss.random import Stream

Parameters = dict[str, Tensor]


class CellStep(SizedStep):
    """The one-step map of stacked networks: states [R, n] or [R, B, n], inputs [R, S] or [R, B, S]."""

    def unroll(self, h0: Float[Tensor, "R B n"], x: Float[Tensor, "R T B S"]) -> Float[Tensor, "R T B n"]:
        """The states after each of T steps; a map that shares work between the steps has a loop of its own."""
        h, states = h0, []
        for inputs in x.unbind(1):
            h = self(h, inputs)
            states.append(h)
        return torch.stack(states, 1)


class Cell(ABC):
    """An architecture."""

    name: str
    """Value of `arch=`."""
    flossed: ClassVar[tuple[str, ...]]
    """Parameters that flossing changes; the task trains all of them."""
    trains_initial_state: ClassVar[bool] = True
    """Whether the task trains h0 as well."""
    growth_needs_run: ClassVar[bool] = True
    """Whether tangent vectors grow as the run has it; those of a diagonal linear recurrence grow as its weights say."""
    is_linear: ClassVar[bool] = False
    """Whether the recurrence is linear, so that the one-step Jacobian is the same at every step of every run."""
    defaults: ClassVar[Mapping[str, float | str]] = {}
    """Values of keys `arch.*`, for a cell of another package; those of floss have a file of them in `conf/arch`."""

    @abstractmethod
    def state_size(self, n: int) -> int:
        """Number of state variables of a network with n units: the most exponents it has."""

    @abstractmethod
    def initial_weights(self, draw: "Draw", *, n: int, inputs: int) -> Parameters:
        """Everything but the readout and the initial states, in float64."""

    @abstractmethod
    def step(self, parameters: Parameters) -> Step:
        """One-step map of the networks, for `floss.lyapunov_spectrum`.

        States are [R, N] or [R, B, N], inputs [R, S] or [R, B, S]. A function `step(h, x=None)` is enough: its Jacobian
        then comes from automatic differentiation, and its time loop from this class. A `CellStep`,
        which brings both, is faster.
        """

    def features(self, parameters: Parameters, h: Float[Tensor, "R *T n"], x: Tensor) -> Float[Tensor, "R *T N"]:  # noqa: ARG002
        """What the readout sees of a state: the state itself, unless the architecture says otherwise."""
        return h

    def check(self, n: int, g: float, init: str, mean: float) -> None:  # noqa: B027
        """Raise a ValueError where the architecture has no such initial weights; most have all of them."""

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

        U ~ N(0, readout²), not scaled by N; c = 0.001; h0 ~ N(0, 1), settled by `relaxation` steps without input; the
        rest as the architecture's `initial_weights` has it.

        Args:
            seeds: one per network.
            g: gain of each network's recurrent weights.
            n: number of units N.
            inputs: number of inputs S.
            batch: number of batch slots B, each with an initial state of its own.
            init: `gaussian` or `orthogonal`.
            mean: mean of the Gaussian recurrent weights.
            bias: upper end of the biases' distribution.
            readout: standard deviation of the readout weights.
            relaxation: steps that bring the initial states towards the attractor.
            dtype: of the result. Weights are drawn in float64, so both dtypes start from the same network.

        Returns:
            The weights, U [R, N], c [R], h0 [R, B, n], on the device of `seeds`.

        Raises:
            ValueError: an init of another name, or values that the architecture has no use for.
        """
        if init not in ("gaussian", "orthogonal"):
            raise ValueError(f"init={init!r}: allowed are gaussian, orthogonal")
        draw = Draw(seeds, g.double(), init, mean, bias)
        parameters = self.initial_weights(draw, n=n, inputs=inputs)
        parameters["U"] = readout * draw.normal(3, n)
        parameters["c"] = torch.full((len(seeds),), 1e-3, dtype=torch.float64, device=seeds.device)
        size = self.state_size(n)
        h = random.normal(seeds, Stream.INITIAL_STATE, batch * size, dtype=torch.float64)
        h, step = h.reshape(len(seeds), batch, size), self.step(parameters)
        for _ in range(relaxation):
            h = next_state(step, h)
        parameters["h0"] = h
        return {name: value.to(dtype).contiguous() for name, value in parameters.items()}

    def unroll(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B S"],
        *,
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "R T B"]:
        """Readouts y[1], …, y[T] for inputs x[1], …, x[T], differentiable with respect to all parameters.

        The architectures without a hand-written time loop leave the backward pass to automatic differentiation.
        """
        step = self.step(parameters)
        states = step.unroll if isinstance(step, CellStep) else functools.partial(_states, step)
        seen = self.features(parameters, states(parameters["h0"], x), x)
        R, T, B, _ = x.shape
        y = seen.reshape(R, T * B, -1) @ parameters["U"][:, :, None] + parameters["c"][:, None, None]
        return y.reshape(R, T, B)


def _states(step: Step, h: Float[Tensor, "R B n"], x: Float[Tensor, "R T B S"]) -> Float[Tensor, "R T B n"]:
    """The states after each of T steps."""
    states = []
    for now in x.unbind(1):
        h = next_state(step, h, now)
        states.append(h)
    return torch.stack(states, 1)


class Draw:
    """Initial weights of an ensemble: random numbers of each network's own seed, by numbered parts."""

    def __init__(self, seeds: Int64[Tensor, "R"], g: Float[Tensor, "R"], init: str, mean: float, bias: float) -> None:
        """`g`, `init`, `mean` and `bias` are the arguments of `Cell.initial_parameters`."""
        self.seeds, self.g, self.init, self.mean, self.bias = seeds, g, init, mean, bias

    def normal(self, part: int, *shape: int) -> Float[Tensor, "R *shape"]:
        """Standard normal numbers."""
        count = int(torch.Size(shape).numel())
        numbers = random.normal(self.seeds, Stream.WEIGHTS, count, part=part, dtype=torch.float64)
        return numbers.reshape(len(self.seeds), *shape)

    def uniform(self, part: int, *shape: int) -> Float[Tensor, "R *shape"]:
        """Uniform numbers in [0, 1)."""
        count = int(torch.Size(shape).numel())
        numbers = random.uniform(self.seeds, Stream.WEIGHTS, count, part=part, dtype=torch.float64)
        return numbers.reshape(len(self.seeds), *shape)

    def recurrent(self, part: int, n: int, gain: Float[Tensor, "R"]) -> Float[Tensor, "R n n"]:
        """One recurrent matrix: N(mean, gain²/N) entries, or gain times a Haar-random orthogonal matrix."""
        gaussian = self.normal(part, n, n)
        if self.init == "orthogonal":
            return gain[:, None, None] * qr(gaussian)[0]
        return self.mean + gain[:, None, None] * gaussian / n**0.5
