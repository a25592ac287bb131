"""A contender as a function that runs epochs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from floss.analysis.bench import jax_cells, jax_peer, own_step, spectrum, torch_cells, torch_single
from floss.analysis.bench.contenders import TANH, Contender
from floss.lyapunov.traced.native import compiled_at_once
from floss.training import engines
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.schedule import FlossingRun
from floss.training.training import Training

Epochs = Callable[[int], Any]
"""Runs so many epochs; those of the loop `spectrum` are whole spectra."""


def training_of(contender: Contender, device: str, dtype: torch.dtype = torch.float32) -> Training:
    """An ensemble of the reference protocol at the sizes of a contender; the torch engine stands in for a peer's."""
    c = contender
    network = Network(seed=0, d=c.d, episodes=(0,), k=c.k)
    protocol = Protocol(arch=c.arch, n=c.n, batch=c.batch, epochs=10**9, flossing_epochs=10**9, dtype=dtype)
    if c.loop == "train":
        protocol = dataclasses.replace(protocol, steps=c.t)
    else:
        network = dataclasses.replace(network, flossing_steps=c.t)
    networks = [dataclasses.replace(network, seed=seed) for seed in range(c.networks)]
    return Training(Ensemble(networks, protocol, device), engines.ENGINES.get(c.engine, engines.ENGINES["torch"]))


def epochs_of(contender: Contender, device: str) -> Epochs:
    """A function that runs epochs of a contender."""
    c = contender
    if c.loop == "spectrum":
        return _repeated(spectrum.run_of(c.engine, spectrum.networks_of(c.n, c.networks, device), c.k, c.t))
    training, transient = training_of(c, device), FlossingRun.of_length(c.t).transient
    p, q0 = training.ensemble.parameters, training.ensemble.flossed.q0
    if c.engine == "jax":
        if c.loop == "train":
            return _repeated(jax_peer.training_epoch(p, c.t, c.batch, c.d, jax_cells.loss_of(c.arch)))
        return _repeated(jax_peer.flossing_epoch(p, q0, c.t, transient))
    if c.engine in ("torch-single", spectrum.OWN_STEP):
        first = {name: value[0] for name, value in p.items()}
        if c.arch != TANH:
            return _repeated(torch_cells.ModuleTraining(c.arch, first, c.t, c.batch, c.d).epoch)
        if c.loop == "train":
            return _repeated(torch_single.TrainingLoop(first, c.t, c.batch, c.d).epoch)
        flossing = own_step.OwnFlossing if c.engine == spectrum.OWN_STEP else torch_single.FlossingLoop
        epoch = flossing(first, q0[0], c.t, transient, c.batch).epoch
        if c.engine == spectrum.OWN_STEP:
            with compiled_at_once():  # as it is after some seconds of an episode
                epoch()
        return _repeated(epoch)
    if c.loop == "train":
        return training.train_epochs
    episode = training.episode()
    return lambda count: training.floss_epochs(episode, count)


def _repeated(epoch: Callable[[], Any]) -> Epochs:
    def epochs(count: int) -> None:
        for _ in range(count):
            epoch()

    return epochs
