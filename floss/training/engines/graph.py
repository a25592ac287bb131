"""`engine=torch` on a GPU: each epoch captured once in a CUDA graph, and replayed.

An epoch is thousands of small kernels, which Python launches far more slowly than the GPU computes them; a graph
launches all of them at once. What a captured epoch reads and writes stays at one place in memory, and it cannot look at
numbers on the way. So epochs count themselves on the device, and a network whose tangent vectors need Householder
reflections stays behind: it takes no step, and repeats its epoch, until it is brought up to the others outside the
graph. Penalties other than the exponents decompose matrices by routines that cannot be captured: their epochs go
without a graph.

On the CPU the same code runs without a graph, and gives the same bits as `TorchEngine`.
"""

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.orthonormalisation import CholeskyOrthonormaliser
from floss.networks import Parameters
from floss.training.engine import Engine, TrainingMeasurement
from floss.training.engines.capture import Captures, Replayed
from floss.training.engines.torch_epochs import TorchEpochs
from floss.training.ensemble import Ensemble
from floss.training.flossed_networks import FlossedNetworks, FlossingMeasurement, Selection
from floss.training.flossing import flossing_gradient
from floss.training.objective import EXPONENTS, FlossingObjective

_MOST_FLOSSING_GRAPHS = 32
"""Selections of networks whose flossing epochs are kept captured. A network that diverges makes a new selection, and
each has a copy of its initial tangent vectors and thousands of kernels."""


class GraphEngine(Engine):
    """The epochs of `TorchEngine`, replayed."""

    name: ClassVar[str] = "graph"
    networks_per_thread: ClassVar[int] = 4

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        super().__init__(ensemble)
        self._epochs = TorchEpochs(ensemble)
        self._captures = Captures() if ensemble.seeds.is_cuda else None
        self._training: TrainingEpoch | None = None
        self._flossing: OrderedDict[tuple[int, ...], FlossingEpoch] = OrderedDict()

    @property
    def stretch(self) -> int:
        return 50

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
        if self._training is None:
            self._training = TrainingEpoch(self.ensemble, self._captures)
        loss, accuracy = self._training.run(epoch, count)
        return TrainingMeasurement(self.ensemble.alive, loss, accuracy if self.ensemble.task.binary else None)

    def floss(self, selection: Selection, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        if selection.objective.penalty != EXPONENTS:
            return self.ensemble.flossed.floss(selection, life, count, epoch)
        return self._flossing_epoch(selection).run(life, count, epoch)

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        return self._epochs.evaluate()

    def _flossing_epoch(self, selection: Selection) -> "FlossingEpoch":
        """The epoch of these networks, of which the least recently used gives way to a new one."""
        key = tuple(selection.index.tolist())
        if key not in self._flossing:
            while len(self._flossing) >= _MOST_FLOSSING_GRAPHS:
                self._flossing.popitem(last=False)
            self._flossing[key] = FlossingEpoch(self.ensemble.flossed, selection, self._captures)
        self._flossing.move_to_end(key)
        return self._flossing[key]


class TrainingEpoch:
    """The next training epoch of all networks, and which one it is."""

    def __init__(self, ensemble: Ensemble, captures: Captures | None) -> None:
        """`captures` is None where nothing is captured."""
        self.epochs = TorchEpochs(ensemble)  # with a workspace that nothing else takes away
        self.now = torch.zeros_like(ensemble.seeds)
        self.loss = ensemble.flossed.target.new_zeros(len(ensemble.networks))
        self.accuracy = torch.zeros_like(self.loss)
        self.replayed = Replayed("training", captures)

    def run(self, epoch: int, count: int) -> tuple[Tensor, Tensor]:
        """`count` epochs from `epoch` on; loss and accuracy of the last one."""
        self.now.fill_(epoch)
        for _ in range(count):
            self.replayed(self._once)
        return self.loss.clone(), self.accuracy.clone()

    def _once(self) -> None:
        loss, accuracy = self.epochs.train_epoch(self.now)
        self.loss.copy_(loss)
        if accuracy is not None:
            self.accuracy.copy_(accuracy)
        self.now += 1


class FlossingEpoch:
    """The next flossing epoch of some networks, and which one it is for each of them."""

    def __init__(self, networks: FlossedNetworks, selection: Selection, captures: Captures | None) -> None:
        """`captures` is None where nothing is captured."""
        self.networks, self.selection = networks, selection
        self.life, self.epoch = torch.zeros_like(selection.seeds), torch.zeros_like(selection.seeds[0])
        self.orthonormaliser = CholeskyOrthonormaliser(len(selection.seeds), selection.seeds.device)
        loss = torch.zeros_like(selection.objective.target)
        self.measured = [loss, torch.zeros_like(loss), torch.zeros_like(loss)]
        """Loss, largest and smallest flossed exponent of the last epoch."""
        self.replayed = Replayed("flossing", captures)

    def run(self, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        """`count` epochs, from number `life` of each network on, before training epoch `epoch`."""
        self.life.copy_(life)
        self.epoch.fill_(epoch)
        for _ in range(count):
            self.replayed(self._once)
        while len(behind := self._behind(life + count)):
            _, *measured = self.networks.floss_epoch(self.selection.select(behind), self.life[behind], epoch=epoch)
            for column, values in zip(self.measured, measured, strict=True):
                column[behind] = values
            self.life[behind] += 1
        loss, lambda_1, lambda_k = (column.clone() for column in self.measured)
        return FlossingMeasurement(self._alive, loss, lambda_1, lambda_k)

    @property
    def _alive(self) -> Tensor:
        return self.networks.alive[self.selection.index]

    def _behind(self, wanted: Tensor) -> Tensor:
        """Which of the networks that are alive have not got as far as wanted."""
        return ((self.life < wanted) & self._alive).nonzero()[:, 0]

    def _once(self) -> None:
        self.orthonormaliser.reset()
        _, *measured = self.networks.floss_epoch(
            self.selection, self.life, epoch=self.epoch, orthonormaliser=self.orthonormaliser
        )
        for column, values in zip(self.measured, measured, strict=True):
            column.copy_(values)
        self.life += ~self.orthonormaliser.failed
