"""The kinds of jobs that a paper's figures are computed by: what reproducing a figure must know of each.

A run of an experiment is one command line: a kind (`train`, `spectrum`, ...) and its keys. Reproducing, finding and
mending ask the kind, and never what class a job is of.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from floss.jobs.paper import figure_keys
from floss.papers.finding import Finding
from floss.runtime.progress import OneBar
from floss.sweep.store import Store

Job = Any
"""A frozen dataclass of keys, one of them `results`."""


@dataclass(frozen=True)
class Missing:
    """What of some jobs is not there, and how to compute it."""

    number: int
    """How many of the kind's `nouns`."""
    seconds: float
    """About how long computing them takes on this machine."""
    compute: Callable[[OneBar], None]
    """Computes them; fills its shares of the bar."""
    detail: str = ""
    """What follows the number in words: ` in 2 ensembles`."""
    memory: float = 0.0
    """About how many bytes the largest of them takes, where that is known."""


class Kind(ABC):
    """A kind of job."""

    command: str
    """The word before a run's keys in an experiment's file."""
    nouns: tuple[str, str] = ("analysis", "analyses")
    """What one job and several compute."""

    @abstractmethod
    def compose(self, overrides: tuple[str, ...]) -> list[Job]:
        """The checked jobs of a command line.

        Raises:
            ConfigError: a wrong key or value.
        """

    @abstractmethod
    def place(self, run: "Run", results: Path) -> Path:
        """The value of the key `results` of a run's jobs, of a reproduction's folder."""

    @abstractmethod
    def count(self, jobs: list[Job], store: Store) -> tuple[int, int]:
        """How many `nouns` some jobs are, and how many of them are computed."""

    @abstractmethod
    def missing(self, jobs: list[Job], store: Store) -> Missing:
        """What is not computed yet.

        Raises:
            ConfigError: something cannot be computed here.
        """

    @abstractmethod
    def find(self, run: "Run", jobs: list[Job], store: Store) -> Finding | None:
        """The rows of a run; None where any of them is missing or damaged."""

    @abstractmethod
    def mend(self, jobs: list[Job], store: Store, of_all_figures: Callable[[], list[Job]]) -> Iterator[str]:
        """Mend the files beside the tables of computed jobs, and say what was damaged.

        Args:
            jobs: that are computed.
            store: networks of the same results folder.
            of_all_figures: the jobs of this kind of every figure of the paper at every scale.
        """

    def line(self, overrides: tuple[str, ...]) -> str:
        """The command line that a user types for a run; empty where only `floss reproduce` computes this kind."""
        return " ".join(["floss", self.command, *overrides])

    def failures(self, jobs: list[Job]) -> str:  # noqa: ARG002
        """Which of some jobs failed and why, in lines; empty where none did."""
        return ""


@dataclass(frozen=True)
class Run:
    """One command line of an experiment, at one scale."""

    paper: str
    """Name of the paper."""
    figure: str
    name: str
    scale: str
    kind: Kind
    overrides: tuple[str, ...]
    data: str = ""
    """Name of the file of the user's data that it is computed on; empty where it is computed on the paper's own."""

    @property
    def line(self) -> str:
        """The command line that a user types for it."""
        data = f" data={self.data}" if self.data else ""
        return self.kind.line(self.overrides) or (
            f"floss reproduce {figure_keys(self.paper, self.figure)} scale={self.scale}{data}"
        )

    def jobs(self, results: str | Path, **settings: Any) -> list[Job]:
        """The checked jobs of the command line.

        Args:
            results: folder of the reproduction.
            settings: values of further keys that change no number: device, engine, memory_limit.

        Raises:
            ConfigError: a wrong key or value.
        """
        jobs = _composed(self.kind, self.overrides)
        place = str(self.kind.place(self, Path(results)))
        applicable = {key: value for key, value in settings.items() if hasattr(jobs[0], key)}
        return [replace(job, results=place, **applicable) for job in jobs]


@functools.cache
def _composed(kind: Kind, overrides: tuple[str, ...]) -> list[Job]:
    return kind.compose(overrides)
