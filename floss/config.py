"""The configuration of a training job: every key, what it means, and which values it takes.

Hydra composes the YAML files of `conf/` and the command line; this module turns the result into checked, frozen
dataclasses. A wrong value is a `ConfigError`: one line with the key, its value and what is allowed.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf

from floss.schedule import episode_starts, flossing_steps, transient_steps

SCHEMA = 1
"""Raised whenever the same configuration would compute something else than before."""

T = TypeVar("T")


class ConfigError(ValueError):
    """Bad input, in one line for the person who typed it."""


@dataclass(frozen=True)
class Check:
    """How a value of the command line becomes a checked one: `convert` returns it or raises ValueError."""

    convert: Callable[[Any], Any]
    allowed: str


def whole(least: int, most: int | None = None) -> Check:
    """A whole number from `least` to `most`; 1e4 is one too."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValueError
        if value < least or (most is not None and value > most):
            raise ValueError
        return int(value)

    return Check(convert, f"a whole number >= {least}" + ("" if most is None else f" and <= {most}"))


def real(least: float = -math.inf, *, above: bool = False) -> Check:
    """A finite number, at least (or above) `least`."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        if value < least or (above and value == least):
            raise ValueError
        return float(value)

    bound = "" if least == -math.inf else f" {'>' if above else '>='} {least:g}"
    return Check(convert, f"a finite number{bound}")


def one_of(*names: str) -> Check:
    """One of a few words."""

    def convert(value: Any) -> str:
        if value not in names:
            raise ValueError
        return value

    return Check(convert, "one of " + ", ".join(names))


def optional(check: Check) -> Check:
    """Null, or what `check` takes."""
    return Check(lambda value: None if value is None else check.convert(value), f"null or {check.allowed}")


def list_of(check: Check) -> Check:
    """A list of different values, kept sorted."""

    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError
        items = tuple(sorted(check.convert(item) for item in value))
        if len(set(items)) != len(items):
            raise ValueError
        return items

    return Check(convert, f"a list of different values, each {check.allowed}, such as [0,500]")


def text() -> Check:
    """A word that is not empty."""

    def convert(value: Any) -> str:
        if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
            raise ValueError
        return str(value)

    return Check(convert, "a text that is not empty")


def key(check: Check, meaning: str, *, hashed: bool = True) -> Any:
    """A field with its check and meaning; `hashed=False` for what does not change the numbers."""
    return dataclasses.field(metadata={"check": check, "meaning": meaning, "hashed": hashed})


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Keys `task.*`."""

    name: str = key(text(), "what the networks learn")
    delay: int = key(whole(0), "the delay d of the task; set it by d=")


@dataclass(frozen=True, kw_only=True)
class ArchConfig:
    """Keys `arch.*`."""

    name: str = key(text(), "the recurrent cell")
    n: int = key(whole(1), "number of units N")
    g: float = key(real(0.0), "gain of the initial recurrent weights")
    init: str = key(one_of("gaussian", "orthogonal"), "distribution of the initial recurrent weights")
    mean: float = key(real(), "mean of Gaussian initial recurrent weights")


