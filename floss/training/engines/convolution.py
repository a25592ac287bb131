"""Training of linear students without stepping through time: each is the convolution with its impulse response k.

The loss of a minibatch is a quadratic form in δ = k - k*, exactly:

    L = ½ mean_{b,t} (Σ_τ δ_τ x_{b,t-τ})² = ½ δᵀ G δ,     ∂L/∂k = G δ
    G_{ττ'} = 1/(B T) Σ_b Σ_t x_{b,t-τ} x_{b,t-τ'}

G is a function of the data alone, so networks of one seed share it: one T×T product XᵀX, summed along its diagonals.
What is left for each network is k of its parameters, and the way back. The time loop is the slow twin (`engine=torch`).
"""

import functools
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.networks.linear_students import LinearStudent
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
        self._seeds, stream = torch.unique(ensemble.seeds, return_inverse=True)
        self._rows, self._streams = _blocks(stream)

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
        return self._loss_and_gradient(parameters, lambda difference: (difference[:, None] @ G)[:, 0])

    def train(self, epoch: int, count: int) -> TrainingMeasurement:
        e, p = self.ensemble, self.ensemble.protocol
        everyone = torch.arange(len(e.networks), device=e.seeds.device)
        loss = torch.empty(0)
        for now in range(epoch, epoch + count):
            G = self._autocorrelations(Stream.TRAINING, now)
            loss, _, gradient = self._loss_and_gradient(e.parameters, functools.partial(self._times, G))
            finite, alive = finite_networks(loss, gradient), e.alive
            e.diverged_at.copy_(torch.where(alive & ~finite, now, e.diverged_at))
            clipped = gradient if p.clip is None else {n: clip_gradient(g, p.clip) for n, g in gradient.items()}
            e.task_adam.step(e.parameters, clipped, alive & finite, everyone)
        return TrainingMeasurement(e.alive, loss, None)

    def evaluate(self) -> tuple[Float[Tensor, "R"], None]:
        """The expected loss ½ Σ_τ (1 - τ/T) (k_τ - k*_τ)², which is that of infinitely many fresh sequences."""
        with torch.no_grad():
            difference = self._response(self.ensemble.parameters).double() - self._target.double()
        steps = difference.shape[-1]
        weights = 1.0 - torch.arange(steps, dtype=torch.float64, device=difference.device) / steps
        return 0.5 * (weights * difference**2).sum(-1).to(self._target.dtype), None

    def _response(self, parameters: Parameters) -> Float[Tensor, "R T"]:
        k = self._student.kernel(parameters, self._target.shape[-1])
        return torch.cat((k[..., :1] + parameters["D"][..., None], k[..., 1:]), dim=-1)

    def _loss_and_gradient(
        self, parameters: Parameters, times_G: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, "R"], None, Parameters]:
        """Of each network, by the product of its data's G with its k - k*."""
        leaves = {name: parameters[name].detach().requires_grad_() for name in self._student.dims}
        k = self._response(leaves)
        difference = k.detach() - self._target.to(k.dtype)
        slope = times_G(difference)
        loss = 0.5 * (difference * slope).sum(-1)
        gradient = torch.autograd.grad(k, list(leaves.values()), slope)
        return loss, None, dict(zip(leaves, gradient, strict=True))

    def _times(self, G: Float[Tensor, "S T T"], vectors: Float[Tensor, "R T"]) -> Float[Tensor, "R T"]:
        """G of each network's own data times its vector."""
        blocks = vectors.new_zeros(len(self._streams) * _ROWS, vectors.shape[-1])
        blocks[self._rows] = vectors
        products = blocks.reshape(len(self._streams), _ROWS, -1) @ G[self._streams]
        return products.reshape(blocks.shape)[self._rows]

    def _autocorrelations(self, stream: Stream, epoch: int) -> Float[Tensor, "S T T"]:
        """G of each seed's data."""
        e, p = self.ensemble, self.ensemble.protocol
        x = e.task.sample(self._seeds, stream, epoch, steps=p.steps, batch=p.batch, dtype=p.dtype)
        return autocorrelation(x[..., 0])


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


def _blocks(stream: Int64[Tensor, "R"]) -> tuple[Int64[Tensor, "R"], Int64[Tensor, "M"]]:
    """Where each network stands in blocks of `_ROWS` that have one stream of data, and the stream of each block."""
    rows, streams = torch.empty_like(stream), []
    for number in range(int(stream.max()) + 1):
        members = (stream == number).nonzero()[:, 0]
        rows[members] = len(streams) * _ROWS + torch.arange(len(members), device=stream.device)
        streams += [number] * -(-len(members) // _ROWS)
    return rows, torch.tensor(streams, device=stream.device)
