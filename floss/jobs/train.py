"""The configuration of `floss train`, `plan` and `sbatch`: every key and its meaning, as frozen dataclasses.

Hydra composes the YAML files of `conf/` and the command line; `floss/jobs/checked.py` makes a job of the result.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from floss.jobs.flossing import REFERENCE, FlossingConfig
from floss.jobs.hashing import config_hash, packages
from floss.jobs.keys import key, list_of, one_of, one_or_more, optional, real, text, whole
from floss.jobs.slurm import SlurmConfig

if TYPE_CHECKING:
    from floss.training.schedule import FlossingRun


TEACHER = "teacher"
"""The task whose networks may differ in more than the others' within an ensemble."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Keys `task.*`."""

    name: str = key(text(), "what the networks learn")
    delay: int = key(whole(0), "the delay d of the task; set it by d=")
    teacher: str | None = key(
        optional(one_of("authors", "seeded")),
        "of task=teacher: the one linear network behind the paper's figures, or one drawn from each network's seed",
        added=None,
    )
    nu: float | None = key(
        optional(real(0.0, below=1.0)), "of task=teacher: least magnitude of the teacher's eigenvalues", added=None
    )
    theta: float | None = key(
        optional(real(0.0, above=True)), "of task=teacher: largest angle of its eigenvalues, in radians", added=None
    )
    hold: int = key(
        whole(1, 10**6), "steps for which an input stays: d / hold inputs are to be stored over the delay", added=1
    )


