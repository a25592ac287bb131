"""Ensembles: R networks in one program, each parameter a tensor with the leading axis R.

What must agree is in `Protocol`, what may differ in `Network`.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS
from floss.networks.linear_students import LinearStudent
from floss.networks.linear_students.cells import InitialSpectrum
from floss.random import Stream
from floss.tasks import TASKS, Task
from floss.tasks.teacher import Teacher, TeacherTask
from floss.training.adam import Adam
from floss.training.flossed_networks import FlossedNetworks
from floss.training.objective import EXPONENTS
from floss.training.schedule import FlossingRun
from floss.training.state import named_tensors


@dataclass(frozen=True)
class Network:
    """What may differ between the networks of one ensemble."""

    seed: int
    d: int
    """Delay of the task in steps."""
    g: float = 1.0
    """Gain of the initial recurrent weights."""
    episodes: tuple[int, ...] = ()
    """Training epochs before which a flossing episode runs."""
    k: int = 75
    """Number of flossed exponents."""
    target: float = 0.0
    """Wanted value of the flossed exponents, nats per step."""
    flossing_steps: int | None = None
    """T_f, length of one flossing run; None: that of the reference protocol for the delay."""
    flossing_transient: int | None = None
    """Steps of a flossing run that are not counted; None: those of the reference protocol."""
    flossing_until: float | None = None
    """Flossing loss below which an episode ends for the network; None: after all of its epochs."""
    lr: float | None = None
    """Learning rate of the task; None: that of the protocol."""
    teacher: Teacher = dataclasses.field(default_factory=Teacher)
    """Of `task=teacher`."""
    nu: float = 0.0
    """Least magnitude of the initial eigenvalues of a linear student."""
    theta: float = math.pi
    """Largest angle of the initial eigenvalues of a linear student, in radians."""

    @property
    def flossing_run(self) -> FlossingRun:
        """The run along which the network is flossed."""
        return FlossingRun.for_delay(self.d, self.flossing_steps, self.flossing_transient)


@dataclass(frozen=True)
class Protocol:
    """What all networks of one ensemble have in common."""

    task: str = "xor"
    arch: str = "vanilla"
    n: int = 80
    init: str = "gaussian"
    mean: float = 0.0
    bias: float = 0.1
    readout: float = 1.0
    relaxation: int = 100
    epochs: int = 10_000
    steps: int = 300
    batch: int = 16
    lr: float = 1e-3
    schedule: str = "constant"
    """Of the learning rate: `constant`, or `cosine` from `lr` to (nearly) zero over all epochs."""
    clip: float | None = 0.03
    """Largest norm of one parameter's task gradient; None: it is not clipped."""
    evaluation_batches: int = 16
    flossing_epochs: int = 500
    flossing_lr: float = 1e-3
    t_ons: int = 1
    penalty: str = EXPONENTS
    """What flossing penalises, a name of the table PENALTIES."""
    dtype: torch.dtype = torch.float32
    heads: int = 1
    """Blocks of the recurrence of a dense linear student."""
    hold: int = 1
    """Steps for which an input of the task stays."""


class Ensemble:
    """Networks as they are now: parameters, two Adam states, and which of them have diverged."""

    def __init__(self, networks: Sequence[Network], protocol: Protocol, device: torch.device | str = "cpu") -> None:
        """Draw the networks, each from its own seed."""
        self.networks, self.protocol = tuple(networks), protocol
        self.cell, self.task = CELLS[protocol.arch], TASKS[protocol.task].held(protocol.hold)
        further = {}

        def per_network(name: str, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.tensor([getattr(network, name) for network in networks], dtype=dtype, device=device)

        self.seeds, self.d = per_network("seed"), per_network("d")
        if isinstance(self.task, TeacherTask):
            self.task = self.task.of([network.teacher for network in networks], self.seeds, protocol.steps)
        if isinstance(self.cell, LinearStudent):
            spectrum = InitialSpectrum(per_network("nu", torch.float64), per_network("theta", torch.float64))
            further = {"heads": protocol.heads, "spectrum": spectrum}
        never = protocol.epochs
        most = max(len(network.episodes) for network in networks)
        starts = [[*network.episodes, *[never] * (most - len(network.episodes))] for network in networks]
        self.starts = torch.tensor(starts, dtype=torch.int64, device=device)
        """Training epochs before which each network has a flossing episode, [R, episodes], filled up with E."""
        self.parameters = self.cell.initial_parameters(
            self.seeds,
            per_network("g", protocol.dtype),
            n=protocol.n,
            inputs=self.task.inputs,
            batch=protocol.batch,
            init=protocol.init,
            mean=protocol.mean,
            bias=protocol.bias,
            readout=protocol.readout,
            relaxation=protocol.relaxation,
            dtype=protocol.dtype,
            **further,
        )
        self.task_adam = Adam(
            self.parameters,
            protocol.lr if all(network.lr is None for network in networks) else self._rates(),
            cosine=protocol.epochs if protocol.schedule == "cosine" else None,
        )
        self.diverged_at = torch.full_like(self.seeds, -1)
        """Training epoch at which a network stopped being finite; -1 while it is."""
        size, columns = self.cell.state_size(protocol.n), max((n.k for n in networks if n.episodes), default=1)
        self.flossed = FlossedNetworks(
            self.cell,
            self.parameters,
            self.seeds,
            k=per_network("k"),
            target=per_network("target", protocol.dtype),
            runs=[network.flossing_run for network in networks],
            # All columns are drawn, so that no bit of the first ones depends on how many the neighbours need.
            q0=initial_tangent(self.seeds, size, size, protocol.dtype)[:, :, :columns].contiguous(),
            t_ons=protocol.t_ons,
            lr=protocol.flossing_lr,
            penalty=protocol.penalty,
            until=torch.tensor([n.flossing_until or 0.0 for n in networks], dtype=protocol.dtype, device=device),
            sample_inputs=functools.partial(_flossing_inputs, self.task, protocol.dtype),
            diverged_at=self.diverged_at,
        )

    def _rates(self) -> Float[Tensor, "R"]:
        rates = [self.protocol.lr if network.lr is None else network.lr for network in self.networks]
        return torch.tensor(rates, dtype=torch.float64, device=self.seeds.device)

    @property
    def alive(self) -> Bool[Tensor, "R"]:
        """Which networks have not diverged."""
        return self.diverged_at < 0

    @property
    def episodes(self) -> tuple[int, ...]:
        """Training epochs before which any of the networks has a flossing episode."""
        return tuple(sorted({epoch for network in self.networks for epoch in network.episodes}))

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name."""
        adams = {"task_adam": self.task_adam, "flossing_adam": self.flossed.adam}
        return {**named_tensors(self.parameters, self.diverged_at, **adams), **self.flossed.tensors()}


def _flossing_inputs(task: Task, dtype: torch.dtype, seeds: Tensor, life: Tensor, steps: int) -> Tensor:
    """Those of the task, one sequence for each network."""
    return task.sample(seeds, Stream.FLOSSING, life, steps=steps, batch=1, dtype=dtype)[:, :, 0]
