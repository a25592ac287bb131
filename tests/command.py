"""Runs `floss` in a folder of its own, installed or in this process, and makes the tiny jobs of the tests."""

import contextlib
import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from preloaded import POSSIBLE, READ_AT_THE_START, THREADS, Forked, replace_drawing

from floss import figures
from floss.commands.main import main
from floss.jobs.analysis import AnalysisJob, analysis_job
from floss.jobs.checked import train_job
from floss.jobs.compose import sweep_jobs
from floss.jobs.help import COMMANDS
from floss.jobs.train import TrainJob
from floss.runtime.files import NETWORKS
from floss.sweep.networks import NetworkJobs
from floss.sweep.request import Request
from floss.sweep.run import run
from floss.sweep.summary import Outcome

FLOSS = str(Path(sys.executable).with_name("floss"))
TINY = ("scale=smoke", "arch.n=8", "flossing.k=4", "train.steps=20", "train.batch=2", "d=4")
ENVIRONMENT = {**os.environ, **THREADS}
PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def start(
    folder: Path, *arguments: str, pictures: bool = True, first: str = "", **environment: str
) -> "subprocess.Popen[str]":
    """`floss ARGUMENTS`, running in a folder, in a process that has nothing to import.

    Args:
        folder: in which it runs.
        arguments: of the command line.
        pictures: whether it draws, where it can be told not to.
        first: Python code that the process runs before the command.
        environment: variables that it has besides ours.
    """
    how: dict[str, Any] = {"cwd": folder, "env": {**ENVIRONMENT, **environment}, "text": True, **PIPES}
    if POSSIBLE and not any(name.startswith(READ_AT_THE_START) for name in environment):
        return Forked([FLOSS, *arguments], pictures=pictures, first=first, **how)
    program = f"{first}\nimport sys\nfrom floss.commands.main import main\nsys.argv[0] = 'floss'\nmain()"
    return subprocess.Popen([sys.executable, "-c", program, *arguments], **how)


def floss(folder: Path, *arguments: str, seconds: float = 120, **more: Any) -> "subprocess.CompletedProcess[str]":
    """What `floss ARGUMENTS` does in a folder, in such a process, which may take so many seconds."""
    with start(folder, *arguments, **more) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)


def installed(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The same by the installed program, from its first import on."""
    how: dict[str, Any] = {"cwd": folder, "env": {**ENVIRONMENT, **environment}, "text": True, **PIPES}
    return subprocess.run([FLOSS, *arguments], timeout=120, check=False, **how)


def inside(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The same in the process of the tests, where a warning is an error, and what a test patches is patched."""
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


@contextlib.contextmanager
def without_pictures(instead: Callable[[Path], object] = lambda folder: []) -> Iterator[None]:
    """In this process nothing is drawn: pictures take ten times as long as the numbers of a tiny run."""
    draw = figures.draw
    replace_drawing(draw, instead)
    try:
        yield
    finally:
        replace_drawing(instead, draw)


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
    return sorted(
        path.name for path in folder.iterdir() if path.name not in ("checkpoint.pt", NETWORKS, ".lock", ".owner")
    )


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as text."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
