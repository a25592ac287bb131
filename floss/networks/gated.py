"""What the maps of gated cells share: a drive V x + b that can be computed for all steps of a run at once."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from floss.networks.cell import CellStep
from floss.networks.stacked import align, apply, spread


def scaled(factor: Tensor, tangent: Tensor) -> Tensor:
    """diag(factor) tangent, for factors [..., N] and tangent vectors [..., N, k]."""
    return factor[..., None] * tangent


class GatedStep(CellStep):
    """A one-step map with input weights V [*R, G, S] and biases b [*R, G] of G gates in all."""

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
