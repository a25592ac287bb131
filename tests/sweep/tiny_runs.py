"""Tiny training jobs that are computed, stopped, watched and compared in this process."""

import contextlib
import dataclasses
import functools
import os
import platform
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import TINY, expand, job, rows, run_jobs, without_pictures

from floss.jobs.train import TrainJob
from floss.runtime.files import NETWORKS
from floss.sweep import run as sweep
from floss.sweep.stacking import Stack
from floss.sweep.store import ENSEMBLES
from floss.training.training import Training

SMALL = (*TINY, "flossing.at=[0,10]", "seeds=2", "train.checkpoint_every=4")  # 10 flossing and 20 training epochs
LONG = (*SMALL, "train.epochs=300", "flossing.epochs=100", "flossing.at=[0,150]", "train.checkpoint_every=10")


SECONDS = ("seconds", "floss_seconds")


UNFINISHED = [".lock", "checkpoint.pt", "config.yaml", "environment.json", "metrics.csv", "summary.csv"]
INTERRUPTED_VIEW = ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]


@functools.cache
def composed(*overrides: str) -> TrainJob:
    return job(*SMALL, *overrides)


def small(folder: Path, *overrides: str) -> TrainJob:
    return dataclasses.replace(composed(*overrides), results=str(folder))


def copied(one: TrainJob, folder: Path) -> TrainJob:
    """The same job with the same files in another results folder."""
    shutil.copytree(one.results, folder, dirs_exist_ok=True)
    return dataclasses.replace(one, results=str(folder))


def computed(one: TrainJob) -> TrainJob:
    """The job itself, once it is computed in this process."""
    with without_pictures():
        run_jobs([one])
    return one


def ensemble(one: TrainJob) -> Path:
    """Folder of the ensemble that has the networks of a job and no other."""
    return Path(one.results) / ENSEMBLES / Stack(expand([one])).name


def ensembles(results: Path) -> list[Path]:
    return sorted(path for path in (results / ENSEMBLES).iterdir() if path.is_dir())


def result(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """What must not depend on interruptions: metrics.csv to the byte, summary.csv but for the clock."""
    summary = rows(folder / "summary.csv")
    return (folder / "metrics.csv").read_bytes(), [{k: v for k, v in r.items() if k not in SECONDS} for r in summary]


def parameters(folder: Path) -> bytes:
    """What a finished folder keeps of its networks."""
    return (folder / NETWORKS).read_bytes()


def assert_same(one: TrainJob, other: TrainJob) -> None:
    """Two jobs have the same results: in their folders, and where they were computed in one ensemble."""
    for where in (lambda job: job.folder, ensemble):
        assert result(where(one)) == result(where(other))
        assert parameters(where(one)) == parameters(where(other))


def statuses(folder: Path) -> list[str]:
    return [row["status"] for row in rows(folder / "summary.csv")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@dataclasses.dataclass
class Watch:
    """What is computed in this process."""

    networks: list[list[str]] = dataclasses.field(default_factory=list)
    """Keys of the networks of each ensemble."""
    epochs: int = 0
    """Training and flossing epochs."""


@contextlib.contextmanager
def watched(at: int = 0, call: Callable[[], object] = int) -> Iterator[Watch]:
    """Watch what is computed within the block, and call a function at the epoch of that number."""
    watch = Watch()

    def wrapped(function):
        def epochs(*arguments):
            before, watch.epochs = watch.epochs, watch.epochs + arguments[-1]
            if before < at <= watch.epochs:
                call()
            return function(*arguments)

        return epochs

    def compute(lease, *arguments):
        watch.networks.append(list(lease.stack.networks))
        return original(lease, *arguments)

    original = sweep.compute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "train_epochs", wrapped(Training.train_epochs))
        patch.setattr(Training, "floss_epochs", wrapped(Training.floss_epochs))
        patch.setattr(sweep, "compute", compute)
        yield watch


def stop_after(epochs: int, number: int, one: TrainJob) -> int | str | None:
    """Run a job in this process, which sends itself a signal at its epoch of that number; the exit status."""
    with watched(epochs, lambda: os.kill(os.getpid(), number)), pytest.raises(SystemExit) as stopped:
        run_jobs([one])
    return stopped.value.code


def stopped(tmp_path: Path, epochs: int = 13, *overrides: str) -> TrainJob:
    """A job of which so many epochs are done, in its folders."""
    one = small(tmp_path, *overrides)
    stop_after(epochs, signal.SIGTERM, one)
    return one


def said_stopped(folder: Path) -> str:
    return f"floss: stopped; start the same command again to go on: {folder}\n"


def said_waiting(count: int, process: int) -> str:
    """A regular expression."""
    who = rf"process {process} on {re.escape(platform.node())}, started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    return f"floss: waiting for {count} network{' that is' if count == 1 else 's that are'} being computed by {who}\n"
