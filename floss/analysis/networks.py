"""The networks of an analysis: fresh ones or those of a checkpoint, and their inputs."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from floss import random
from floss.errors import CheckpointError, ConfigError
from floss.jobs.analysis import AnalysisJob
from floss.jobs.checkpoints import checkpoint_of
from floss.jobs.keys import build
from floss.jobs.networks import former_ids, network_ids
from floss.jobs.train import DERIVED, ArchConfig, TrainJob
from floss.networks import CELLS, Cell, Parameters
from floss.networks.linear_students import LinearStudent
from floss.networks.linear_students.cells import InitialSpectrum
from floss.random import Stream
from floss.runtime.files import texts_apart
from floss.runtime.messages import LOGGER
from floss.runtime.training_checkpoint import Trained
from floss.tasks import TASKS

Drive = Callable[[Tensor, Stream, int | Tensor, int], Tensor]
"""Inputs [R, T, S] of networks (seeds, stream, epoch, steps); the epoch is a number, or one for each network, [R]."""

IDENTITY = ("arch", "n", "init", "g", "seed", "flossing", "k", "target")
"""The columns that say which network a row is about: `flossing` is before or after, then with which k and target."""


@dataclass(frozen=True)
class StackedNetworks:
    """Stacked networks of one architecture."""

    cell: Cell
    arch: ArchConfig
    parameters: Parameters
    seeds: Tensor
    gains: tuple[float, ...]
    drive: Drive
    k: tuple[int, ...] = ()
    """Number of exponents that each was flossed with; empty before flossing."""
    target: tuple[float, ...] = ()

    def __len__(self) -> int:
        """Number of networks R."""
        return len(self.seeds)

    @property
    def identity(self) -> list[list[Any]]:
        """The identity columns of each network."""
        a, targets = self.arch, texts_apart(self.target, 9)
        flossed: list[tuple[Any, ...]] = [
            ("after", k, targets[target]) for k, target in zip(self.k, self.target, strict=True)
        ] or [("before", None, None)] * len(self)
        return [
            [a.name, a.n, a.init, g, seed, *variant]
            for g, seed, variant in zip(self.gains, self.seeds.tolist(), flossed, strict=True)
        ]

    def inputs(self, stream: Stream, steps: int, epoch: int = 0) -> Tensor:
        """Inputs x[1], …, x[T], [T, R, S]."""
        return self.drive(self.seeds, stream, epoch, steps).transpose(0, 1)


def networks_of(job: AnalysisJob, device: str, *, states: int = 1) -> StackedNetworks:
    """The networks before flossing.

    Raises:
        ConfigError: a checkpoint that is damaged, or of other networks than its config.yaml says.
    """
    dtype = getattr(torch, job.dtype)
    if job.checkpoint is None:
        seeds = job.seed + torch.arange(job.seeds, device=device)  # whose end may be 2**63
        gains = torch.full((job.seeds,), job.arch.g, dtype=torch.float64, device=device)
        if job.random_g:
            gains = gains * random.uniform(seeds, Stream.WEIGHTS, 1, part=9, dtype=torch.float64)[:, 0]
        parameters = _fresh(job, seeds, gains, job.inputs, states, dtype)
        drive = _drive(job.input if job.input != "auto" else "uniform", job.inputs, dtype)
        return StackedNetworks(CELLS[job.arch.name], job.arch, parameters, seeds, tuple(gains.tolist()), drive)
    return _trained(job, device, states, dtype)


def _fresh(job: AnalysisJob, seeds: Tensor, gains: Tensor, inputs: int, states: int, dtype: torch.dtype) -> Parameters:
    a, cell, further = job.arch, CELLS[job.arch.name], {}
    if isinstance(cell, LinearStudent):
        ones = torch.ones_like(gains)
        further = {"heads": a.heads, "spectrum": InitialSpectrum((a.nu or 0.0) * ones, (a.theta or math.pi) * ones)}
    return cell.initial_parameters(
        seeds,
        gains,
        n=a.n,
        inputs=inputs,
        batch=states,
        init=a.init,
        mean=a.mean,
        bias=a.bias,
        readout=a.readout,
        relaxation=a.relaxation,
        dtype=dtype,
        **further,
    )


def _trained(job: AnalysisJob, device: str, states: int, dtype: torch.dtype) -> StackedNetworks:
    """The networks of a training checkpoint that have not diverged; their first initial states."""
    checkpoint = checkpoint_of(str(job.checkpoint), job.run)
    run: Any = checkpoint.run
    task = TASKS[run["task"]["name"]].held(run["task"].get("hold", 1))
    try:
        trained = Trained.load(checkpoint.file)
    except CheckpointError as error:
        raise ConfigError(f"checkpoint={job.checkpoint}: {error}") from None
    held = trained.networks
    if checkpoint.number is not None:
        trained = trained.select(trained.networks[checkpoint.first : checkpoint.first + run["seeds"]])
    parameters, alive = trained.parameters, trained.diverged_at < 0
    seeds = run["seed"] + torch.arange(run["seeds"])
    gains = torch.full((len(seeds),), float(run["arch"]["g"]), dtype=torch.float64)
    configured = _fresh(job, seeds, gains, task.inputs, run["train"]["batch"], torch.float32)
    shapes, expected = ({name: p.shape for name, p in several.items()} for several in (parameters, configured))
    if alive.shape != seeds.shape or shapes != expected:
        raise ConfigError(
            f"checkpoint={job.checkpoint}: its networks are not those of arch={job.arch.name} with {job.arch.n} units, "
            "as its config.yaml says"
        )
    available = parameters["h0"].shape[1]
    if states > available:
        raise ConfigError(f"states={states}: must be at most {available}, the initial states of the checkpoint")
    if not alive.any():
        raise ConfigError(f"checkpoint={job.checkpoint}: all of its networks have diverged")
    _check_config(job, run, held)
    parameters["h0"] = parameters["h0"][:, :states]
    parameters = {name: p[alive].to(dtype).to(device) for name, p in parameters.items()}

    def of_task(seeds: Tensor, stream: Stream, epoch: int | Tensor, steps: int) -> Tensor:
        return task.sample(seeds, stream, epoch, steps=steps, batch=1, dtype=dtype)[:, :, 0]

    drive = of_task if job.input == "auto" else _drive(job.input, task.inputs, dtype)
    gains_of = tuple(gains[alive].tolist())
    return StackedNetworks(CELLS[job.arch.name], job.arch, parameters, seeds[alive].to(device), gains_of, drive)


def _check_config(job: AnalysisJob, run: Mapping[str, Any], held: Collection[str]) -> None:
    """Warn where the networks of a checkpoint are others than those of the config.yaml beside it.

    Their ids are hashes of what it says, so that one value that was changed is noticed. Ids of an earlier version may
    be others as well, so that this is no error.
    """
    try:
        described = build(TrainJob, {key: value for key, value in run.items() if key not in DERIVED})
        wanted = [network_ids(described), former_ids(described)]
    except ConfigError:
        wanted = []
    if not any(set(ids) <= set(held) for ids in wanted):
        LOGGER.warning(
            "checkpoint=%s: the config.yaml beside it is not that of its networks: it was changed, or is of an earlier"
            " version",
            job.checkpoint,
        )


def _drive(kind: str, inputs: int, dtype: torch.dtype) -> Drive:
    """Independent inputs of one distribution."""
    distributions = {"uniform": random.uniform, "bits": random.bits, "gaussian": random.normal}

    def drive(seeds: Tensor, stream: Stream, epoch: int | Tensor, steps: int) -> Tensor:
        if kind == "none":
            return torch.zeros(len(seeds), steps, inputs, dtype=dtype, device=seeds.device)
        numbers = distributions[kind](seeds, stream, steps * inputs, epoch=epoch, dtype=dtype)
        return numbers.reshape(len(seeds), steps, inputs)

    return drive
