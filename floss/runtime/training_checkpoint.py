"""What a training leaves on disk: its checkpoint, with everything needed to resume it, and after the end its networks.

Earlier versions kept the trained networks in a checkpoint as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from floss.errors import CheckpointError
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import CHECKPOINT, NETWORKS
from floss.runtime.network_ids import current, with_current_id
from floss.runtime.trained_networks import load_networks, save_networks

_PREFIX = "parameters."
"""What the names of the networks' parameters begin with in the state of a training."""

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
        save_checkpoint(path, {each.name: getattr(self, each.name) for each in fields(self)})  # asdict would copy

    @classmethod
    def load(cls, path: Path, networks: list[str]) -> "Unfinished":
        """A checkpoint of some networks, which may be a part of those that it holds.

        Raises:
            CheckpointError: the file is damaged, or does not hold all of these networks unfinished.
            OSError: it cannot be read.
        """
        content = load_checkpoint(path)
        try:
            held = content["networks"]
            ids = [current(network_id) for network_id in held]
            index = [ids.index(network_id) for network_id in networks]
            share = len(networks) / len(ids)
            return cls(
                networks,
                {name: v[index] if isinstance(v, torch.Tensor) else int(v) for name, v in content["training"].items()},
                [with_current_id(str(content["rows"][i]), held[i]) for i in index],
                float(content["seconds"]) * share,
                float(content["floss_seconds"]) * share,
            )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"{path}: not of these networks") from None


@dataclass(frozen=True)
class Trained:
    """Trained networks; what only resuming needs is left out."""

    networks: list[str]
    """Ids of the networks, in the order of every tensor's first axis."""
    parameters: dict[str, torch.Tensor]
    """By the paper's letters."""
    diverged_at: torch.Tensor
    """Training epoch at which a network stopped being finite; -1 where it never did, [R]."""
    rows: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the networks' rows of summary.csv by id, where it is known: of files of earlier versions it is not."""

    @classmethod
    def of(cls, networks: list[str], training: Mapping[str, Any], rows: Mapping[str, str] | None = None) -> "Trained":
        """The trained networks in the state of a training.

        Args:
            networks: their ids.
            training: the state.
            rows: SHA-256 of their rows, by id.

        Raises:
            LookupError, TypeError, AttributeError: it is not the state of a training.
        """
        parameters = {n.removeprefix(_PREFIX): tensor for n, tensor in training.items() if n.startswith(_PREFIX)}
        diverged_at = training["diverged_at"]
        if not all(isinstance(tensor, torch.Tensor) for tensor in (*parameters.values(), diverged_at)):
            raise TypeError
        return cls(networks, parameters, diverged_at, rows or {})

    @classmethod
    def load(cls, path: Path, networks: list[str] | None = None) -> "Trained":
        """Networks of a checkpoint, whether it is of an unfinished training or of the trained networks alone.

        Args:
            path: the file, a checkpoint.pt or a networks.safetensors.
            networks: ids of the wanted networks, in the wanted order; None for all, in the order of the file.

        Raises:
            CheckpointError: the file is damaged, of something else, or does not hold all of these networks.
            OSError: it cannot be read.
        """
        trained = cls(*load_networks(path)) if path.suffix == ".safetensors" else cls._of_checkpoint(path)
        try:
            return trained if networks is None else trained.select(networks)
        except (ValueError, IndexError):
            raise CheckpointError(f"{path}: is not a checkpoint of these networks") from None

    @classmethod
    def _of_checkpoint(cls, path: Path) -> "Trained":
        content = load_checkpoint(path)
        try:
            return cls.of([current(network_id) for network_id in content["networks"]], content["training"])
        except (LookupError, TypeError, AttributeError):
            raise CheckpointError(f"{path}: is not a checkpoint of floss train") from None

    @classmethod
    def join(cls, parts: Iterable["Trained"]) -> "Trained":
        """The networks of several checkpoints, one part after the other."""
        several = list(parts)
        names = several[0].parameters
        return cls(
            [network_id for part in several for network_id in part.networks],
            {name: torch.cat([part.parameters[name] for part in several]) for name in names},
            torch.cat([part.diverged_at for part in several]),
            {network_id: digest for part in several for network_id, digest in part.rows.items()},
        )

    def select(self, networks: list[str]) -> "Trained":
        """Some of the networks, in the order of `networks`; ValueError where one of them is not here."""
        places = [self.networks.index(network_id) for network_id in networks]
        parameters = {name: tensor[places] for name, tensor in self.parameters.items()}
        rows = {network_id: self.rows[network_id] for network_id in networks if network_id in self.rows}
        return Trained(networks, parameters, self.diverged_at[places], rows)

    def save(self, folder: Path) -> None:
        """Write networks.safetensors of a folder whole or not at all."""
        save_networks(folder / NETWORKS, self.networks, self.parameters, self.diverged_at, self.rows)


def trained_file(folder: Path) -> Path:
    """Where a folder has its networks: networks.safetensors, or in older ones checkpoint.pt."""
    path = folder / NETWORKS
    return path if path.exists() else folder / CHECKPOINT


def epochs_behind(path: Path) -> int:
    """Training epochs that a checkpoint has behind it; 0 where it cannot be read."""
    try:
        return int(load_checkpoint(path)["training"]["epoch"])
    except (CheckpointError, LookupError, TypeError, ValueError, OSError):
        return 0
