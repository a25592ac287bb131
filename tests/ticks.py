"""What ticks of both kinds have in common, for tests that look at a training as a whole."""

from typing import Any

import torch
from torch import Tensor

from floss.training.ticks import FlossingTick, Tick, TrainingTick


def place(tick: Tick) -> tuple[str, int]:
    """Which loop, and the epoch of training or within the episode."""
    return ("train", tick.epoch) if isinstance(tick, TrainingTick) else ("floss", tick.within)


def life(tick: Tick) -> Tensor:
    """Number of the epoch in the life of each network that took part, [m]."""
    return torch.full_like(tick.networks, tick.epoch) if isinstance(tick, TrainingTick) else tick.life


def measurements(tick: Tick) -> dict[str, Tensor]:
    """What was measured, each [m]; diagnostics left out."""
    columns: dict[str, Any] = {"loss": tick.loss}
    if isinstance(tick, FlossingTick):
        columns |= {"lambda_1": tick.lambda_1, "lambda_k": tick.lambda_k}
    elif tick.accuracy is not None:
        columns["accuracy"] = tick.accuracy
    return columns


def training_ticks(ticks: list[Tick]) -> list[TrainingTick]:
    """Those of training epochs."""
    return [tick for tick in ticks if isinstance(tick, TrainingTick)]


def flossing_ticks(ticks: list[Tick]) -> list[FlossingTick]:
    """Those of flossing epochs."""
    return [tick for tick in ticks if isinstance(tick, FlossingTick)]
