"""A flossing episode: so many flossing epochs of some networks, one after the other.

A network whose loss falls below its `until` rests for what is left of the episode; the others go on.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from floss.training.flossed_networks import FlossedNetworks, FlossingMeasurement, Selection
from floss.training.ticks import FlossingTick

FlossEpochs = Callable[[Selection, Tensor, int, int], FlossingMeasurement]
"""Runs flossing epochs in place: `FlossedNetworks.floss`, or the same of an engine."""


class Episode:
    """One flossing episode, and how far it has come; over early where all of its networks rest or have diverged."""

    def __init__(
        self,
        networks: FlossedNetworks,
        floss: FlossEpochs,
        epochs: int,
        *,
        due: Bool[Tensor, "R"] | None = None,
        first: Int64[Tensor, "R"] | None = None,
        before: int = 0,
        epoch: int = 0,
    ) -> None:
        """An episode of `epochs` flossing epochs.

        Args:
            networks: flossed in place.
            floss: runs the epochs.
            epochs: flossing epochs in the episode, at most.
            due: the networks that have this episode; None: all.
            first: number of its first epoch in each network's life; None: 0.
            before: the training epoch that it comes before.
            epoch: the next epoch within the episode; where it is 0, no network rests yet.
        """
        self._networks, self._floss, self.epochs, self._before = networks, floss, epochs, before
        self._due = torch.ones_like(networks.alive) if due is None else due
        self._first = torch.zeros_like(networks.seeds) if first is None else first
        self.epoch = epoch
        """The next epoch within the episode."""
        if epoch == 0:
            networks.resting.zero_()

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.epoch >= self.epochs or not bool(self._running().any())

    def advance(self, count: int = 1) -> FlossingTick:
        """The next epochs of the networks that are due; those with runs of one length go together.

        Whether a loss is low enough is looked at after them: the step that comes with that loss is the last.
        """
        running, life = self._running(), self._first + self.epoch
        last = life + count - 1
        parts: list[tuple[Tensor, ...]] = []
        for run, members in self._networks.runs.items():
            index = (running & members).nonzero()[:, 0]
            if len(index):
                selection = self._networks.select(index, run)
                active, *measured = self._floss(selection, life[index], count, self._before)
                parts.append(tuple(column[active] for column in (index, last[index], *measured)))
        self.epoch += count
        index, last, loss, *exponents = map(torch.cat, zip(*parts, strict=True))
        reached = loss < self._networks.until[index]
        self._networks.resting[index] = reached
        return FlossingTick(
            self.epoch - 1, index, last, loss, *exponents, ended=reached | (self.epoch >= self.epochs), epochs=count
        )

    def _running(self) -> Bool[Tensor, "R"]:
        return self._due & self._networks.alive & ~self._networks.resting
