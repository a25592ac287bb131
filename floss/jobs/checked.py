"""A training job of composed values: which values go together, said before anything is computed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.folders import check_folder
from floss.jobs.keys import build
from floss.jobs.train import TEACHER, ArchConfig, TrainJob


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
    if task.name == TEACHER and task.hold != 1:
        raise ConfigError(f"task.hold={task.hold}: must be 1 for task=teacher, whose inputs are white noise")
    if task.hold >= job.train.steps:
        raise ConfigError(f"task.hold={task.hold}: must be smaller than train.steps={job.train.steps}")
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
    from floss.training.engines.call_arguments import NAMES

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
