"""What every penalty offers: the loss of stacked networks, differentiable with respect to what is flossed."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser
from floss.networks import Cell, Parameters
from floss.training.objective import FlossingObjective

RUN = ("t_ons", "steps", "transient")
"""Keys of the run along which networks are flossed."""


class Penalty(ABC):
    """A value of `flossing.penalty=`."""

    @abstractmethod
    def loss(
        self,
        cell: Cell,
        parameters: Parameters,
        inputs: Float[Tensor, "m T S"],
        objective: FlossingObjective,
        orthonormaliser: Orthonormaliser,
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"]]:
        """The loss of each network on one flossing run, and its exponents in the order of Q's columns.

        Exponents that the penalty does not look at are NaN, and so is the loss of a network that is not finite.
        """

    def refusal(self, cell: Cell) -> str:  # noqa: ARG002
        """Why networks of an architecture have no such loss; empty where they have."""
        return ""

    def idle(self, cell: Cell) -> tuple[str, ...]:
        """Keys of flossing that change nothing of the loss of an architecture's networks."""
        return () if cell.growth_needs_run else RUN


def mean_square_distance(
    values: Float[Tensor, "*T m k"], k: Int64[Tensor, "m"], target: Float[Tensor, "m"]
) -> Float[Tensor, "*T m"]:
    """Mean of (v_i - target)² over the first k values of each network; the k may differ.

    Values of -inf cannot be moved (units that do not respond): they are left out of the sum, not of k.
    """
    flossed = torch.arange(values.shape[-1], device=k.device) < k[:, None]
    movable = flossed & (values != -torch.inf)
    return torch.where(movable, values - target[:, None], 0.0).square().sum(-1) / k
