"""Stacked networks in flossing, and one flossing epoch of some of them: what training and analyses share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.networks import Cell, Parameters
from floss.training.adam import Adam
from floss.training.flossing import finite_networks, flossing_gradient
from floss.training.objective import EXPONENTS, FlossingObjective
from floss.training.schedule import FlossingRun

SampleInputs = Callable[[Tensor, Tensor, int], Tensor]
"""Inputs x[1], …, x[T_f] of flossing runs, [m, T_f, S]: of seeds [m], numbers of flossing epochs [m], and T_f."""


@dataclass(frozen=True)
class Selection:
    """Some of the networks, which are flossed along runs of one length."""

    index: Int64[Tensor, "m"]
    """Rows of the ensemble, ascending."""
    seeds: Int64[Tensor, "m"]
    objective: FlossingObjective

    def select(self, rows: Int64[Tensor, "n"]) -> "Selection":
        """Some of these."""
        return Selection(self.index[rows], self.seeds[rows], self.objective.select(rows))


class FlossingMeasurement(NamedTuple):
    """What is measured in a flossing epoch of m networks, before its step."""

    active: Bool[Tensor, "m"]
    """Which of them took the step."""
    loss: Float[Tensor, "m"]
    lambda_1: Float[Tensor, "m"]
    """Largest flossed exponent, nats per step; NaN with a penalty that does not look at exponents."""
    lambda_k: Float[Tensor, "m"]
    """Smallest flossed exponent."""


class FlossedNetworks:
    """Stacked networks, the optimizer of their flossing, and what each is flossed towards."""

    def __init__(
        self,
        cell: Cell,
        parameters: Parameters,
        seeds: Int64[Tensor, "R"],
        *,
        k: Int64[Tensor, "R"],
        target: Float[Tensor, "R"],
        runs: Sequence[FlossingRun],
        q0: Float[Tensor, "R N k"],
        t_ons: int,
        lr: float,
        sample_inputs: SampleInputs,
        penalty: str = EXPONENTS,
        until: Float[Tensor, "R"] | None = None,
        diverged_at: Int64[Tensor, "R"] | None = None,
    ) -> None:
        """Nothing is flossed yet.

        Args:
            cell: the architecture.
            parameters: of the networks, stacked; flossing changes them in place.
            seeds: of the networks, which their inputs follow from.
            k: number of exponents, or singular values, that each network flosses.
            target: wanted value of each network's exponents, nats per step.
            runs: the flossing run of each network.
            q0: initial tangent vectors; at least as many columns as the largest k.
            t_ons: orthonormalisation interval in steps.
            lr: learning rate of Adam.
            sample_inputs: the inputs of flossing runs.
            penalty: what is penalised, a name of the table PENALTIES.
            until: the loss below which a network's episode ends, 0 where none is low enough; None: 0 for all.
            diverged_at: where networks that stop being finite are marked; None: new, with all of them finite.
        """
        self.cell, self.parameters, self.seeds = cell, parameters, seeds
        self.k, self.target, self.q0, self.t_ons, self.lr = k, target, q0, t_ons, lr
        self.runs = {
            run: torch.tensor([each == run for each in runs], device=seeds.device) for run in sorted(set(runs))
        }
        """Which networks have a run, by ascending length."""
        self.sample_inputs, self.penalty = sample_inputs, penalty
        self.until = torch.zeros_like(target) if until is None else until
        self.stops = bool((self.until > 0).any())
        """Whether an episode may end before its last epoch."""
        self.resting = torch.zeros_like(seeds, dtype=torch.bool)
        """Which networks have reached their `until` in the episode that is going on, or was the last."""
        self.adam = Adam({name: parameters[name] for name in cell.flossed}, lr)
        self.diverged_at = torch.full_like(seeds, -1) if diverged_at is None else diverged_at
        """Training epoch at which a network stopped being finite; -1 while it is."""

    @property
    def alive(self) -> Bool[Tensor, "R"]:
        """Which networks have not diverged."""
        return self.diverged_at < 0

    @property
    def epochs_spent(self) -> Int64[Tensor, "R"]:
        """Flossing epochs that each network has behind it, each with a step of the optimizer."""
        return self.adam.steps

    @property
    def one_at_a_time(self) -> bool:
        """Whether no engine runs several epochs in one call: each may be the last, or is long."""
        return self.stops or self.penalty != EXPONENTS

    def tensors(self) -> dict[str, Tensor]:
        """What an episode changes beside parameters and optimizer, by name: nothing where none may end early."""
        return {"resting": self.resting} if self.stops else {}

    def select(self, index: Int64[Tensor, "m"], run: FlossingRun) -> Selection:
        """The networks `index`, all of which have this run, to be flossed together."""
        k = self.k[index]
        q0 = self.q0[index, :, : int(k.max())]
        objective = FlossingObjective(q0, k, self.target[index], run, self.t_ons, self.penalty)
        return Selection(index, self.seeds[index], objective)

    def floss(self, selection: Selection, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        """`count` flossing epochs of some networks, in place, one after the other; the measurement of the last one.

        Args:
            selection: the networks; none of them has diverged.
            life: number of the first of these epochs in each network's life, which its inputs follow from.
            count: how many epochs, at least one.
            epoch: the training epoch that the episode comes before: where a network diverged.
        """
        for since in range(count):
            measured = self.floss_epoch(selection, life + since, epoch=epoch)
        return measured  # pyright: ignore[reportPossiblyUnboundVariable]

    def floss_epoch(
        self,
        selection: Selection,
        life: Int64[Tensor, "m"],
        *,
        epoch: int | Int64[Tensor, ""],
        orthonormaliser: Orthonormaliser = orthonormalise,
    ) -> FlossingMeasurement:
        """One flossing epoch of some networks: their gradient, and the step of Adam, in place.

        Networks that have diverged stay as they are, bit for bit. So do those whose loss or gradient is not finite,
        which are marked, and those at which the orthonormaliser fails, which are not. Nothing here looks at a number on
        the way, so that an epoch can be captured in a CUDA graph.
        """
        index, objective = selection.index, selection.objective
        x = self.sample_inputs(selection.seeds, life, objective.run.length)
        alive = self.alive[index]
        rows = slice(None) if len(index) == len(self.seeds) else index
        parameters = {name: value[rows] for name, value in self.parameters.items()}
        loss, exponents, gradient = flossing_gradient(self.cell, parameters, x, objective, orthonormaliser)
        active, failed = alive & finite_networks(loss, gradient), orthonormaliser.failed
        if failed is not None:
            active &= ~failed
        self.adam.step(self.parameters, gradient, active, index)
        lost = alive & ~active
        if failed is not None:
            lost &= ~failed
        self.diverged_at.index_copy_(0, index, torch.where(lost, epoch, self.diverged_at[index]))
        flossed = torch.arange(exponents.shape[-1], device=index.device) < objective.k[:, None]
        ordered = torch.where(flossed, exponents, -torch.inf).sort(-1, descending=True).values
        smallest = ordered.gather(1, objective.k[:, None] - 1)
        return FlossingMeasurement(active, loss, ordered[:, 0], smallest[:, 0])
