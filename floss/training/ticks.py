"""What a training tells of its finished epochs: a tick, of one loop or the other, after each stretch of them."""

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class TrainingTick:
    """Finished training epochs; what was measured is of the last of them, before its update."""

    epoch: int
    """The last one."""
    networks: Int64[Tensor, "m"]
    """Which networks took part; those that have diverged are not among them."""
    loss: Float[Tensor, "m"]
    accuracy: Float[Tensor, "m"] | None
    """None where the task has none."""
    diagnostics: dict[str, Float[Tensor, "m"]] | None = None
    """Further columns, at the epochs at which they are measured."""
    epochs: int = 1
    """How many epochs."""


@dataclass(frozen=True)
class FlossingTick:
    """Finished flossing epochs of one episode; what was measured is of the last of them, before its update."""

    within: int
    """The last one, counted from the beginning of the episode."""
    networks: Int64[Tensor, "m"]
    """Which networks took part; those that have diverged are not among them."""
    life: Int64[Tensor, "m"]
    """The last one, counted from the beginning of each network's life."""
    loss: Float[Tensor, "m"]
    lambda_1: Float[Tensor, "m"]
    """Largest flossed exponent, nats per step; NaN with a penalty that does not look at exponents."""
    lambda_k: Float[Tensor, "m"]
    """Smallest flossed exponent."""
    ended: Bool[Tensor, "m"]
    """Whether the episode is over for them."""
    epochs: int = 1
    """How many epochs."""

    def of_ended(self) -> "FlossingTick":
        """The same of those networks alone for which the episode is over."""
        columns = ("networks", "life", "loss", "lambda_1", "lambda_k", "ended")
        return replace(self, **{name: getattr(self, name)[self.ended] for name in columns})


Tick = TrainingTick | FlossingTick
