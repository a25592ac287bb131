"""Runs the installed `floss` in a folder of its own, and makes the tiny jobs of the tests."""

import csv
import os
import subprocess
import sys
from pathlib import Path

from floss.compose import sweep_jobs
from floss.config import TrainJob

FLOSS = str(Path(sys.executable).with_name("floss"))
TINY = ("scale=smoke", "arch.n=8", "flossing.k=4", "train.steps=20", "train.batch=2", "d=4")

# Threads only wait for each other at these sizes, for seconds where the machine is busy.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def floss(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What `floss ARGUMENTS` does in a folder."""
    return subprocess.run(
        [FLOSS, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """`floss ARGUMENTS`, running in a folder."""
    return subprocess.Popen(
        [FLOSS, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def jobs(*overrides: str) -> list[TrainJob]:
    """The jobs of `floss train -m OVERRIDES`, checked, in this process."""
    return sweep_jobs("train", list(overrides))


def job(*overrides: str) -> TrainJob:
    """The job of `floss train OVERRIDES`, checked, in this process."""
    return jobs(*overrides)[0]


def files(folder: Path) -> list[str]:
    """Names of the files of a finished run, without those that git ignores."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("checkpoint.pt", ".lock", ".owner"))


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as text."""
    with path.open() as file:
        return list(csv.DictReader(file))
