"""The configuration of `floss train`, `plan` and `sbatch`: every key, its meaning, and which values go together.

Hydra composes the YAML files of `conf/` and the command line; this module turns the result into checked, frozen
dataclasses.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.flossing import REFERENCE, FlossingConfig
from floss.jobs.folders import check_folder
from floss.jobs.hashing import config_hash, packages
from floss.jobs.keys import build, key, list_of, one_of, one_or_more, optional, real, text, whole
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


def train_job(values: Mapping[str, Any]) -> TrainJob:
    """A training job from the composed configuration, with everything checked that can be without computing.

    Raises:
        ConfigError: a wrong key or value, or values that do not go together.
    """
    from floss.runtime.device import check_device  # torch takes a second, which --help does not need

    job = build(TrainJob, values)
    _check_names(job)
    _check_teacher(job)
    job = _without_delay(job)
    _check_delay(job)
    _check_flossing(job)
    check_device(job.device)
    _check_engine(job)
    check_folder(job.results)
    if job.seed + job.seeds > 2**63:
        raise ConfigError(f"seeds={job.seeds}: seed + seeds must be at most 2**63, and seed={job.seed}")
    return job


def _check_names(job: TrainJob) -> None:
    from floss.networks import CELLS

    extensions.check("task", job.task.name)
    extensions.check("arch", job.arch.name)
    if job.task.delay != job.d:
        raise ConfigError(f"task.delay={job.task.delay}: must equal d={job.d}; set the delay by d= alone")
    if job.arch.init == "orthogonal" and job.arch.mean != 0.0:
        raise ConfigError(f"arch.mean={job.arch.mean:g}: must be 0 with arch.init=orthogonal, which has no mean")
    check_cell(job.arch)
    if "svd" in job.diagnostics and "W" not in CELLS[job.arch.name].flossed:
        raise ConfigError("diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru has none")


def _check_teacher(job: TrainJob) -> None:
    """Raise a ConfigError where keys of a linear teacher are those of another task, or are missing."""
    from floss.networks.linear_students import CELLS as LINEAR_STUDENTS

    task, arch = job.task, job.arch
    for name in ("teacher", "nu", "theta"):
        given = getattr(task, name) is not None
        if given != (task.name == TEACHER):
            shown = getattr(task, name) if given else "null"
            needs = "is for task=teacher alone" if given else "has no value, which task=teacher needs"
            raise ConfigError(f"task.{name}={shown}: {needs}")
    if arch.name not in LINEAR_STUDENTS:
        return
    if task.name != TEACHER:
        raise ConfigError(f"arch={arch.name}: learns from task=teacher alone, and task={task.name}")
    wrong = set(job.diagnostics) - {"lyapunov", "effective_rates"}
    if wrong:
        raise ConfigError(f"diagnostics=[{sorted(wrong)[0]}]: a linear student has lyapunov, effective_rates alone")


def _without_delay(job: TrainJob) -> TrainJob:
    """The job with d = 0 where the task has no delay, so that d does not tell such networks apart."""
    from floss.tasks import TASKS

    if TASKS[job.task.name].has_delay:
        return job
    return dataclasses.replace(job, d=0, task=dataclasses.replace(job.task, delay=0))


def may_be_native(job: TrainJob) -> bool:
    """Whether the native engine has the job's optimizer: a constant learning rate, and clipped gradients."""
    return job.train.schedule == "constant" and job.train.clip is not None


