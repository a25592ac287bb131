"""What the checkpoint of a training holds: everything needed to resume it, and after the end the trained networks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from floss.errors import CheckpointError
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint

State = dict[str, torch.Tensor | int]
"""Named tensors with the leading axis R, and numbers: `Training.state`."""


@dataclass(frozen=True)
class Unfinished:
    """What an ensemble needs to resume."""

    networks: list[str]
    """Ids of the networks, in the order of every tensor's first axis."""
    training: State
    rows: list[str]
    """Each network's rows of metrics.csv so far."""
    seconds: float
    floss_seconds: float

    def save(self, path: Path) -> None:
        """Write the checkpoint whole or not at all."""
        save_checkpoint(path, asdict(self))

    @classmethod
    def load(cls, path: Path, networks: list[str]) -> "Unfinished":
        """A checkpoint of some networks, which may be a part of those that it holds.

        Raises:
            CheckpointError: the file is damaged, or does not hold all of these networks unfinished.
            OSError: it cannot be read.
        """
        content = load_checkpoint(path)
        try:
            index = [content["networks"].index(network_id) for network_id in networks]
            share = len(networks) / len(content["networks"])
            return cls(
                networks,
                {name: v[index] if isinstance(v, torch.Tensor) else int(v) for name, v in content["training"].items()},
                [str(content["rows"][i]) for i in index],
                float(content["seconds"]) * share,
                float(content["floss_seconds"]) * share,
            )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"{path}: not of these networks") from None


def epochs_behind(path: Path) -> int:
    """Training epochs that a checkpoint has behind it; 0 where it cannot be read."""
    try:
        return int(load_checkpoint(path)["training"]["epoch"])
    except (CheckpointError, LookupError, TypeError, ValueError, OSError):
        return 0


def save_trained(path: Path, networks: list[str], training: State) -> None:
    """Keep the trained networks alone: what only resuming needs is left out."""
    save_checkpoint(path, {"networks": networks, "training": _trained(training)})


def load_trained(path: Path, networks: list[str] | None = None) -> dict[str, torch.Tensor]:
    """The trained networks of a checkpoint: their parameters and `diverged_at`, stacked in the order of `networks`.

    Args:
        path: the file.
        networks: ids of the wanted networks; None for all, in the order of the file.

    Raises:
        CheckpointError: the file is damaged, or does not hold all of these networks.
        OSError: it cannot be read.
    """
    content = load_checkpoint(path)
    try:
        known = list(content["networks"]) if networks is not None else []
        rows = slice(None) if networks is None else [known.index(network_id) for network_id in networks]
        return {name: tensor[rows] for name, tensor in _trained(content["training"]).items()}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is not a checkpoint of these networks") from None


def _trained(training: State) -> dict[str, Any]:
    return {name: v for name, v in training.items() if name.startswith("parameters.") or name == "diverged_at"}