@dataclass(frozen=True, kw_only=True)
class ArchConfig:
    """Keys `arch.*`."""

    name: str = key(text(), "the recurrent cell")
    n: int = key(whole(1, 10**6), "number of units N")
    g: float = key(real(0.0), "gain of the initial recurrent weights")
    init: str = key(one_of("gaussian", "orthogonal"), "distribution of the initial recurrent weights")
    mean: float = key(real(), "mean of Gaussian initial recurrent weights")
    bias: float = key(real(0.0), "initial biases are uniform between 0 and this")
    readout: float = key(real(0.0), "standard deviation of the initial readout weights")
    relaxation: int = key(whole(0, 10**6), "steps without input that settle the random initial states")
    heads: int = key(whole(1, 10**6), "of arch=linear_dense: blocks of the recurrent matrix", added=1)
    nu: float | None = key(
        optional(real(0.0, below=1.0)),
        "of linear students: least magnitude of the initial eigenvalues; null: task.nu",
        added=None,
    )
    theta: float | None = key(
        optional(real(0.0, above=True)),
        "of linear students: largest angle of the initial eigenvalues, in radians; null: task.theta",
        added=None,
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Keys `train.*`."""

    epochs: int = key(whole(1, 10**8), "training epochs E")
    steps: int = key(whole(1, 10**6), "time steps T of one sequence")
    batch: int = key(whole(1, 10**6), "sequences per epoch B, each with its own trained initial state")
    lr: float = key(real(0.0, above=True), "learning rate of the task")
    schedule: str = key(
        one_of("constant", "cosine"),
        "of the learning rate: constant, or down to 1e-7 over all epochs",
        added="constant",
    )
    clip: float | None = key(
        optional(real(0.0, above=True)), "largest norm of one parameter's task gradient; null: any"
    )
    log_every: int = key(whole(1), "epochs between rows of metrics.csv")
    checkpoint_every: int = key(whole(1), "epochs between checkpoints", hashed=False)
    evaluation_batches: int = key(whole(1, 10**6), "fresh batches behind the final loss and accuracy")


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """All keys of `floss train`."""

    d: int = key(whole(0, 10**6), "delay, in steps")
    seed: int = key(whole(0, 2**63 - 1), "seed of the first network")
    seeds: int = key(whole(1, 10**5), "number of networks; their seeds count up from `seed`")
    task: TaskConfig
    arch: ArchConfig
    flossing: FlossingConfig
    train: TrainConfig
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute", hashed=False)
    dtype: str = key(one_of("float32", "float64"), "precision")
    engine: str = key(
        one_of("auto", "torch", "native"),
        "which implementation of the hot loops: native is C++, on CPUs",
        hashed=False,
    )
    diagnostics: tuple[str, ...] = key(
        list_of(
            one_of(
                *("effective_rates", "grad_h0", "lyapunov", "neutral", "overlap"),
                *("sensitivity", "sharpness", "spectrum", "svd"),
            )
        ),
        "what to watch at the logged training epochs",
        added=(),
        renewed={"grad_h0": "grad_h0 of the whole loss"},  # it was that of the last step's loss alone
    )
    scale: str = key(one_of("paper", "small", "smoke"), "one word that shrinks the job", hashed=False)
    memory_limit: float | None = key(
        optional(real(0.0, above=True)),
        "gigabytes that one ensemble may take, which cuts a sweep into several; null: half of what is free",
        hashed=False,
    )
    parts: int = key(whole(1), "cut a sweep into at least so many ensembles, for processes that share it", hashed=False)
    logger: tuple[str, ...] | None = key(
        optional(one_or_more(one_of("mlflow", "tensorboard", "wandb"))),
        "programs that get the rows of metrics.csv as curves; null: none",
        hashed=False,
        added=None,
    )
    results: str = key(text(), "folder under which the run's own folder lies", hashed=False)

    @property
    def is_flossed(self) -> bool:
        """Whether any episode runs within the training."""
        return self.flossing.every is not None or any(epoch < self.train.epochs for epoch in self.flossing.at)

    @property
    def idle(self) -> frozenset[str]:
        """The keys of flossing that change no number; where there is no episode, all but those that say so."""
        if not self.is_flossed:
            return frozenset(field.name for field in dataclasses.fields(FlossingConfig)) - {"name", "at", "every"}
        from floss.networks import CELLS
        from floss.training.penalties import PENALTIES

        cell = CELLS.get(self.arch.name)  # that of another package may not be loaded
        return frozenset(PENALTIES[self.flossing.penalty].idle(cell) if cell else ())

    @property
    def flossing_in_effect(self) -> FlossingConfig:
        """The keys of flossing: the idle ones with the values of the reference, and the episodes that there are.

        Two schedules with the same episodes in a training are one, `during` and `pre` where it ends before the second.
        """
        at, every = self.flossing.schedule_in_effect(self.train.epochs)
        idle: dict[str, Any] = {name: getattr(REFERENCE, name) for name in self.idle}
        return dataclasses.replace(self.flossing, **{**idle, "at": at, "every": every})

    @property
    def teacher_spectrum(self) -> tuple[float, float]:
        """Least magnitude and largest angle of the teacher's eigenvalues; those of no teacher mean nothing."""
        return self.task.nu or 0.0, self.task.theta or math.pi

    @property
    def initial_spectrum(self) -> tuple[float, float]:
        """Least magnitude and largest angle of a linear student's initial eigenvalues: its own, or its teacher's."""
        nu, theta = self.teacher_spectrum
        return nu if self.arch.nu is None else self.arch.nu, self.arch.theta or theta

    @property
    def flossing_run(self) -> "FlossingRun":
        """The run along which each network is flossed."""
        from floss.training.schedule import FlossingRun

        return FlossingRun.for_delay(self.d, self.flossing.steps, self.flossing.transient)

    @property
    def flossing_epochs(self) -> int:
        """Flossing epochs in the life of each network, at most."""
        return self.flossing.epochs * len(self.flossing.episodes(self.train.epochs))

    @property
    def folder(self) -> Path:
        """The run's own folder: readable prefix, and a hash of everything that its numbers depend on."""
        prefix = f"{self.task.name}-d{self.d}-{self.arch.name}-{self.flossing.label}"
        return Path(self.results) / f"{prefix}-{config_hash(self)}"


@dataclass(frozen=True, kw_only=True)
class SbatchJob(TrainJob):
    """All keys of `floss sbatch`."""

    slurm: SlurmConfig


DERIVED = ("label", "packages")
"""What config.yaml holds beside the keys, and follows from them."""


def config_yaml(job: Any) -> str:
    """The resolved configuration, which makes the same run again."""
    return OmegaConf.to_yaml(OmegaConf.create(config_values(job)))


def config_values(job: Any) -> dict[str, Any]:
    """The resolved configuration as plain nested values; a training run's has the `label` of its rows as well."""
    values = {**json.loads(json.dumps(dataclasses.asdict(job))), **packages(job)}
    return {**values, "label": job.flossing_in_effect.label} if isinstance(job, TrainJob) else values
