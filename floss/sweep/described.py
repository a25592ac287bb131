"""The keys of stored networks, of which their rows have a few alone: read from the config.yaml of their ensembles."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from floss.errors import ConfigError
from floss.jobs.keys import build
from floss.jobs.train import DERIVED, TrainJob
from floss.sweep.networks import network_ids, single_networks


def described_networks(folders: Iterable[Path]) -> dict[str, TrainJob]:
    """The networks that the config.yaml of some folders describe, by their ids; none of one that is damaged.

    Of ensembles, of runs and of sweeps.
    """
    return {network_id: network for folder in folders for network_id, network in _described(folder).items()}


def is_described(folder: Path) -> bool:
    """Whether the config.yaml of a run's folder is there to its end, which is the label."""
    try:
        return "label" in yaml.load((folder / "config.yaml").read_bytes(), _LOADER)
    except (OSError, TypeError, yaml.YAMLError):
        return False


def _described(folder: Path) -> dict[str, TrainJob]:
    try:
        content: Any = yaml.load((folder / "config.yaml").read_bytes(), _LOADER)
        several = content.get("runs", [content])
        runs = [{key: run[key] for key in run if key not in DERIVED} for run in several]
        jobs = [build(TrainJob, run) for run in runs]
        return {i: n for job in jobs for i, n in zip(network_ids(job), single_networks(job), strict=True)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError, ConfigError):
        return {}


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's reader, where there is one, is ten times as fast."""
