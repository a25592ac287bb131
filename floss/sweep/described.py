"""The keys of stored networks, of which their rows have a few alone: read from the config.yaml of their ensembles."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from floss.errors import ConfigError
from floss.jobs.hashing import config_hash
from floss.jobs.keys import build
from floss.jobs.networks import former_ids, network_ids, single_networks
from floss.jobs.train import DERIVED, TrainJob, config_values


def described_networks(folders: Iterable[Path]) -> dict[str, TrainJob]:
    """The networks that the config.yaml of some folders describe, by their ids; none of one that is damaged.

    Of ensembles, of runs and of sweeps.
    """
    return {network_id: network for folder in folders for network_id, network in _described(folder).items()}


def is_described(folder: Path, job: TrainJob) -> bool:
    """Whether the config.yaml of a run's folder is there to its end, which is the label, and computes the same."""
    try:
        content: Any = yaml.load((folder / "config.yaml").read_bytes(), _LOADER)
        (described,) = _jobs(content)
        return content["label"] == config_values(job)["label"] and config_hash(described) == config_hash(job)
    except _DAMAGES:
        return False


def _described(folder: Path) -> dict[str, TrainJob]:
    try:
        jobs = _jobs(yaml.load((folder / "config.yaml").read_bytes(), _LOADER))
        ids = (zip((*former_ids(job), *network_ids(job)), single_networks(job) * 2, strict=True) for job in jobs)
        return {network_id: network for several in ids for network_id, network in several}
    except _DAMAGES:
        return {}


def _jobs(content: Any) -> list[TrainJob]:
    several = content.get("runs", [content])
    return [build(TrainJob, {key: run[key] for key in run if key not in DERIVED}) for run in several]


_DAMAGES = (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError, ConfigError)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's reader, where there is one, is ten times as fast."""
