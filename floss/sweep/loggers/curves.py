"""The curves of one network in another program, kept equal to the network's rows.

The rows of metrics.csv are the truth, and curves a copy of them. What has been written is remembered beside the curves:
how many rows, and their SHA-256. So a run that is resumed, in this process or another, adds what is new; where the rows
are not those that the curves began with (a checkpoint that was lost, results that were deleted), or where a process was
killed while it wrote, the curves are begun anew. Nothing is in them twice, and nothing is missing.
"""

import csv
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floss.jobs.train import TrainJob, config_values
from floss.sweep.columns import IDENTITY

_NO_NUMBERS = (*IDENTITY, "epoch", "phase", "network")


@dataclass(frozen=True)
class Point:
    """One row: the names of its numbers begin with what went on, `train/loss`, `floss/lambda_1`."""

    epoch: int
    values: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """A network that is done: its row of summary.csv."""

    row: Mapping[str, str]

    @property
    def values(self) -> dict[str, float]:
        """`final/loss` and `final/accuracy`, as far as there are any."""
        numbers = {f"final/{name}": self.row.get(f"final_{name}", "") for name in ("loss", "accuracy")}
        return {name: float(text) for name, text in numbers.items() if text and math.isfinite(float(text))}


class Curves(ABC):
    """The curves of one network, called by its group (task, delay, architecture, schedule) and its seed."""

    live = True
    """Whether they are written while the network trains, and not only at its end."""

    def __init__(self, network_id: str, job: TrainJob) -> None:
        """Nothing is written yet.

        Args:
            network_id: of the network.
            job: of this network alone.
        """
        self.network_id, self.job = network_id, job
        self.results = Path(job.results)
        self.group = f"{job.task.name}-d{job.d}-{job.arch.name}-{job.flossing_in_effect.label}"

    @property
    def name(self) -> str:
        """What a list of curves calls them."""
        return f"{self.group}/seed{self.job.seed}-{self.network_id}"

    @property
    def settings(self) -> dict[str, Any]:
        """The network's keys with their values, `arch.n`."""
        flat: dict[str, Any] = {}
        for key, value in config_values(self.job).items():
            flat |= {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
        return {key: value for key, value in flat.items() if value is not None and key not in ("results", "logger")}

    @abstractmethod
    def remembered(self) -> str:
        """What `remember` was told last of these curves; empty where there are none."""

    @abstractmethod
    def remember(self, text: str) -> None:
        """Keep a line beside the curves."""

    @abstractmethod
    def begin(self) -> None:
        """Remove curves of this network that are there, and begin new ones."""

    @abstractmethod
    def add(self, points: Sequence[Point], ended: Ended | None) -> None:
        """Add points, and what is known at the end; all of it is on disk, or sent, when this returns."""


def update(curves: Curves, header: Sequence[str], text: str, ended: Ended | None = None) -> None:
    """Make curves those of some rows.

    Args:
        curves: of a network.
        header: the columns of the rows.
        text: the rows of the network so far, as CSV.
        ended: the end of the network; None while it trains.
    """
    lines = text.splitlines()
    try:
        before = json.loads(curves.remembered() or "{}")
        rows, digest, end = int(before["rows"]), str(before["sha256"]), str(before["end"])
    except (ValueError, TypeError, KeyError):  # none, or those of a process that was killed while it wrote
        rows, digest, end = 0, "", ""
    wanted = "" if ended is None else ended.row.get("sha256", "")
    begun = digest == _digest(lines[:rows]) and (not end or end == wanted)
    if begun and rows == len(lines) and end == wanted:
        return
    if not begun:
        curves.begin()
        rows = 0
    curves.remember("{}")
    curves.add([point for line in lines[rows:] if (point := _point(header, line))], ended)
    curves.remember(json.dumps({"rows": len(lines), "sha256": _digest(lines), "end": wanted}))


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _point(header: Sequence[str], line: str) -> Point | None:
    """The numbers of a row; None where it has none that is finite."""
    row = dict(zip(header, next(csv.reader([line])), strict=True))
    phase, values = row["phase"], {}
    for name, text in row.items():
        if name not in _NO_NUMBERS and text and math.isfinite(number := float(text)):
            values[f"{phase}/{name.removeprefix('floss_')}"] = number
    return Point(int(row["epoch"]), values) if values else None
