"""The networks that `checkpoint=` names: those of a run, of one run of a sweep, or of one run of an ensemble."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.keys import text, whole
from floss.runtime.files import CHECKPOINT, NETWORKS

_MOST = 12
"""Runs that an error names."""


@dataclass(frozen=True)
class Checkpoint:
    """A networks.safetensors or checkpoint.pt, and the run whose networks are meant."""

    file: Path
    run: Mapping[str, Any]
    """The configuration of the run."""
    first: int = 0
    """Place of its first network in the file."""
    number: int | None = None
    """Which run of the file it is, counted from 1; None where the file has no other."""


def checkpoint_of(path: str, number: int | None) -> Checkpoint:
    """The checkpoint that keys mean.

    Args:
        path: a networks.safetensors or checkpoint.pt, or the folder of a run, of a sweep or of an ensemble. A finished
            run has no checkpoint.pt any more; then its networks.safetensors is meant.
        number: which run of a sweep or an ensemble, counted from 1.

    Raises:
        ConfigError: there is no such file or configuration, it is of another kind, or there are several runs and none
            is chosen.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    file = Path(path)
    if folder == file or (file.name == CHECKPOINT and not file.exists()):
        file = _file_in(folder)
    _check_kind(path, file)
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        runs = list(content["runs"]) if "runs" in content else [content]
        for run in runs:
            _check_run(path, run)
        chosen = _chosen(path, runs, number)
        if "folders" in content:  # a sweep, whose runs have folders of their own beside it
            return Checkpoint(_file_in(folder.parent / content["folders"][chosen]), runs[chosen])
        first = sum(int(run["seeds"]) for run in runs[:chosen])
        return Checkpoint(file, runs[chosen], first, chosen + 1 if len(runs) > 1 else None)
    except ConfigError:
        raise
    except (OSError, LookupError, TypeError, ValueError, YAMLError):
        digest_of(path, file)  # says so where there is no checkpoint either
        raise ConfigError(f"checkpoint={path}: needs the config.yaml of its run beside it") from None


_BEGINNINGS = re.compile(rb"PK\x03\x04|[0-9a-f]{64}\n|.{8}\{", re.DOTALL)
"""How a checkpoint begins, one of an earlier version, and a networks.safetensors."""


def _check_kind(path: str, file: Path) -> None:
    """Raise a ConfigError for a file that is of another kind, whose name does not say that it is a damaged one."""
    if file.suffix in (Path(CHECKPOINT).suffix, Path(NETWORKS).suffix) or not file.exists():
        return
    try:
        with file.open("rb") as opened:
            beginning = opened.read(80)
    except OSError as error:
        raise ConfigError(f"checkpoint={path}: cannot be read: {error.strerror}") from None
    if not _BEGINNINGS.match(beginning):
        raise ConfigError(
            f"checkpoint={path}: is no {NETWORKS} and no {CHECKPOINT} of floss train; it takes one of these, or the "
            "folder of a run, a sweep or an ensemble"
        )


def _file_in(folder: Path) -> Path:
    """The networks of a folder; where it has both, the checkpoint, from which earlier analyses were made."""
    file, further = folder / CHECKPOINT, folder / NETWORKS
    return further if further.exists() and not file.exists() else file


def digest_of(path: str, file: Path) -> str:
    """The SHA-256 of a checkpoint; a ConfigError where there is no such file."""
    from floss.runtime.checkpoint import written_digest  # with torch

    try:
        return written_digest(file)
    except OSError as error:
        raise ConfigError(f"checkpoint={path}: cannot be read: {error.strerror}") from None


def _check_run(path: str, run: Any) -> None:
    dict(run["arch"])
    whole(0).convert(run["seed"])
    whole(1).convert(run["seeds"])
    whole(1).convert(run["train"]["batch"])
    try:
        extensions.check("task", text().convert(run["task"]["name"]))
    except ConfigError as error:
        raise ConfigError(f"checkpoint={path}: {error}") from None


def _chosen(path: str, runs: Sequence[Any], number: int | None) -> int:
    if number is None and len(runs) == 1:
        return 0
    if number is not None and number <= len(runs):
        return number - 1
    choices = [f"{place} ({_in_words(run)})" for place, run in enumerate(runs[:_MOST], 1)]
    choices += [f"... {len(runs)} ({_in_words(runs[-1])})"] if len(runs) > _MOST else []
    if number is None:
        raise ConfigError(f"checkpoint={path}: has several runs; choose one by run=: {', '.join(choices)}")
    raise ConfigError(f"run={number}: must be one of {', '.join(choices)}")


def _in_words(run: Mapping[str, Any]) -> str:
    last = run["seed"] + run["seeds"] - 1
    seeds = f"seed={run['seed']}" if last == run["seed"] else f"seeds {run['seed']} to {last}"
    arch = run["arch"]
    return f"{run['task']['name']} d={run['d']} arch={arch['name']} n={arch['n']} flossing={run['label']} {seeds}"
