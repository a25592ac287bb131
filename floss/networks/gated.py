"""What gated cells share: loops in closed form, and a drive V x + b that can be computed for all steps at once."""

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_plain, is_transformed
from floss.lyapunov.step import ClosedFormStep
from floss.networks.cell import Cell, CellStep, Parameters
from floss.networks.gated_loops.bptt import unroll
from floss.networks.gated_loops.loop import GatedLoop
from floss.networks.gated_loops.reduced_adjoint import gated_exponents
from floss.networks.stacked import align, apply, spread
from floss.networks.workspace import Workspace


def scaled(factor: Tensor, tangent: Tensor) -> Tensor:
    """diag(factor) tangent, for factors [..., N] and tangent vectors [..., N, k]."""
    return factor[..., None] * tangent


class GatedCell(Cell):
    """A gated cell with a hand-written time loop."""

    loop: ClassVar[GatedLoop]

    def unroll(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], *, workspace: Workspace | None = None
    ) -> Float[Tensor, "R T B"]:
        """Readouts y[1], …, y[T], with exact backpropagation through time (`gated_loops.bptt`)."""
        if is_transformed(x, *parameters.values()):
            return super().unroll(parameters, x)
        return unroll(self.loop, parameters, x, super().unroll, workspace=workspace)


class GatedStep(CellStep, ClosedFormStep):
    """A one-step map with recurrent weights W, input weights V [*R, G, S] and biases b [*R, G] of G gates in all."""

    loop: ClassVar[GatedLoop]
    W: Tensor
    V: Tensor
    b: Tensor

    @property
    def input_size(self) -> int:
        return self.V.shape[-1]

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        return self.driven(h, self.drive(h, x))

    @abstractmethod
    def driven(self, h: Tensor, drive: Tensor) -> Tensor:
        """The next state, with the drive computed already."""

    def drive(self, h: Tensor, x: Tensor | None) -> Tensor:
        """V x + b, for one step or for many."""
        if x is None:
            return align(self.b, h)
        x = spread(x, h)
        return apply(self.V, x) + align(self.b, x)

    def unroll(self, h0: Float[Tensor, "R B n"], x: Float[Tensor, "R T B S"]) -> Float[Tensor, "R T B n"]:
        h, states = h0, []
        for drive in self.drive(h0, x).unbind(1):
            h = self.driven(h, drive)
            states.append(h)
        return torch.stack(states, 1)

    def exponents(self, chain: Chain) -> Tensor | None:
        """Unsorted exponents with the reduced QR adjoint, where a gradient of them is wanted.

        None where it is not one trajectory per network, or under `torch.func` or forward-mode differentiation. A chain
        that is watched at every step is left to the bare loop, and so is an analysis without gradients, which then
        takes no memory.
        """
        h0, inputs, W = chain.h, chain.inputs, self.W
        if chain.watch is not None or not self.has_loop or W.ndim != 3 or h0.ndim != 2 or len(h0) != len(W):
            return None
        if inputs is None:
            inputs = h0.new_zeros(chain.steps, len(h0), self.input_size)
        else:  # they may be the same for all networks
            inputs = inputs.reshape(chain.steps, -1, inputs.shape[-1]).expand(-1, len(h0), -1)
        parameters = {name: getattr(self, name) for name in self.loop.names}
        tensors = (*parameters.values(), h0, chain.q, inputs)
        if is_transformed(*tensors) or is_plain(*tensors):
            return None
        own: Any = self  # each of the steps is a dataclass
        return gated_exponents(self.loop, parameters, chain, inputs, partial(replace, own))

    @property
    def has_loop(self) -> bool:
        """Whether `loop` is that of this map."""
        return True