@dataclass(frozen=True, kw_only=True)
class FlossingConfig:
    """Keys `flossing.*`."""

    name: str = key(text(), "the schedule")
    at: tuple[int, ...] = key(list_of(whole(0)), "training epochs before which a flossing episode runs")
    every: int | None = key(optional(whole(1)), "run an episode every so many training epochs as well")
    epochs: int = key(whole(1), "flossing epochs per episode")
    k: int = key(whole(1), "number of flossed Lyapunov exponents")
    t_ons: int = key(whole(1), "orthonormalisation interval t_ONS, in steps")
    steps: int | None = key(optional(whole(13)), "length T_f of one flossing run; null: max(55, d + 20)")
    target: float = key(real(), "wanted value of the flossed exponents, nats per step")
    lr: float = key(real(0.0, above=True), "learning rate of flossing")

    @property
    def label(self) -> str:
        """Name of the schedule, or its episodes where they were changed and no longer are those of the name."""
        file = resources.files("floss.conf.flossing") / f"{self.name}.yaml"
        if not file.is_file():
            return self.name
        named: Any = OmegaConf.create(file.read_text())
        if (tuple(named.get("at", ())), named.get("every")) == (self.at, self.every):
            return self.name
        every = [f"every{self.every}"] if self.every else []
        return "-".join(["at", *map(str, self.at), *every])

    def episodes(self, epochs: int) -> tuple[int, ...]:
        """Training epochs before which an episode runs, in a training of so many epochs."""
        return episode_starts(self.at, self.every, epochs)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Keys `train.*`."""

    epochs: int = key(whole(1), "training epochs E")
    steps: int = key(whole(1), "time steps T of one sequence")
    batch: int = key(whole(1), "sequences per epoch B, each with its own trained initial state")
    lr: float = key(real(0.0, above=True), "learning rate of the task")
    clip: float = key(real(0.0, above=True), "largest norm of one parameter's task gradient")
    log_every: int = key(whole(1), "epochs between rows of metrics.csv")
    checkpoint_every: int = key(whole(1), "epochs between checkpoints", hashed=False)
    evaluation_batches: int = key(whole(1), "fresh batches behind the final loss and accuracy")


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """All keys of `floss train`."""

    d: int = key(whole(0), "delay, in steps")
    seed: int = key(whole(0, 2**63 - 1), "seed of the first network")
    seeds: int = key(whole(1), "number of networks; their seeds count up from `seed`")
    task: TaskConfig
    arch: ArchConfig
    flossing: FlossingConfig
    train: TrainConfig
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute", hashed=False)
    dtype: str = key(one_of("float32", "float64"), "precision")
    engine: str = key(one_of("auto", "torch"), "which implementation of the hot loops", hashed=False)
    scale: str = key(one_of("paper", "small", "smoke"), "one word that shrinks the job", hashed=False)
    results: str = key(text(), "folder under which the run's own folder lies", hashed=False)

    @property
    def folder(self) -> Path:
        """The run's own folder: readable prefix, and a hash of everything that its numbers depend on."""
        prefix = f"{self.task.name}-d{self.d}-{self.arch.name}-{self.flossing.label}"
        return Path(self.results) / f"{prefix}-{config_hash(self)}"


