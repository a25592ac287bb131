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

from floss.lyapunov.orthonormalisation import CholeskyOrthonormaliser
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
        self._captures = Captures() if ensemble.seeds.is_cuda else None
        self._training: TrainingEpoch | None = None
        self._flossing: dict[tuple[int, ...], FlossingEpoch] = {}

    @property
    def stretch(self) -> int:
        return 50

    def train(self, epoch: int, count: int) -> tuple[Bool[Tensor, "R"], Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        if self._training is None:
            self._training = TrainingEpoch(self.ensemble, self._captures)
        loss, accuracy = self._training.run(epoch, count)
        return self.ensemble.alive, loss, accuracy if self.ensemble.task.binary else None

    def floss(
        self, index: Int64[Tensor, "m"], life: Int64[Tensor, "m"], count: int, *, epoch: int
    ) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
        key = tuple(index.tolist())
        if key not in self._flossing:
            self._flossing[key] = FlossingEpoch(self.ensemble, self.select(index), self._captures)
        loss, lambda_1 = self._flossing[key].run(life, count, epoch)
        return self.ensemble.alive[index], loss, lambda_1


class TrainingEpoch:
    """The next training epoch of all networks, and which one it is."""

    def __init__(self, ensemble: Ensemble, captures: "Captures | None") -> None:
        """`captures` is None where nothing is captured."""
        self.engine = TorchEngine(ensemble)  # whose workspace nobody else may take away
        self.now = torch.zeros_like(ensemble.seeds)
        self.loss = ensemble.target.new_zeros(len(ensemble.networks))
        self.accuracy = torch.zeros_like(self.loss)
        self.once = Replayed(self._once, "training", captures)

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

    def __init__(self, ensemble: Ensemble, selection: Selection, captures: "Captures | None") -> None:
        """`captures` is None where nothing is captured."""
        self.ensemble, self.engine, self.selection = ensemble, TorchEngine(ensemble), selection
        self.life, self.epoch = torch.zeros_like(selection.seeds), torch.zeros_like(selection.seeds[0])
        self.orthonormaliser = CholeskyOrthonormaliser(len(selection.seeds), selection.seeds.device)
        self.loss, self.lambda_1 = torch.zeros_like(selection.target), torch.zeros_like(selection.target)
        self.once = Replayed(self._once, "flossing", captures)

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
        self.orthonormaliser.reset()
        _, loss, lambda_1 = self.engine.floss_epoch(
            self.selection, self.life, epoch=self.epoch, orthonormaliser=self.orthonormaliser
        )
        self.loss.copy_(loss)
        self.lambda_1.copy_(lambda_1)
        self.life += ~self.orthonormaliser.failed


class Captures:
    """What the graphs of an engine share: memory, a stream, and what cannot be captured here."""

    def __init__(self) -> None:
        """Nothing is captured yet."""
        # One block of memory for all graphs: they run one after the other, and leave nothing in it. Its parts belong to
        # a stream, so it is shared by captures on the same stream alone; and what libraries keep for a stream, such as
        # the workspaces of cuBLAS, they take in the calls before a capture, and not from that memory.
        self.pool: Any = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()
        self.refused: set[str] = set()
        """Loops that go without a graph, since a capture has failed."""


class Replayed:
    """A function without arguments that works in place: on a GPU captured in a graph, after some calls without."""

    def __init__(self, function: Callable[[], None], loop: str, captures: Captures | None) -> None:
        """Nothing is called yet; without `captures` the function, an epoch of `loop`, is called as it is."""
        self.function, self.loop, self.captures = function, loop, captures
        self.waits = _WARM_UP
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Once more."""
        if self.captures is not None and not self.waits and self.graph is None:
            self.graph = self._captured(self.captures)
        if self.graph is not None:
            self.graph.replay()
        elif self.captures is None or not self.waits:
            self.function()
        else:
            self.waits -= 1
            self._warm_up(self.captures.stream)

    def _warm_up(self, aside: torch.cuda.Stream) -> None:
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.function()
        torch.cuda.current_stream().wait_stream(aside)

    def _captured(self, captures: Captures) -> "torch.cuda.CUDAGraph | None":
        if self.loop in captures.refused:
            return None
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer block brings the stream back where a capture fails, which torch.cuda.graph then does not.
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, pool=captures.pool, stream=captures.stream),
            ):
                self.function()
        except RuntimeError as error:
            captures.refused.add(self.loop)
            reason = " ".join(str(error).split())[:200]
            LOGGER.warning("%s goes without a CUDA graph, which is slower: %s", self.loop, reason)
            return None
        return graph
