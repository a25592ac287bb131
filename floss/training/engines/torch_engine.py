"""The two hot loops in torch, for every architecture and device: the reference for every other engine."""

from typing import ClassVar

from jaxtyping import Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.training.engine import Engine, TrainingMeasurement
from floss.training.engines.torch_epochs import TorchEpochs
from floss.training.ensemble import Ensemble
from floss.training.flossed_networks import FlossingMeasurement, Selection
from floss.training.flossing import flossing_gradient
from floss.training.objective import FlossingObjective


class TorchEngine(Engine):
    """`engine=torch`."""

    name: ClassVar[str] = "torch"
    networks_per_thread: ClassVar[int] = 4

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        super().__init__(ensemble)
        self._epochs = TorchEpochs(ensemble)

    @property
    def stretch(self) -> int:
        return 1

    def task_gradient(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B S"],
        d: Int64[Tensor, "R"],
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        return self._epochs.gradient(parameters, x, d, first)

    def flossing_gradient(
        self, parameters: Parameters, inputs: Float[Tensor, "m T S"], objective: FlossingObjective
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"], Parameters]:
        return flossing_gradient(self.ensemble.cell, parameters, inputs, objective)

    def train(self, epoch: int, count: int) -> TrainingMeasurement:
        for now in range(epoch, epoch + count):
            loss, accuracy = self._epochs.train_epoch(now)
        return TrainingMeasurement(self.ensemble.alive, loss, accuracy)  # pyright: ignore[reportPossiblyUnboundVariable]

    def floss(self, selection: Selection, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        return self.ensemble.flossed.floss(selection, life, count, epoch)

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        return self._epochs.evaluate()
