"""Which runs each figure of the paper needs: `conf/experiment/NAME.yaml`, one file for each.

A run is a command line of `floss train -m`, `floss spectrum`, `floss condition` or `floss bench`: what all scales
share, and what a scale adds.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from floss.errors import ConfigError
from floss.jobs.analysis import AnalysisJob, analysis_job
from floss.jobs.bench import BenchJob
from floss.jobs.compose import sweep_jobs
from floss.jobs.help import COMMANDS
from floss.jobs.keys import build, suggestion
from floss.jobs.train import TrainJob, train_job

SCALES = ("paper", "small", "smoke")
"""From the largest to the smallest."""
ANALYSES = "analyses"
"""Folder of spectra, condition numbers and timings in a reproduction's folder, beside its ensembles."""
KINDS = ("train", "spectrum", "condition", "bench")
Job = TrainJob | AnalysisJob | BenchJob


@dataclass(frozen=True)
class Run:
    """One command line of an experiment, at one scale."""

    figure: str
    name: str
    scale: str
    command: str
    overrides: tuple[str, ...]

    @property
    def line(self) -> str:
        """What a user types for it."""
        multirun = ["-m"] if self.command == "train" else []
        return " ".join(["floss", self.command, *multirun, *self.overrides])

    def jobs(self, results: str | Path, **settings: Any) -> list[Job]:
        """The jobs of the command line, checked.

        Args:
            results: their results folder.
            settings: values of further keys that change no number: device, engine, memory_limit.

        Raises:
            ConfigError: something that cannot be computed here.
        """
        jobs = _jobs(self.command, self.overrides)
        folder = Path(results) if self.command == "train" else Path(results) / ANALYSES
        if self.command == "bench":  # timings are of a machine, not of a configuration
            folder /= f"{self.figure}-{self.name}-{self.scale}"
        given = {key: value for key, value in settings.items() if hasattr(jobs[0], key)}
        return [replace(job, results=str(folder), **given) for job in jobs]


def folder_of(job: AnalysisJob | BenchJob) -> Path:
    """Where an analysis or a benchmark puts its tables."""
    return Path(job.results) if isinstance(job, BenchJob) else job.folder


@functools.cache
def _jobs(command: str, overrides: tuple[str, ...]) -> list[Job]:
    def make(values: dict[str, Any], keys: list[str]) -> Job:
        if command == "train":
            return train_job(values)
        if command == "bench":
            return build(BenchJob, values)
        return analysis_job(COMMANDS[command].job, values, keys)

    return sweep_jobs(command, list(overrides), make)


@dataclass(frozen=True)
class Experiment:
    """One figure of the paper."""

    figure: str
    """fig01, ..., fig16, table1, or overlap (Appendix D)."""
    title: str
    """What is to be seen, in our words."""
    scales: dict[str, dict[str, Run]]
    """The runs by scale and name."""

    @property
    def label(self) -> str:
        """What the paper calls it."""
        return label(self.figure)


def label(figure: str) -> str:
    """What the paper calls a figure: Fig. 4, Table 1, App. D."""
    if figure == "overlap":
        return "App. D"
    kind, number = re.match(r"([a-z]+)(\d+)", figure).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return f"{'Fig.' if kind == 'fig' else 'Table'} {int(number)}"


@functools.cache
def figures() -> tuple[str, ...]:
    """Names of all figures, as the files in conf/experiment."""
    names = [f.name.removesuffix(".yaml") for f in _folder() if f.name.endswith(".yaml")]
    return tuple(sorted(names, key=lambda name: (not name.startswith("fig"), name != "table1", name)))


def _folder() -> Iterator[Any]:
    return resources.files("floss.conf.experiment.gradient_flossing").iterdir()


@functools.cache
def experiment(figure: str) -> Experiment:
    """The experiment behind a figure."""
    content: Any = OmegaConf.to_container(
        OmegaConf.create((resources.files("floss.conf.experiment.gradient_flossing") / f"{figure}.yaml").read_text())
    )
    scales: dict[str, dict[str, Run]] = {scale: {} for scale in SCALES}
    for name, lines in content["runs"].items():
        (command,) = (word for word in lines if word in KINDS)
        for scale in SCALES:
            overrides = tuple(f"{lines[command]} {lines[scale]}".split())
            scales[scale][name] = Run(figure, name, scale, command, overrides)
    return Experiment(figure, content["title"], scales)


def named(value: Any) -> tuple[str, ...]:
    """The figures that `fig=` means: a number, a name, a list of them, or all.

    Raises:
        ConfigError: there is no such figure.
    """
    if value == "all":
        return figures()
    names = []
    for one in value if isinstance(value, list | tuple) else [value]:
        name = f"fig{one:02d}" if isinstance(one, int) and not isinstance(one, bool) else str(one)
        name = f"fig{int(found[1]):02d}" if (found := re.fullmatch(r"fig0?(\d+)", name)) else name
        if name not in figures():
            others = [each for each in figures() if not each.startswith("fig")]
            hint = suggestion(name, [*figures(), "all"])
            raise ConfigError(f"fig={one}: must be all, 1 to 16, {', '.join(others)}, or a list of them{hint}")
        names.append(name)
    if not names:
        raise ConfigError("fig=[]: must name a figure")
    return tuple(dict.fromkeys(names))
