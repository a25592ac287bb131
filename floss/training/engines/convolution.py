"""Training of linear students without stepping through time: each is the convolution with its impulse response k.

The loss of a minibatch is a quadratic form in δ = k - k*, exactly:

    L = ½ mean_{b,t} (Σ_τ δ_τ x_{b,t-τ})² = ½ δᵀ G δ,     ∂L/∂k = G δ
    G_{ττ'} = 1/(B T) Σ_b Σ_t x_{b,t-τ} x_{b,t-τ'}

G is a function of the data alone, so networks of one seed share it: one T×T product XᵀX, summed along its diagonals.
What is left for each network is k of its parameters, and the way back. The time loop is the slow twin (`engine=torch`).

On a CPU the networks of each seed go through all epochs of a call on their own, few at a time, so that what they need
stays in a core's cache. Threads take seeds, and within a seed torch has one thread: operations on such small tensors,
shared between threads, end with all of them waiting for each other, a thousand times an epoch.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.threads import one_thread
from floss.networks import Parameters
from floss.networks.linear_students import LinearStudent
from floss.networks.linear_students.pullback import response_with_pullback
from floss.random import Stream
from floss.tasks.teacher import TeacherTask
from floss.training.adam import clip_gradient
from floss.training.engine import TrainingMeasurement
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble
from floss.training.flossing import finite_networks

_ROWS = 8
"""Networks of one seed that are multiplied by its G together. The number is fixed, and rows are filled up with zeros,
so that no bit of a network depends on how many others there are."""


@dataclass(frozen=True)
class Share:
    """Networks that one thread takes through the epochs of a call, and the seeds of their data."""

    seeds: Int64[Tensor, "S"]
    pieces: list["Piece"]

    @functools.cached_property
    def index(self) -> Int64[Tensor, "r"]:
        """Rows of the ensemble, ascending."""
        return torch.cat([piece.index for piece in self.pieces])


@dataclass(frozen=True)
class Piece:
    """Networks that are computed together, and where each stands in blocks of `_ROWS` that have one stream of data."""

    index: Int64[Tensor, "r"]
    """Rows of the ensemble, ascending."""
    rows: Int64[Tensor, "r"]
    streams: Int64[Tensor, "M"]
    """The stream of each block."""

    def times(self, G: Float[Tensor, "S T T"], vectors: Float[Tensor, "r T"]) -> Float[Tensor, "r T"]:
        """G of each network's own data times its vector."""
        blocks = vectors.new_zeros(len(self.streams) * _ROWS, vectors.shape[-1])
        blocks[self.rows] = vectors
        products = blocks.reshape(len(self.streams), _ROWS, -1) @ G[self.streams]
        return products.reshape(blocks.shape)[self.rows]


