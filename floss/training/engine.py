"""What an engine is: an implementation of the two hot loops, training and flossing, for one ensemble.

An engine computes gradients (parameters and data in; loss, metrics and gradients out), and runs whole epochs on the
ensemble in place: data, gradient, clipping, Adam, and freezing what is not finite. Losses are summed over networks,
never averaged.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.training.ensemble import Ensemble
from floss.training.flossed_networks import FlossingMeasurement, Selection
from floss.training.objective import FlossingObjective


class TrainingMeasurement(NamedTuple):
    """What is measured in a training epoch of all networks, before its step."""

    active: Bool[Tensor, "R"]
    """Which networks took the step."""
    loss: Float[Tensor, "R"]
    accuracy: Float[Tensor, "R"] | None
    """None where the task has none."""


class Engine(ABC):
    """The two hot loops of an ensemble."""

    name: ClassVar[str]
    """Its name in the table ENGINES, and in environment.json."""
    networks_per_thread: ClassVar[int]
    """Below about this many a further thread gains nothing, and waits long where other programs run. The bits of sums
    in float32 depend on the number of threads."""

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        self.ensemble = ensemble

    @classmethod
    def environment(cls) -> dict[str, str]:
        """What the bits of this engine depend on beside torch, for environment.json."""
        return {}

    @property
    @abstractmethod
    def stretch(self) -> int:
        """How many epochs one call should run, so that calls stay short enough to interrupt."""

    @abstractmethod
    def task_gradient(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B S"],
        d: Int64[Tensor, "R"],
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        """Task loss, accuracy and gradient of one epoch for each network.

        Args:
            parameters: of the networks, stacked.
            x: inputs.
            d: delay of each network.
            first: steps t ≥ `first` ≥ d have a part in the loss; None: all from d on.

        Returns:
            Loss, accuracy (None where the task has none), and the gradient of every parameter.
        """

    @abstractmethod
    def flossing_gradient(
        self, parameters: Parameters, inputs: Float[Tensor, "m T S"], objective: FlossingObjective
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"], Parameters]:
        """Flossing loss, exponents and gradient of one flossing epoch: see `floss.training.flossing`."""

    @abstractmethod
    def train(self, epoch: int, count: int) -> TrainingMeasurement:
        """Training epochs `epoch`, …, `epoch + count - 1` of all networks, at least one; what the last one measures.

        A network whose loss or gradient is not finite is marked in `diverged_at` and stays as it is, bit for bit.
        """

    @abstractmethod
    def floss(self, selection: Selection, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        """Flossing epochs of some networks, and what the last one measures: see `FlossedNetworks.floss`."""

    @abstractmethod
    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Mean loss and accuracy of the present parameters on fresh evaluation data."""