def check_cell(arch: ArchConfig) -> None:
    """Raise a ConfigError where the architecture has no such initial weights."""
    from floss.networks import CELLS
    from floss.networks.linear_students import CELLS as LINEAR_STUDENTS

    try:
        CELLS[arch.name].check(arch.n, arch.g, arch.init, arch.mean)
    except ValueError as error:
        raise ConfigError(f"arch.{error}") from None
    if arch.name in LINEAR_STUDENTS:
        if not LINEAR_STUDENTS[arch.name].is_dense and arch.heads != 1:
            raise ConfigError(f"arch.heads={arch.heads}: must be 1 for arch={arch.name}, which has no blocks")
        for name, plain in (("bias", 0.0), ("readout", 1.0), ("relaxation", 0)):  # of what it does not have
            if getattr(arch, name) != plain:
                raise ConfigError(f"arch.{name}={getattr(arch, name):g}: must be {plain:g} for arch={arch.name}")
        if arch.n % arch.heads:
            raise ConfigError(f"arch.heads={arch.heads}: must divide arch.n={arch.n}")
        return
    for name, plain in (("heads", 1), ("nu", None), ("theta", None)):
        value = getattr(arch, name)
        if value != plain:
            raise ConfigError(f"arch.{name}={value}: is for linear students alone, such as arch=linear_dense")


def _check_engine(job: TrainJob) -> None:
    if job.engine != "native":
        return
    from floss.training.engines.operators import NAMES

    if job.arch.name not in NAMES:
        raise ConfigError(f"engine=native: does not have arch={job.arch.name}; engine=torch has all of them")
    if extensions.package("task", job.task.name):
        raise ConfigError(f"engine=native: is for floss's own tasks, and task={job.task.name}; engine=torch has all")
    if job.task.name == TEACHER:
        raise ConfigError("engine=native: does not have task=teacher; engine=torch has")
    if not may_be_native(job):
        raise ConfigError("engine=native: needs train.schedule=constant and a train.clip; engine=torch has all")
    if job.device == "cuda":
        raise ConfigError("engine=native: is for device=cpu, and device=cuda")


def _check_delay(job: TrainJob) -> None:
    from floss.tasks import TASKS

    task = TASKS[job.task.name]
    if job.d < task.min_delay or (task.even and job.d % 2):
        raise ConfigError(f"d={job.d}: task={task.name} needs an {'even ' if task.even else ''}d >= {task.min_delay}")
    if job.d >= job.train.steps:
        raise ConfigError(f"d={job.d}: must be smaller than train.steps={job.train.steps}")


def _check_flossing(job: TrainJob) -> None:
    from floss.networks import CELLS
    from floss.training.penalties import PENALTIES

    f, size = job.flossing, CELLS[job.arch.name].state_size(job.arch.n)
    if f.every and job.train.epochs // f.every > 10**5:
        raise ConfigError(f"flossing.every={f.every}: makes more than 100000 episodes in {job.train.epochs} epochs")
    flosses = bool(f.episodes(job.train.epochs))
    refusal = PENALTIES[f.penalty].refusal(CELLS[job.arch.name])
    if flosses and refusal:
        raise ConfigError(f"flossing.penalty={f.penalty}: {refusal}, and arch={job.arch.name} has none")
    if flosses and f.k > size:
        raise ConfigError(f"flossing.k={f.k}: must be at most the state size, {size} for arch={job.arch.name}")
    run = job.flossing_run
    steps, transient = run.length, run.transient
    if transient >= steps and f.transient is not None:
        raise ConfigError(f"flossing.transient={transient}: must be less than the {steps} steps of a flossing run")
    if transient >= steps:
        raise ConfigError(f"flossing.steps={steps}: must be more than the {transient} steps that are not counted")
    if flosses and f.t_ons > run.counted:
        raise ConfigError(
            f"flossing.t_ons={f.t_ons}: must be at most {run.counted}, the counted steps of a run of {steps}"
        )


DERIVED = ("label", "packages")
"""What config.yaml holds beside the keys, and follows from them."""


def config_yaml(job: Any) -> str:
    """The resolved configuration, which makes the same run again."""
    return OmegaConf.to_yaml(OmegaConf.create(config_values(job)))


def config_values(job: Any) -> dict[str, Any]:
    """The resolved configuration as plain nested values; a training run's has the `label` of its rows as well."""
    values = {**json.loads(json.dumps(dataclasses.asdict(job))), **packages(job)}
    return {**values, "label": job.flossing_in_effect.label} if isinstance(job, TrainJob) else values
