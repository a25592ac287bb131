"""The columns of metrics.csv and summary.csv.

Every table has the columns of the identity. A table of a job, of a sweep or of a selection has a column for every other
key that differs between its networks as well, under the key's name on the command line: `arch.n`, `flossing.lr`.
"""

import csv
from collections.abc import Iterable, Sequence
from typing import Any

from floss.jobs.keys import known_keys
from floss.jobs.train import TrainJob

IDENTITY = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed")
"""The columns that say which network a row is about."""

METRICS = (*IDENTITY, "epoch", "phase", "loss", "accuracy", "lambda_1", "floss_loss")
"""The first columns of metrics.csv; those of diagnostics follow, and last `network`, the network's id."""

SUMMARY = (
    *IDENTITY,
    *("final_loss", "final_accuracy", "diverged_at", "epochs", "floss_epochs", "seconds", "floss_seconds"),
    *("status", "reason", "network", "sha256"),
)
LATER = ("floss_epochs",)
"""Those of them that rows of earlier versions do not have."""

_BY_IDENTITY = {
    *("task.name", "task.delay", "d", "arch.name", "arch.init", "arch.g", "seed", "seeds"),
    *("flossing.at", "flossing.every", "flossing.k", "flossing.t_ons"),
}
FURTHER = tuple(
    name for name, field in known_keys(TrainJob).items() if field.metadata["hashed"] and name not in _BY_IDENTITY
)
"""The keys that tell networks apart besides the identity columns."""


_KEYS_OF_COLUMNS = {
    **{"d": "d", "arch": "arch", "init": "arch.init", "g": "arch.g", "flossing": "flossing"},
    **{"k": "flossing.k", "t_ons": "flossing.t_ons"},
}


def identity(network: TrainJob) -> dict[str, Any]:
    """The identity columns of a network; k and t_ons that change nothing of it are those of the reference."""
    f, arch = network.flossing_in_effect, network.arch
    values = (network.task.name, network.d, arch.name, arch.init, arch.g, f.label, f.k, f.t_ons, network.seed)
    return dict(zip(IDENTITY, values, strict=True))


def differing(networks: Iterable[TrainJob]) -> list[str]:
    """The keys besides the identity that differ between networks; each between those that it applies to."""
    several = list(networks)
    return [name for name in FURTHER if len({_value(n, name) for n in several if _applies(n, name)}) > 1]


def values_of(network: TrainJob | None, keys: Sequence[str]) -> list[Any]:
    """What a network has in the columns of some keys; None for what does not apply to it, or is not known."""
    return [None if network is None or not _applies(network, name) else _shown(network, name) for name in keys]


def in_words(network: TrainJob, among: Sequence[TrainJob]) -> str:
    """What tells a network or a job from others, as on a command line: task, d, flossing, and whatever differs."""
    further = differing(among)
    words = [network.task.name]
    for column, key in _KEYS_OF_COLUMNS.items():
        several = {str(identity(each)[column]) for each in among if _applies(each, key)}
        if column in ("d", "flossing") or (len(several) > 1 and _applies(network, key)):
            words.append(f"{key}={_short(identity(network)[column])}")
    for key, value in zip(further, values_of(network, further), strict=True):
        words += [] if value is None else [f"{key}={_short(value)}"]
    return " ".join(words)


def with_columns(text: str, header: Sequence[str], values: Sequence[Any]) -> list[list[Any]]:
    """Rows of one network's metrics.csv with the values of further columns after those of the identity."""
    at = header.index(IDENTITY[-1]) + 1
    return [[*row[:at], *values, *row[at:]] for row in csv.reader(text.splitlines())]


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _applies(network: TrainJob, name: str) -> bool:
    group, _, key = name.partition(".")
    return group != "flossing" or key not in network.idle


def _value(network: TrainJob, name: str) -> Any:
    value: Any = network
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _shown(network: TrainJob, name: str) -> Any:
    """A value as the columns show it: the length of a run that follows from the delay as it is."""
    if name == "flossing.steps":
        return network.flossing_run.length
    if name == "flossing.transient":
        return network.flossing_run.transient
    value = _value(network, name)
    return f"[{','.join(value)}]" if isinstance(value, tuple) else value
