"""Kinds whose jobs write tables into a folder of their own, sealed by checksums: analyses, timings, a paper's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from floss.errors import ConfigError
from floss.jobs.compose import selection
from floss.jobs.hashing import config_hash
from floss.jobs.keys import build, key, text
from floss.jobs.train import config_yaml
from floss.papers.finding import Finding
from floss.papers.kind import Job, Kind, Missing, Run
from floss.papers.mend import check_environment, mended_config
from floss.runtime.environment import environment, read_environment
from floss.runtime.files import AS_TEXT, csv_text, remove_leftovers, seal, sealed, write_json, write_whole
from floss.runtime.free_memory import free_memory
from floss.runtime.locks import exclusive
from floss.runtime.progress import OneBar, Share
from floss.sweep.store import Store

ANALYSES = "analyses"
"""Folder of the tables in a reproduction's folder, beside its ensembles."""

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Columns, and rows."""


def in_analyses(run: Run, results: Path) -> Path:  # noqa: ARG001
    """The folder of jobs that have folders of their own, named by a hash of their keys."""
    return results / ANALYSES


@dataclass(frozen=True, eq=False)
class Tables(Kind):
    """A kind of which every run is one job with a folder of tables."""

    command: str
    composed: Callable[[tuple[str, ...]], list[Job]]
    """The checked jobs of a command line."""
    folder: Callable[[Job], Path]
    """Where a job writes its tables."""
    seconds: Callable[[Job], float]
    """About how long a job takes."""
    compute: Callable[[Job, Share], None]
    """Writes the tables of a job, and seals the folder."""
    results: Callable[[Run, Path], Path] = in_analyses
    """The key `results` of a run's job in a reproduction's folder."""
    config: Callable[[Job], str] | None = config_yaml
    """The content of config.yaml; None for jobs that are known by their folder alone."""
    typed: bool = True
    """Whether the kind is a command that a user can type."""
    memory: Callable[[Job], float] = lambda _: 0.0
    """About how many bytes a job takes, where that can be more than a machine has."""

    def compose(self, overrides: tuple[str, ...]) -> list[Job]:
        return self.composed(overrides)

    def place(self, run: Run, results: Path) -> Path:
        return self.results(run, results)

    def line(self, overrides: tuple[str, ...]) -> str:
        return super().line(overrides) if self.typed else ""

    def count(self, jobs: list[Job], store: Store) -> tuple[int, int]:  # noqa: ARG002
        folders = {self.folder(job) for job in jobs}  # runs of several names may be one and the same job
        return len(folders), sum(map(sealed, folders))

    def missing(self, jobs: list[Job], store: Store) -> Missing:  # noqa: ARG002
        unsealed = {folder: job for job in jobs if not sealed(folder := self.folder(job))}
        memory = max(map(self.memory, unsealed.values()), default=0.0)
        if memory > (free := free_memory()):
            raise ConfigError(
                f"{self.command}: needs {memory / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free"
            )
        timed = [(job, self.seconds(job)) for job in unsealed.values()]

        def compute(bar: OneBar) -> None:
            for job, seconds in timed:
                with bar.share(seconds)(total=1) as share:
                    self.compute(job, share)

        return Missing(len(timed), sum(seconds for _, seconds in timed), compute, memory=memory)

    def find(self, run: Run, jobs: list[Job], store: Store) -> Finding | None:  # noqa: ARG002
        (job,) = jobs
        folder = self.folder(job)
        if not sealed(folder):
            return None
        return Finding(
            name=run.name,
            scale=run.scale,
            command=run.line,
            tables={path.stem: pd.read_csv(path, dtype=AS_TEXT) for path in sorted(folder.glob("*.csv"))},
            environments=(read_environment(folder),),
            folders=(folder,),
        )

    def mend(self, jobs: list[Job], store: Store, of_all_figures: Callable[[], list[Job]]) -> Iterator[str]:  # noqa: ARG002
        for folder, job in {self.folder(job): job for job in jobs}.items():
            if self.config is not None:
                yield from mended_config(folder, job, self.config(job))
            yield from check_environment(folder)


@dataclass(frozen=True, kw_only=True)
class TablesJob:
    """Keys of a kind made by `tables_kind`: a subclass adds those that the numbers depend on."""

    results: str = key(text(), "folder under which the job's own folder lies", hashed=False)


def tables_kind(
    command: str,
    job_type: type[TablesJob],
    tables: Callable[[Any], dict[str, Table]],
    seconds: float | Callable[[Any], float] = 1.0,
    memory: Callable[[Any], float] = lambda _: 0.0,
) -> Tables:
    """A kind that a paper adds: its keys, and a function that computes tables from them.

    Args:
        command: the word before the keys in an experiment's file.
        job_type: the keys.
        tables: name and content of every CSV file of a job.
        seconds: about how long a job takes; a function of the job where that depends on its sizes.
        memory: about how many bytes a job takes, where that can be more than a machine has.
    """

    def compose(overrides: tuple[str, ...]) -> list[Job]:
        return [build(job_type, {"results": ANALYSES, **selection(command, list(overrides))})]

    def folder(job: Job) -> Path:
        return Path(job.results) / f"{command}-{config_hash(job)}"

    def compute(job: Job, share: Share) -> None:
        share.set_description_str(command)
        write_tables(folder(job), config_yaml(job), tables(job))

    def expected(job: Job) -> float:
        return seconds(job) if callable(seconds) else seconds

    return Tables(command, compose, folder, expected, compute, typed=False, memory=memory)


def write_tables(folder: Path, config: str, tables: dict[str, Table]) -> None:
    """A sealed folder of tables beside config.yaml and environment.json.

    Raises:
        RunBusyError: another process writes the same folder.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        remove_leftovers(folder)
        write_whole(folder / "config.yaml", config.encode())
        write_json(folder / "environment.json", environment("cpu"))
        for name, (columns, rows) in tables.items():
            write_whole(folder / f"{name}.csv", csv_text(columns, rows).encode())
        seal(folder)
