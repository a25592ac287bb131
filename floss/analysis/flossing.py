"""The flossing of an analysis: copies of its networks, one for each k and target, in one episode."""

import itertools
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from floss.analysis.networks import Drive, StackedNetworks
from floss.jobs.analysis import EpisodeConfig
from floss.lyapunov.chain import initial_tangent
from floss.random import Stream
from floss.training.episode import Episode
from floss.training.flossed_networks import FlossedNetworks
from floss.training.state import State, named_tensors, restore, saved
from floss.training.ticks import FlossingTick


class FlossingEpisode:
    """An episode of flossing of copies of some networks, one for each k and target, in one ensemble."""

    def __init__(self, networks: StackedNetworks, config: EpisodeConfig) -> None:
        """Copy the networks; nothing is flossed yet."""
        self.networks = _variants(networks, config)
        parameters, seeds, h0 = self.networks.parameters, self.networks.seeds, self.networks.parameters["h0"]
        self.flossed = FlossedNetworks(
            networks.cell,
            parameters,
            seeds,
            k=torch.tensor(self.networks.k, device=h0.device),
            target=torch.tensor(self.networks.target, dtype=h0.dtype, device=h0.device),
            runs=[config.run] * len(seeds),
            q0=initial_tangent(seeds, h0.shape[-1], max(config.k), h0.dtype),
            t_ons=config.t_ons,
            lr=config.lr,
            sample_inputs=partial(_inputs, self.networks.drive),
        )
        self._episode = Episode(self.flossed, self.flossed.floss, config.epochs)

    @property
    def epoch(self) -> int:
        """The next flossing epoch."""
        return self._episode.epoch

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        return self._episode.over

    def advance(self) -> FlossingTick:
        """One flossing epoch of the networks that have not diverged."""
        with torch.enable_grad():
            return self._episode.advance()

    def state(self) -> State:
        """Everything needed to resume, as named tensors and numbers."""
        return saved(self._tensors(), epoch=self.epoch)

    def load(self, state: State) -> None:
        """Take over what `state` returned."""
        restore(self._tensors(), state)
        self._episode.epoch = int(state["epoch"])

    def _tensors(self) -> dict[str, Tensor]:
        return named_tensors(self.flossed.parameters, self.flossed.diverged_at, adam=self.flossed.adam)


def _variants(networks: StackedNetworks, config: EpisodeConfig) -> StackedNetworks:
    """Copies of the networks, one after the other for each k and target."""
    variants = list(itertools.product(config.k, config.target))
    copies, R = len(variants), len(networks)
    k, target = zip(*variants, strict=True)
    parameters = networks.parameters
    return replace(
        networks,
        parameters={name: p.repeat(copies, *(1,) * (p.ndim - 1)).contiguous() for name, p in parameters.items()},
        seeds=networks.seeds.repeat(copies),
        gains=networks.gains * copies,
        k=tuple(value for value in k for _ in range(R)),
        target=tuple(value for value in target for _ in range(R)),
    )


def _inputs(drive: Drive, seeds: Tensor, life: Tensor, steps: int) -> Tensor:
    return drive(seeds, Stream.FLOSSING, life, steps)
