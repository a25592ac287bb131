"""Training ensembles of networks on a task, with flossing episodes: the reference protocol, without files or screen.

R networks run in one program. What must agree is in `Protocol`, what may differ in `Network`. A network whose numbers
stop being finite is frozen where it was, and the others go on as if it were not there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.adam import Adam, clip_gradient
from floss.bptt import Workspace
from floss.cells import CELLS, Cell, Parameters
from floss.diagnostics import EXPONENTS, diagnose
from floss.flossing import finite_networks, flossing_step
from floss.lyapunov import initial_tangent
from floss.random import Stream
from floss.schedule import transient_steps
from floss.tasks import TASKS, Task


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
    flossing_steps: int = 55
    """T_f, length of one flossing run."""
    flossing_transient: int | None = None
    """Steps of a flossing run that are not counted; None: 10 + ⌈T_f / 10⌉."""

    @property
    def flossing_run(self) -> tuple[int, int]:
        """Length of one flossing run, and how many of its steps are not counted."""
        steps, transient = self.flossing_steps, self.flossing_transient
        return steps, transient_steps(steps) if transient is None else transient


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
    clip: float = 0.03
    evaluation_batches: int = 16
    flossing_epochs: int = 500
    flossing_lr: float = 1e-3
    t_ons: int = 1
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Tick:
    """One finished epoch of some of the networks; what was measured is on the device, before the update."""

    phase: str
    """`train` or `floss`."""
    within: int
    """Training epoch, or epoch within the flossing episode."""
    networks: Int64[Tensor, "m"]
    """Which networks took part; those that have diverged are not among them."""
    epoch: Int64[Tensor, "m"]
    """Training epoch, or number of the flossing epoch in each network's life."""
    loss: Float[Tensor, "m"]
    accuracy: Float[Tensor, "m"] | None = None
    lambda_1: Float[Tensor, "m"] | None = None
    diagnostics: dict[str, Float[Tensor, "m"]] | None = None
    """Further columns, at the epochs at which they are measured."""


def task_gradient(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    *,
    workspace: Workspace | None = None,
) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
    """Task loss, accuracy and gradient of one epoch for each network; losses are summed over networks, never averaged.

    Args:
        cell: the architecture.
        task: the task.
        parameters: of the networks, stacked.
        x: inputs.
        d: delay of each network.
        workspace: buffers to reuse.

    Returns:
        Loss, accuracy (None where the task has none), and the gradient of every parameter.
    """
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    loss, accuracy = task.loss(cell.unroll(leaves, x, workspace=workspace), x, d)
    gradient = torch.autograd.grad(loss.sum(), list(leaves.values()))
    return loss.detach(), accuracy, dict(zip(leaves, gradient, strict=True))


