"""The networks of an analysis: fresh ones or those of a checkpoint, their inputs, and their flossed variants."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from floss import random
from floss.errors import CheckpointError, ConfigError
from floss.jobs.analysis import AnalysisJob
from floss.jobs.checkpoints import checkpoint_of
from floss.jobs.train import ArchConfig
from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS, Cell, Parameters
from floss.random import Stream
from floss.runtime.training_checkpoint import Trained
from floss.tasks import TASKS
from floss.training.adam import Adam
from floss.training.flossing import flossing_step

Drive = Callable[[Tensor, Stream, int, int], Tensor]
"""Inputs [R, T, S] of networks (seeds, stream, epoch, steps)."""

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
        a = self.arch
        flossed: list[tuple[Any, ...]] = [
            ("after", k, target) for k, target in zip(self.k, self.target, strict=True)
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
        seeds = torch.arange(job.seed, job.seed + job.seeds, device=device)
        gains = torch.full((job.seeds,), job.arch.g, dtype=torch.float64, device=device)
        if job.random_g:
            gains = gains * random.uniform(seeds, Stream.WEIGHTS, 1, part=9, dtype=torch.float64)[:, 0]
        parameters = _fresh(job, seeds, gains, job.inputs, states, dtype)
        drive = _drive(job.input if job.input != "auto" else "uniform", job.inputs, dtype)
        return StackedNetworks(CELLS[job.arch.name], job.arch, parameters, seeds, tuple(gains.tolist()), drive)
    return _trained(job, device, states, dtype)


def _fresh(job: AnalysisJob, seeds: Tensor, gains: Tensor, inputs: int, states: int, dtype: torch.dtype) -> Parameters:
    a = job.arch
    return CELLS[a.name].initial_parameters(
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
    )


def _trained(job: AnalysisJob, device: str, states: int, dtype: torch.dtype) -> StackedNetworks:
    """The networks of a training checkpoint that have not diverged; their first initial states."""
    checkpoint = checkpoint_of(str(job.checkpoint), job.run)
    run: Any = checkpoint.run
    task = TASKS[run["task"]["name"]]
    try:
        trained = Trained.load(checkpoint.file)
    except CheckpointError as error:
        raise ConfigError(f"checkpoint={job.checkpoint}: {error}") from None
    if checkpoint.number is not None:
        trained = trained.select(trained.networks[checkpoint.first : checkpoint.first + run["seeds"]])
    parameters, alive = trained.parameters, trained.diverged_at < 0
    seeds = torch.arange(run["seed"], run["seed"] + run["seeds"])
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
    parameters["h0"] = parameters["h0"][:, :states]
    parameters = {name: p[alive].to(dtype).to(device) for name, p in parameters.items()}

    def of_task(seeds: Tensor, stream: Stream, epoch: int, steps: int) -> Tensor:
        return task.sample(seeds, stream, epoch, steps=steps, batch=1, dtype=dtype)[:, :, 0]

    drive = of_task if job.input == "auto" else _drive(job.input, task.inputs, dtype)
    gains_of = tuple(gains[alive].tolist())
    return StackedNetworks(CELLS[job.arch.name], job.arch, parameters, seeds[alive].to(device), gains_of, drive)


def _drive(kind: str, inputs: int, dtype: torch.dtype) -> Drive:
    """Independent inputs of one distribution."""
    draw = {"uniform": random.uniform, "bits": random.bits, "gaussian": random.normal}

    def drive(seeds: Tensor, stream: Stream, epoch: int, steps: int) -> Tensor:
        if kind == "none":
            return torch.zeros(len(seeds), steps, inputs, dtype=dtype, device=seeds.device)
        numbers = draw[kind](seeds, stream, steps * inputs, epoch=epoch, dtype=dtype)
        return numbers.reshape(len(seeds), steps, inputs)

    return drive


class Flossing:
    """An episode of flossing of copies of some networks, one for each k and target, in one ensemble."""

    def __init__(self, networks: StackedNetworks, job: AnalysisJob) -> None:
        """Copy the networks; nothing is flossed yet."""
        f = job.flossing
        variants = list(itertools.product(f.k, f.target))
        copies, R = len(variants), len(networks)
        k, target = zip(*variants, strict=True)
        self.networks = replace(
            networks,
            parameters={n: p.repeat(copies, *(1,) * (p.ndim - 1)).contiguous() for n, p in networks.parameters.items()},
            seeds=networks.seeds.repeat(copies),
            gains=networks.gains * copies,
            k=tuple(value for value in k for _ in range(R)),
            target=tuple(value for value in target for _ in range(R)),
        )
        self.config, self.epoch = f, 0
        parameters, seeds = self.networks.parameters, self.networks.seeds
        h0 = parameters["h0"]
        self.q0 = initial_tangent(seeds, h0.shape[-1], max(f.k), h0.dtype)
        self.k = torch.tensor(self.networks.k, device=h0.device)
        self.target = torch.tensor(self.networks.target, dtype=h0.dtype, device=h0.device)
        self.alive = torch.ones(len(seeds), dtype=torch.bool, device=h0.device)
        self.adam = Adam({name: parameters[name] for name in networks.cell.flossed}, f.lr)

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self.epoch >= self.config.epochs or not bool(self.alive.any())

    def run_epoch(self) -> tuple[Tensor, Tensor, Tensor]:
        """One flossing epoch: which networks went on, and the loss and the flossed exponents before the step."""
        networks, f = self.networks, self.config
        active, loss, exponents = flossing_step(
            networks.cell,
            networks.parameters,
            self.adam,
            networks.drive(networks.seeds, Stream.FLOSSING, self.epoch, f.steps),
            self.q0,
            index=torch.arange(len(networks), device=self.k.device),
            alive=self.alive,
            k=self.k,
            target=self.target,
            t_ons=f.t_ons,
            transient=f.uncounted,
        )
        self.alive = active
        self.epoch += 1
        return active, loss, exponents

    def state(self) -> dict[str, Any]:
        """Everything needed to resume."""
        parameters = {f"parameters.{name}": p for name, p in self.networks.parameters.items()}
        adam = {f"adam.{name}": p for name, p in self.adam.state().items()}
        tensors = {**parameters, **adam, "alive": self.alive}
        return {**{name: p.detach().cpu().clone() for name, p in tensors.items()}, "epoch": self.epoch}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        for name, p in self.networks.parameters.items():
            p.copy_(state[f"parameters.{name}"])
        self.adam.load({n.removeprefix("adam."): p for n, p in state.items() if n.startswith("adam.")})
        self.alive.copy_(state["alive"])
        self.epoch = int(state["epoch"])
