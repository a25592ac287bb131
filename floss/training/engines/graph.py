"""`engine=torch` on a GPU: each epoch captured once in a CUDA graph, and replayed.

An epoch is thousands of small kernels, which Python launches far more slowly than the GPU computes them; a graph
launches all of them at once. What a captured epoch reads and writes stays at one place in memory, and it cannot look at
numbers on the way. So epochs count themselves on the device, and a network whose tangent vectors need Householder
reflections stays behind: it takes no step, and repeats its epoch, until it is brought up to the others outside the
graph.

On the CPU the same code runs without a graph, and gives the same bits as `TorchEngine`.
"""

import logging
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.training.engines.torch_engine import Selection, TorchEngine
from floss.training.ensemble import Ensemble

LOGGER = logging.getLogger("floss")

_WARM_UP = 3
"""Calls before a capture: libraries make their handles and workspaces in them, which no graph can hold."""


class GraphEngine(TorchEngine):
    """The epochs of `TorchEngine`, replayed."""

    name: ClassVar[str] = "graph"

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        super().__init__(ensemble)
        # One block of memory for all graphs: they run one after the other, and leave nothing in it.
        self._pool = torch.cuda.graph_pool_handle() if ensemble.seeds.is_cuda else None
        self._training: TrainingEpoch | None = None
        self._flossing: dict[tuple[int, ...], FlossingEpoch] = {}

    @property
    def stretch(self) -> int:
        return 50

    def train(self, epoch: int, count: int) -> tuple[Bool[Tensor, "R"], Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        if self._training is None:
            self._training = TrainingEpoch(self.ensemble, self._pool)
        loss, accuracy = self._training.run(epoch, count)
        return self.ensemble.alive, loss, accuracy if self.ensemble.task.binary else None

    def floss(
        self, index: Int64[Tensor, "m"], life: Int64[Tensor, "m"], count: int, *, epoch: int
    ) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
        key = tuple(index.tolist())
        if key not in self._flossing:
            self._flossing[key] = FlossingEpoch(self.ensemble, self.select(index), self._pool)
        loss, lambda_1 = self._flossing[key].run(life, count, epoch)
        return self.ensemble.alive[index], loss, lambda_1


class TrainingEpoch:
    """The next training epoch of all networks, and which one it is."""

    def __init__(self, ensemble: Ensemble, pool: Any) -> None:
        """For graphs in the memory `pool`."""
        self.engine = TorchEngine(ensemble)  # whose workspace nobody else may take away
        self.now = torch.zeros_like(ensemble.seeds)
        self.loss = ensemble.target.new_zeros(len(ensemble.networks))
        self.accuracy = torch.zeros_like(self.loss)
        self.once = Replayed(self._once, ensemble.seeds.device, pool)

    def run(self, epoch: int, count: int) -> tuple[Tensor, Tensor]:
        """`count` epochs from `epoch` on; loss and accuracy of the last one."""
        self.now.fill_(epoch)
        for _ in range(count):
            self.once()
        return self.loss.clone(), self.accuracy.clone()

    def _once(self) -> None:
        loss, accuracy = self.engine.train_epoch(self.now)
        self.loss.copy_(loss)
        if accuracy is not None:
            self.accuracy.copy_(accuracy)
        self.now += 1


class FlossingEpoch:
    """The next flossing epoch of some networks, and which one it is for each of them."""

    def __init__(self, ensemble: Ensemble, selection: Selection, pool: Any) -> None:
        """For graphs in the memory `pool`."""
        self.ensemble, self.engine, self.selection = ensemble, TorchEngine(ensemble), selection
        self.life, self.epoch = torch.zeros_like(selection.seeds), torch.zeros_like(selection.seeds[0])
        self.unsure = torch.zeros_like(selection.seeds, dtype=torch.bool)
        self.loss, self.lambda_1 = torch.zeros_like(selection.target), torch.zeros_like(selection.target)
        self.once = Replayed(self._once, selection.seeds.device, pool)

    def run(self, life: Int64[Tensor, "m"], count: int, epoch: int) -> tuple[Tensor, Tensor]:
        """`count` epochs, from number `life` of each network on; loss and largest exponent of the last one."""
        self.life.copy_(life)
        self.epoch.fill_(epoch)
        for _ in range(count):
            self.once()
        while len(which := self._behind(life + count)):
            _, self.loss[which], self.lambda_1[which] = self.engine.floss_epoch(
                self.selection.only(which), self.life[which], epoch=epoch
            )
            self.life[which] += 1
        return self.loss.clone(), self.lambda_1.clone()

    def _behind(self, wanted: Tensor) -> Tensor:
        """Which of the networks that are alive have not got as far as wanted."""
        alive = self.ensemble.alive[self.selection.index]
        return ((self.life < wanted) & alive).nonzero()[:, 0]

    def _once(self) -> None:
        self.unsure.zero_()
        _, loss, lambda_1 = self.engine.floss_epoch(self.selection, self.life, epoch=self.epoch, unsure=self.unsure)
        self.loss.copy_(loss)
        self.lambda_1.copy_(lambda_1)
        self.life += ~self.unsure


class Replayed:
    """A function without arguments that works in place: on a GPU captured in a graph, after some calls without."""

    def __init__(self, function: Callable[[], None], device: torch.device, pool: Any = None) -> None:
        """Nothing is called yet."""
        self.function, self.pool = function, pool
        self.waits = _WARM_UP if device.type == "cuda" else None
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Once more."""
        if self.graph is None and self.waits == 0:
            self.graph = self._captured()
        if self.graph is not None:
            self.graph.replay()
        elif self.waits is None:
            self.function()
        else:
            self.waits -= 1
            aside = torch.cuda.Stream()  # a capture wants what it uses to have been on another stream than the default
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self.function()
            torch.cuda.current_stream().wait_stream(aside)

    def _captured(self) -> "torch.cuda.CUDAGraph | None":
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                self.function()
        except RuntimeError as error:
            self.waits = None
            reason = " ".join(str(error).split())[:200]
            LOGGER.warning("an epoch goes without a CUDA graph, which is slower: %s", reason)
            return None
        return graph
