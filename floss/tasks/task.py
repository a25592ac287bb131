"""What a task is: where its inputs come from, what the target is, and how the output is judged."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from floss.random import Stream


@dataclass(frozen=True)
class Task(ABC):
    """A delayed task. d is the whole delay, in steps, and may differ between the networks of an ensemble."""

    name: str
    inputs: int
    """Number of inputs S."""
    min_delay: int
    even: bool
    """Whether the delay must be even."""
    binary: bool
    """Cross-entropy and accuracy if true; mean squared error, and no accuracy, if false."""
    has_delay: bool = True
    """Whether d means anything; it is 0 where it does not."""
    hold: int = 1
    """Steps for which an input stays: over a delay d, d / hold inputs are to be stored."""

    def held(self, hold: int) -> "Task":
        """The same task with inputs that stay for so many steps."""
        return self if hold == self.hold else replace(self, hold=hold)

    @abstractmethod
    def sample_inputs(
        self, seeds: Int64[Tensor, "R"], stream: Stream, epoch: int | Int64[Tensor, "R"], count: int, dtype: torch.dtype
    ) -> Float[Tensor, "R {count}"]:
        """`count` independent input numbers per network."""

    @abstractmethod
    def combine(self, x: Float[Tensor, "R T B S"], d: Int64[Tensor, "R"]) -> Float[Tensor, "R T B"]:
        """Target y_t of every step; what it holds at steps t < d is not used."""

    def sample(
        self,
        seeds: Int64[Tensor, "R"],
        stream: Stream,
        epoch: int | Int64[Tensor, "R"],
        *,
        steps: int,
        batch: int,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "R {steps} {batch} S"]:
        """Inputs of one epoch, a pure function of (seed, stream, epoch): x_t is the t - t mod hold-th drawn."""
        numbers = self.sample_inputs(seeds, stream, epoch, steps * batch * self.inputs, dtype)
        x = numbers.reshape(len(seeds), steps, batch, self.inputs)
        if self.hold == 1:
            return x
        t = torch.arange(steps, device=x.device)
        return x[:, t - t % self.hold]

    def loss(
        self,
        y: Float[Tensor, "R T B"],
        x: Float[Tensor, "R T B S"],
        d: Int64[Tensor, "R"],
        *,
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Loss and accuracy of each network: means over the batch and the steps t ≥ d, or t ≥ `first` ≥ d.

        Steps count from 0, so t = d is the first one whose target x_{t-d} the network has seen. Chance is 0.5 for the
        accuracy, which is the fraction of (σ(y) ≥ ½) = target; None for a task that is not binary.
        """
        target = self.combine(x, d)
        defined = defined_steps(x.shape[1], d if first is None else first)[:, :, None].expand_as(target)
        count = defined.sum((1, 2))
        if self.binary:
            elements = functional.binary_cross_entropy_with_logits(y, target, reduction="none")
            right = ((y >= 0) == (target > 0.5)) & defined
            accuracy = right.sum((1, 2)).to(y.dtype) / count
        else:
            elements, accuracy = (y - target) ** 2, None
        return torch.where(defined, elements, 0.0).sum((1, 2)) / count, accuracy


def defined_steps(steps: int, d: Int64[Tensor, "R"]) -> Bool[Tensor, "R {steps}"]:
    """True where t ≥ d."""
    return torch.arange(steps, device=d.device) >= d[:, None]


def delayed(x: Float[Tensor, "R T B"], d: Int64[Tensor, "R"]) -> Float[Tensor, "R T B"]:
    """x_{t-d} for each network's own d; at steps t < d, which no task counts, x_0."""
    source = (torch.arange(x.shape[1], device=x.device) - d[:, None]).clamp(min=0)
    return x.gather(1, source[:, :, None].expand_as(x))
