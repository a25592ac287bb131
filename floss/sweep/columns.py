"""The columns of metrics.csv and summary.csv.

Every table has the columns of the identity. A table of a job, of a sweep or of a selection has a column for every other
key that differs between its networks as well, under the key's name on the command line: `arch.n`, `flossing.lr`.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from floss.jobs.keys import known_keys
from floss.jobs.train import TrainJob
from floss.runtime.files import csv_text, format_value, texts_apart

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


class Columns:
    """What further columns hold of some networks, and what that of the gain does.

    A float has nine digits, or where these do not tell the values of its column apart, as many as they need.
    """

    def __init__(self, networks: Mapping[str, TrainJob | None]) -> None:
        """Of networks by their ids; None for one of which only its rows are known, whose columns are empty."""
        known = [network for network in networks.values() if network is not None]
        self.keys = differing(known)
        """The keys of further columns."""
        self.numbers = {network_id: _values_of(network, self.keys) for network_id, network in networks.items()}
        """What each network has in them."""
        texts = [texts_apart((values[i] for values in self.numbers.values()), 9) for i in range(len(self.keys))]
        self.values = {
            network_id: [text.get(value, value) for text, value in zip(texts, values, strict=True)]
            for network_id, values in self.numbers.items()
        }
        """The same as a table has it."""
        gains = texts_apart((network.arch.g for network in known), 9)
        nine = all(text == format_value(gain) for gain, text in gains.items())
        self.gains = {} if nine else {i: gains[n.arch.g] for i, n in networks.items() if n is not None}
        """What each network has in the column `g`, where its own rows have too few digits."""

    def in_row(self, network_id: str, identity: Sequence[Any]) -> list[Any]:
        """The identity of a network as its row has it, and its further columns."""
        if gain := self.gains.get(network_id):
            identity = [gain if column == "g" else value for column, value in zip(IDENTITY, identity, strict=True)]
        return [*identity, *self.values[network_id]]

    def in_metrics(self, network_id: str, text: str) -> str:
        """A network's rows of metrics.csv with its further columns after those of the identity."""
        if not self.keys and not self.gains:
            return text
        rows = csv.reader(text.splitlines())
        own, end = self.in_row, len(IDENTITY)
        return csv_text((), [[*own(network_id, row[:end]), *row[end:]] for row in rows], header=False)

    def header(self, header: Sequence[str]) -> list[str]:
        """The columns of a table with the further ones, of one that begins with the identity."""
        return [*IDENTITY, *self.keys, *header[len(IDENTITY) :]]


def _values_of(network: TrainJob | None, keys: Sequence[str]) -> list[Any]:
    """What a network has in the columns of some keys; None for what does not apply to it, or is not known."""
    return [None if network is None or not _applies(network, name) else _shown(network, name) for name in keys]


def in_words(network: TrainJob, among: Sequence[TrainJob]) -> str:
    """What tells a network or a job from others, as on a command line: task, d, flossing, and whatever differs."""
    further = differing(among)
    words = [network.task.name]
    for column, key in _KEYS_OF_COLUMNS.items():
        several = {identity(each)[column] for each in among if _applies(each, key)}
        if column in ("d", "flossing") or (len(several) > 1 and _applies(network, key)):
            words.append(f"{key}={_short(identity(network)[column], several)}")
    others = [_values_of(each, further) for each in among]
    for i, (key, value) in enumerate(zip(further, _values_of(network, further), strict=True)):
        words += [] if value is None else [f"{key}={_short(value, [values[i] for values in others])}"]
    return " ".join(words)


def _short(value: Any, among: Iterable[Any]) -> str:
    return texts_apart(among, 6, 9).get(value, str(value)) if isinstance(value, float) else str(value)


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
