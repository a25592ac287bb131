"""Runs `floss` in a folder of its own, installed or in this process, and makes the tiny jobs of the tests."""

import contextlib
import csv
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from floss.commands.main import main
from floss.jobs.analysis import AnalysisJob, analysis_job
from floss.jobs.compose import sweep_jobs
from floss.jobs.help import COMMANDS
from floss.jobs.train import TrainJob, train_job
from floss.sweep.networks import NetworkJobs
from floss.sweep.request import Request
from floss.sweep.run import run
from floss.sweep.summary import Outcome

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


def inside(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The same in this process: it starts at once, and a warning is an error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ))
        stack.enter_context(patch.object(sys, "argv", [FLOSS, *arguments]))
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    return subprocess.CompletedProcess(list(arguments), int(status or 0), out.getvalue(), err.getvalue())


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
    return sweep_jobs("train", list(overrides), lambda values, _: train_job(values))


def job(*overrides: str) -> TrainJob:
    """The job of `floss train OVERRIDES`, checked, in this process."""
    return jobs(*overrides)[0]


def expand(of: Sequence[TrainJob]) -> NetworkJobs:
    """The networks that some jobs ask for."""
    return Request(of).networks


def run_jobs(of: Sequence[TrainJob]) -> Outcome:
    """Compute what is missing of some jobs, and write their folders; draws nothing."""
    return run(Request(of))


def analysis(command: str, *overrides: str) -> Any:
    """The job of `floss spectrum OVERRIDES` or `floss condition OVERRIDES`, checked, in this process."""

    def make(values: dict[str, Any], given: list[str]) -> AnalysisJob:
        return analysis_job(COMMANDS[command].job, values, given)

    return sweep_jobs(command, list(overrides), make)[0]


def files(folder: Path) -> list[str]:
    """Names of the files of a finished run, without those that git ignores."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("checkpoint.pt", ".lock", ".owner"))


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as text."""
    with path.open() as file:
        return list(csv.DictReader(file))