def config_hash(job: TrainJob) -> str:
    """Ten hexadecimal digits of the hash over every key that the numbers depend on."""

    def hashed(config: Any) -> dict[str, Any]:
        out = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                out[field.name] = hashed(value)
            elif field.metadata["hashed"]:
                out[field.name] = value
        return out

    content = json.dumps({"schema": SCHEMA, **hashed(job)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def config_yaml(job: TrainJob) -> str:
    """The resolved configuration, which makes the same run again."""
    return OmegaConf.to_yaml(OmegaConf.create(config_values(job)))


def config_values(job: TrainJob) -> dict[str, Any]:
    """The resolved configuration as plain nested values, with the `label` that its rows carry in column `flossing`."""
    return {**json.loads(json.dumps(dataclasses.asdict(job))), "label": job.flossing.label}


@dataclass(frozen=True, kw_only=True)
class FiguresJob:
    """All keys of `floss figures`."""

    results: str = key(text(), "folder whose finished runs are drawn, with all folders below it")


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """All keys of `floss bench`."""

    networks: tuple[int, ...] = key(list_of(whole(1)), "ensemble sizes R to measure")
    repeats: int = key(whole(3), "timed rounds, every contender once in each")
    seconds: float = key(real(0.0, above=True), "least time of one contender in one round")
    n: int = key(whole(1), "number of units N")
    k: int = key(whole(1), "number of flossed Lyapunov exponents")
    steps: int = key(whole(2), "time steps T of one training sequence")
    flossing_steps: int = key(whole(13), "length T_f of one flossing run")
    batch: int = key(whole(1), "sequences per training epoch B")
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute")
    results: str = key(text(), "folder of bench.csv and environment.json")


JOBS: dict[str, type] = {"train": TrainJob, "figures": FiguresJob, "bench": BenchJob}
"""The keys of each command."""


def known_keys(config: type, prefix: str = "") -> dict[str, dataclasses.Field[Any]]:
    """Every key of the command line with its field, in the order of the dataclasses."""
    keys = {}
    for field in dataclasses.fields(config):
        if "check" in field.metadata:
            keys[prefix + field.name] = field
        elif isinstance(field.type, type):
            keys |= known_keys(field.type, f"{prefix}{field.name}.")
    return keys


def suggestion(word: str, among: list[str]) -> str:
    """'; did you mean X?', or nothing where no word is close."""
    close = difflib.get_close_matches(word, among, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_key(name: str, names: Iterable[str]) -> ConfigError:
    """The error for a key that is none of `names`."""
    hint = suggestion(name, list(names)) or "; --help lists the keys"
    return ConfigError(f"{name}: there is no such key{hint}")


def build(config: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """A checked dataclass from plain nested values.

    Raises:
        ConfigError: a key that does not exist or is missing, or a value that its check does not take.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in fields:
            raise unknown_key(prefix + str(name), known_keys(config, prefix))
    checked: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in values:
            raise ConfigError(f"{prefix}{name}: this key has no value")
        value = values[name]
        if "check" not in field.metadata:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name}={value}: this is a group of keys, not a value")
            checked[name] = build(field.type, value, f"{prefix}{name}.")  # pyright: ignore[reportArgumentType]
            continue
        check: Check = field.metadata["check"]
        try:
            checked[name] = check.convert(value)
        except (ValueError, TypeError, OverflowError):
            shown = "null" if value is None else value
            raise ConfigError(f"{prefix}{name}={shown}: must be {check.allowed}") from None
    return config(**checked)


def train_job(values: Mapping[str, Any]) -> TrainJob:
    """A training job from the composed configuration, with everything checked that can be without computing.

    Raises:
        ConfigError: a wrong key or value, or values that do not go together.
    """
    job = build(TrainJob, values)
    _check_names(job)
    _check_delay(job)
    _check_flossing(job)
    check_device(job.device)
    check_folder(job.results)
    if job.seed + job.seeds > 2**63:
        raise ConfigError(f"seeds={job.seeds}: seed + seeds must be at most 2**63, and seed={job.seed}")
    return job


def _check_names(job: TrainJob) -> None:
    from floss.cells import CELLS
    from floss.tasks import TASKS

    for name, value, allowed in (("task", job.task.name, TASKS), ("arch", job.arch.name, CELLS)):
        if value not in allowed:
            raise ConfigError(f"{name}.name={value}: must be one of {', '.join(allowed)}; choose it by {name}=")
    if job.task.delay != job.d:
        raise ConfigError(f"task.delay={job.task.delay}: must equal d={job.d}; set the delay by d= alone")
    if job.arch.init == "orthogonal" and job.arch.mean != 0.0:
        raise ConfigError(f"arch.mean={job.arch.mean:g}: must be 0 with arch.init=orthogonal, which has no mean")


def _check_delay(job: TrainJob) -> None:
    from floss.tasks import TASKS

    task = TASKS[job.task.name]
    if job.d < task.min_delay or (task.even and job.d % 2):
        raise ConfigError(f"d={job.d}: task={task.name} needs an {'even ' if task.even else ''}d >= {task.min_delay}")
    if job.d >= job.train.steps:
        raise ConfigError(f"d={job.d}: must be smaller than train.steps={job.train.steps}")


def _check_flossing(job: TrainJob) -> None:
    from floss.cells import CELLS

    f, size = job.flossing, CELLS[job.arch.name].state_size(job.arch.n)
    flosses = bool(f.episodes(job.train.epochs))
    if flosses and f.k > size:
        raise ConfigError(f"flossing.k={f.k}: must be at most the state size, {size} for arch={job.arch.name}")
    steps = f.steps or flossing_steps(job.d)
    if flosses and f.t_ons > steps - transient_steps(steps):
        counted = steps - transient_steps(steps)
        raise ConfigError(f"flossing.t_ons={f.t_ons}: must be at most {counted}, the counted steps of a run of {steps}")


def check_device(device: str) -> None:
    """Raise a ConfigError where CUDA is asked for and not there."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: this machine has no CUDA device that torch can use; allowed are auto, cpu")


def check_folder(results: str) -> None:
    """Raise a ConfigError where a folder cannot be made or written."""
    path = Path(results)
    existing = next((p for p in (path, *path.parents) if p.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"results={results}: must be a folder that can be written; {existing} is not")