class Training:
    """An ensemble in training: parameters, two Adam states, and how far it has come."""

    def __init__(
        self,
        networks: Sequence[Network],
        protocol: Protocol,
        device: torch.device | str = "cpu",
        *,
        diagnostics: Sequence[str] = (),
        every: int = 1,
    ) -> None:
        """Draw the networks; nothing is trained yet.

        `diagnostics` (names from `floss.diagnostics`) are measured at every `every`-th training epoch and the last one.
        """
        self.diagnostics, self.every = tuple(diagnostics), every
        self.networks, self.protocol = tuple(networks), protocol
        self.cell, self.task = CELLS[protocol.arch], TASKS[protocol.task]

        def per_network(name: str, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.tensor([getattr(network, name) for network in networks], dtype=dtype, device=device)

        self.seeds, self.d, self.k = per_network("seed"), per_network("d"), per_network("k")
        self.target = per_network("target", protocol.dtype)
        self.runs = per_network("flossing_run")
        """Length of each network's flossing runs, and how many of their steps are not counted, [R, 2]."""
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
        )
        size = self.cell.state_size(protocol.n)
        self.q0 = initial_tangent(
            self.seeds,
            size,
            max((n.k for n in networks if n.episodes), default=1),
            protocol.dtype,
        )
        self._watched = initial_tangent(self.seeds, size, min(EXPONENTS, size), protocol.dtype)
        """Initial tangent vectors of the diagnostic `lyapunov`."""
        self.task_adam = Adam(self.parameters, protocol.lr)
        self.flossing_adam = Adam({name: self.parameters[name] for name in self.cell.flossed}, protocol.flossing_lr)
        self.diverged_at = torch.full_like(self.seeds, -1)
        """Training epoch at which a network stopped being finite; -1 while it is."""
        self.epoch = 0
        """The next training epoch."""
        self.flossing_epoch = 0
        """The next flossing epoch of the episode before training epoch `epoch`."""
        self._workspace = Workspace()

    @property
    def alive(self) -> Bool[Tensor, "R"]:
        """Which networks have not diverged."""
        return self.diverged_at < 0

    @property
    def episodes(self) -> tuple[int, ...]:
        """Training epochs before which any of the networks has a flossing episode."""
        return tuple(sorted({epoch for network in self.networks for epoch in network.episodes}))

    def run(self) -> Iterator[Tick]:
        """Train to the end, one tick for each epoch of training or flossing; may be left and taken up at any tick.

        Ends early where every network has diverged.
        """
        while self.epoch < self.protocol.epochs and bool(self.alive.any()):
            due = (self.starts == self.epoch).any(-1)
            while self.flossing_epoch < self.protocol.flossing_epochs and bool((due & self.alive).any()):
                yield self.floss_epoch(due & self.alive)
            yield self.train_epoch()

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Mean loss and accuracy of the present parameters on fresh evaluation data; NaN for a diverged network."""
        p = self.protocol
        losses, accuracies = [], []
        with torch.no_grad():
            for batch in range(p.evaluation_batches):
                x = self.task.sample(self.seeds, Stream.EVALUATION, batch, steps=p.steps, batch=p.batch, dtype=p.dtype)
                loss, accuracy = self.task.loss(
                    self.cell.unroll(self.parameters, x, workspace=self._workspace), x, self.d
                )
                losses.append(loss)
                accuracies.append(accuracy)
        loss = torch.where(self.alive, torch.stack(losses).mean(0), torch.nan)
        if not self.task.binary:
            return loss, None
        return loss, torch.where(self.alive, torch.stack(accuracies).mean(0), torch.nan)

    def state(self) -> dict[str, Tensor | int]:
        """Everything that going on needs, as named tensors and numbers."""
        tensors = {
            **{f"parameters.{name}": p for name, p in self.parameters.items()},
            **{f"task_adam.{name}": p for name, p in self.task_adam.state().items()},
            **{f"flossing_adam.{name}": p for name, p in self.flossing_adam.state().items()},
            "diverged_at": self.diverged_at,
        }
        cpu = {name: p.detach().cpu().clone() for name, p in tensors.items()}
        return {**cpu, "epoch": self.epoch, "flossing_epoch": self.flossing_epoch}

    def load(self, state: dict[str, Tensor | int]) -> None:
        """Take over what `state` returned; the networks and the protocol must be the same."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix) and isinstance(v, Tensor)
            }

        for name, value in part("parameters.").items():
            self.parameters[name].copy_(value)
        self.task_adam.load(part("task_adam."))
        self.flossing_adam.load(part("flossing_adam."))
        self.diverged_at.copy_(part("diverged_at")[""])
        self.epoch, self.flossing_epoch = int(state["epoch"]), int(state["flossing_epoch"])

    def train_epoch(self) -> Tick:
        """One training epoch of all networks."""
        p, epoch = self.protocol, self.epoch
        x = self.task.sample(self.seeds, Stream.TRAINING, epoch, steps=p.steps, batch=p.batch, dtype=p.dtype)
        loss, accuracy, gradient = task_gradient(
            self.cell, self.task, self.parameters, x, self.d, workspace=self._workspace
        )
        everyone = torch.arange(len(self.networks), device=self.seeds.device)
        active = self._freeze(everyone, loss, gradient)
        watched = self._diagnose(gradient, x, everyone[active]) if self._is_watched(epoch) else None
        clipped = {name: clip_gradient(g, p.clip) for name, g in gradient.items()}
        self.task_adam.step(self.parameters, clipped, active, everyone)
        self.epoch, self.flossing_epoch = epoch + 1, 0
        return Tick(
            "train",
            epoch,
            everyone[active],
            torch.full_like(everyone[active], epoch),
            loss[active],
            None if accuracy is None else accuracy[active],
            diagnostics=watched,
        )

    def floss_epoch(self, due: Bool[Tensor, "R"]) -> Tick:
        """One flossing epoch of the networks that are due; those with runs of one length go together."""
        within, p = self.flossing_epoch, self.protocol
        life = (self.starts < self.epoch).sum(-1) * p.flossing_epochs + within
        parts: list[tuple[Tensor, ...]] = []
        for steps, transient in self.runs[due].unique(dim=0).tolist():
            index = (due & (self.runs == self.runs.new_tensor((steps, transient))).all(-1)).nonzero()[:, 0]
            x = self.task.sample(self.seeds[index], Stream.FLOSSING, life[index], steps=steps, batch=1, dtype=p.dtype)
            k = self.k[index]
            active, loss, exponents = flossing_step(
                self.cell,
                self.parameters,
                self.flossing_adam,
                x[:, :, 0],
                self.q0[index, :, : int(k.max())],
                index=index,
                alive=self.alive[index],
                k=k,
                target=self.target[index],
                t_ons=p.t_ons,
                transient=transient,
            )
            self.diverged_at[index[self.alive[index] & ~active]] = self.epoch
            parts.append((index[active], life[index][active], loss[active], exponents[active, 0]))
        self.flossing_epoch = within + 1
        networks, epoch, loss, lambda_1 = (torch.cat(column) for column in zip(*parts, strict=True))
        return Tick("floss", within, networks, epoch, loss, lambda_1=lambda_1)

    def _is_watched(self, epoch: int) -> bool:
        return bool(self.diagnostics) and (epoch % self.every == 0 or epoch == self.protocol.epochs - 1)

    def _diagnose(self, gradient: Parameters, x: Tensor, index: Int64[Tensor, "m"]) -> dict[str, Tensor]:
        """The diagnostics of the networks `index`, whose gradients are finite."""
        if len(index) == 0:
            return {}
        everyone = len(index) == len(self.networks)

        def of(part: Parameters) -> Parameters:
            return part if everyone else {name: value[index] for name, value in part.items()}

        rows = slice(None) if everyone else index
        return diagnose(
            self.diagnostics,
            self.cell,
            self.task,
            of(self.parameters),
            of(gradient),
            x[rows],
            self.d[rows],
            self._watched[rows],
            workspace=self._workspace if everyone else None,
        )

    def _freeze(self, index: Tensor, loss: Tensor, gradient: Parameters) -> Bool[Tensor, "m"]:
        """Mark the networks of `index` whose loss or gradient is not finite; True for those that go on."""
        finite, alive = finite_networks(loss, gradient), self.alive[index]
        self.diverged_at[index[alive & ~finite]] = self.epoch
        return alive & finite