class ConvolutionEngine(TorchEngine):
    """`engine=auto` of linear students that learn from a linear teacher."""

    name: ClassVar[str] = "convolution"
    networks_per_thread: ClassVar[int] = 8

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        super().__init__(ensemble)
        cell, task = ensemble.cell, ensemble.task
        if not isinstance(cell, LinearStudent) or not isinstance(task, TeacherTask) or task.kernels is None:
            raise TypeError(f"{cell.name} on {task.name}: the convolution engine is for linear students and teachers")
        self._student, protocol = cell.student, ensemble.protocol
        self._target = task.kernels[:, : protocol.steps].to(protocol.dtype)
        self._threads = torch.get_num_threads() if ensemble.seeds.device.type == "cpu" else 1
        self._shares = _shares(ensemble.seeds, self._threads)

    @property
    def stretch(self) -> int:
        return 10

    def task_gradient(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B 1"],
        d: Int64[Tensor, "R"],
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], None, Parameters]:
        """Of all networks and all steps; the time loop has the others."""
        if first is not None:
            loss, _, gradient = super().task_gradient(parameters, x, d, first)
            return loss, None, gradient
        G = autocorrelation(x[..., 0])
        return self._loss_and_gradient(parameters, self._target, lambda difference: (difference[:, None] @ G)[:, 0])

    def train(self, epoch: int, count: int) -> TrainingMeasurement:
        loss = torch.empty_like(self._target[:, 0])
        take = functools.partial(self._train_share, range(epoch, epoch + count), loss)
        with one_thread():
            if self._threads == 1 or len(self._shares) == 1:
                for share in self._shares:
                    take(share)
            else:
                with ThreadPoolExecutor(self._threads) as threads:
                    list(threads.map(take, self._shares))
        return TrainingMeasurement(self.ensemble.alive, loss, None)

    def _train_share(self, epochs: range, loss: Float[Tensor, "R"], share: Share) -> None:
        """The epochs of some networks in place; `loss` gets that of the last one."""
        e, p = self.ensemble, self.ensemble.protocol
        for now in epochs:
            x = e.task.sample(share.seeds, Stream.TRAINING, now, steps=p.steps, batch=p.batch, dtype=p.dtype)
            G = autocorrelation(x[..., 0])
            parts = []
            for piece in share.pieces:
                parameters = {name: e.parameters[name][piece.index] for name in self._student.dims}
                times_G = functools.partial(piece.times, G)
                parts.append(self._loss_and_gradient(parameters, self._target[piece.index], times_G))
            gradient = {name: torch.cat([part[2][name] for part in parts]) for name in self._student.dims}
            i, losses = share.index, torch.cat([part[0] for part in parts])
            finite, diverged_at = finite_networks(losses, gradient), e.diverged_at[i]
            alive = diverged_at < 0
            e.diverged_at[i] = torch.where(alive & ~finite, now, diverged_at)
            clipped = gradient if p.clip is None else {n: clip_gradient(g, p.clip) for n, g in gradient.items()}
            e.task_adam.step(e.parameters, clipped, alive & finite, i)
            loss[i] = losses

    def evaluate(self) -> tuple[Float[Tensor, "R"], None]:
        """The expected loss ½ Σ_τ (1 - τ/T) (k_τ - k*_τ)², which is that of infinitely many fresh sequences."""
        own = {name: self.ensemble.parameters[name] for name in self._student.dims}
        k, _ = response_with_pullback(self._student, own, self._target.shape[-1])
        difference = k.double() - self._target.double()
        steps = difference.shape[-1]
        weights = 1.0 - torch.arange(steps, dtype=torch.float64, device=difference.device) / steps
        return 0.5 * (weights * difference**2).sum(-1).to(self._target.dtype), None

    def _loss_and_gradient(
        self, parameters: Parameters, target: Float[Tensor, "r T"], times_G: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, "r"], None, Parameters]:
        """Of each network, by the product of its data's G with its k - k*."""
        own = {name: parameters[name] for name in self._student.dims}
        k, pull = response_with_pullback(self._student, own, self._target.shape[-1])
        difference = k - target.to(k.dtype)
        slope = times_G(difference)
        loss = 0.5 * (difference * slope).sum(-1)
        gradient = pull(slope)
        return loss, None, {name: gradient[name] for name in own}


def autocorrelation(x: Float[Tensor, "S T B"]) -> Float[Tensor, "S T T"]:
    """G_{ττ'} = 1/(B T) Σ_b Σ_t x_{b,t-τ} x_{b,t-τ'} with x = 0 before the first step.

    Sums along the diagonals of X Xᵀ: entry (T-1-τ, T-1-τ') is the sum from the top left to there.
    """
    S, T, B = x.shape
    # The columns in reverse, and each row one place further to the right than the one before: diagonals are columns.
    products = torch.nn.functional.pad(x @ x.flip(1).mT, (0, T))
    sums = products.reshape(S, -1)[:, : T * (2 * T - 1)].reshape(S, T, 2 * T - 1).cumsum(1)
    straight = torch.nn.functional.pad(sums.reshape(S, -1), (0, T)).reshape(S, T, 2 * T)[:, :, :T]
    return straight.flip(1) / (B * T)


def _shares(seeds: Int64[Tensor, "R"], threads: int) -> list[Share]:
    """A share for each seed, or several where there are fewer seeds than threads; on a GPU one for all networks."""
    if seeds.device.type != "cpu":
        different, stream = torch.unique(seeds, return_inverse=True)
        return [Share(different, [Piece(torch.arange(len(seeds), device=seeds.device), *_blocks(stream))])]
    shares = []
    different = torch.unique(seeds)
    for seed in different:
        pieces = [
            Piece(index, torch.arange(len(index)), torch.zeros(1, dtype=torch.int64))
            for index in (seeds == seed).nonzero()[:, 0].split(_ROWS)
        ]
        parts = min(len(pieces), -(-threads // len(different)))
        each = -(-len(pieces) // parts)
        shares += [Share(seed[None], pieces[first : first + each]) for first in range(0, len(pieces), each)]
    return sorted(shares, key=lambda share: -len(share.pieces))


def _blocks(stream: Int64[Tensor, "R"]) -> tuple[Int64[Tensor, "R"], Int64[Tensor, "M"]]:
    """Where each network stands in blocks of `_ROWS` that have one stream of data, and the stream of each block."""
    rows, streams = torch.empty_like(stream), []
    for number in range(int(stream.max()) + 1):
        members = (stream == number).nonzero()[:, 0]
        rows[members] = len(streams) * _ROWS + torch.arange(len(members), device=stream.device)
        streams += [number] * -(-len(members) // _ROWS)
    return rows, torch.tensor(streams, device=stream.device)
