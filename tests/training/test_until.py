"""Episodes that end for a network when its flossing loss is low enough."""

import functools
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from grids import grid
from problems import DOUBLE
from ticks import flossing_ticks, training_ticks

from floss.training import engines
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

PROTOCOL = Protocol(
    n=10, epochs=6, steps=14, batch=3, evaluation_batches=2, flossing_epochs=12, flossing_lr=3e-3, dtype=DOUBLE
)
NETWORKS = (
    Network(seed=3, d=2, g=0.5, episodes=(0, 4), k=3, flossing_steps=30, flossing_until=1.35),
    Network(seed=11, d=6, g=0.5, episodes=(0, 4), k=4, flossing_steps=40, flossing_until=1.2),
    Network(seed=5, d=4, g=0.5, episodes=(0, 4), k=3, flossing_steps=30),
    Network(seed=8, d=4, g=0.5, episodes=(4,), k=3, flossing_steps=30, flossing_until=1e-9),
)
LEAST = ["torch", "graph", *(["native"] if engines.compiler() else [])]


def made(networks: tuple[Network, ...] = NETWORKS, engine: str = "torch", **how: Any) -> Training:
    return Training(Ensemble(networks, PROTOCOL), engines.ENGINES[engine], **how)


def tensors(training: Training) -> dict[str, torch.Tensor]:
    return {name: value for name, value in training.state().items() if isinstance(value, torch.Tensor)}


@functools.cache
def by_hand(network: Network) -> tuple[list[int], dict[str, torch.Tensor]]:
    """Epochs that each episode takes of one network, and its parameters after the training.

    Epoch by epoch, with an ensemble that knows no criterion.
    """
    training = made((replace(network, flossing_until=None),))
    spent, flossed = [], training.ensemble.flossed
    for epoch in range(PROTOCOL.epochs):
        if epoch in network.episodes:
            number, count = network.episodes.index(epoch), 0
            selection = flossed.select(torch.tensor([0]), network.flossing_run)
            while count < PROTOCOL.flossing_epochs:
                life = torch.tensor([number * PROTOCOL.flossing_epochs + count])
                loss = float(flossed.floss(selection, life, 1, epoch).loss)
                count += 1
                if loss < (network.flossing_until or 0.0):
                    break
            spent.append(count)
        training.engine.train(epoch, 1)
    return spent, dict(training.ensemble.parameters)


@pytest.mark.parametrize("engine", LEAST)
def test_each_network_stops_where_it_would_alone(engine):
    training = made(engine=engine)
    ticks = list(training.run())
    everything = [by_hand(network) for network in NETWORKS]
    spent = training.ensemble.flossed.epochs_spent.tolist()
    assert spent == [sum(epochs) for epochs, _ in everything]
    assert 2 < everything[0][0][0] < PROTOCOL.flossing_epochs  # or the test tells nothing
    assert everything[0][0][0] != everything[1][0][0]
    assert spent[2:] == [24, 12]
    for r, (_, parameters) in enumerate(everything):
        for name, value in parameters.items():
            ours = training.ensemble.parameters[name][r]
            torch.testing.assert_close(ours, value[0], rtol=1e-7, atol=1e-9, msg=f"{name} of network {r}")
    last: dict[tuple[int, int], tuple[float, bool]] = {}
    for tick in flossing_ticks(ticks):
        for network, life, loss, ended in zip(
            *(c.tolist() for c in (tick.networks, tick.life, tick.loss, tick.ended)), strict=True
        ):
            place = (network, life // PROTOCOL.flossing_epochs)
            assert place not in last or not last[place][1], "nothing comes after the end"
            last[place] = loss, ended
    assert all(ended for _, ended in last.values())
    assert last.keys() == {(r, i) for r, network in enumerate(NETWORKS) for i in range(len(network.episodes))}
    assert len(training_ticks(ticks)) == PROTOCOL.epochs


def test_stacked_equals_looped_and_those_without_a_criterion_know_nothing_of_it():
    together = tensors(made_and_run())
    for r, network in enumerate(NETWORKS):
        alone = tensors(made_and_run((network,)))
        assert ("resting" in alone) == (network.flossing_until is not None)
        for name, value in alone.items():
            torch.testing.assert_close(together[name][r], value[0], rtol=1e-8, atol=1e-10, msg=name)


@functools.cache
def made_and_run(networks: tuple[Network, ...] = NETWORKS, engine: str = "torch") -> Training:
    """A training to its end, to look at only."""
    training = made(networks, engine)
    list(training.run())
    return training


TICKS = (2, 3, 4, 9, 14, 18, 25)
OTHERS = [(ticks, engine) for ticks in (3, 9, 18) for engine in LEAST[1:]]


QUICK = [(ticks, "torch") for ticks in (2, 4, 14, 25)] + OTHERS


@pytest.mark.parametrize(("ticks", "engine"), grid(QUICK, TICKS, LEAST))
def test_goes_on_where_it_stopped(ticks, engine):
    """In another process: all that is left of the first is its state."""
    whole, first = made_and_run(engine=engine), made(engine=engine)
    list(islice(first.run(), ticks))
    second = made(engine=engine)
    second.load(first.state())
    list(second.run())
    for name, value in tensors(whole).items():
        assert torch.equal(tensors(second)[name], value), name


def test_an_episode_that_all_networks_have_left_is_over():
    training = made(NETWORKS[:2])
    ticks = list(training.run())
    longest = max(by_hand(network)[0][0] for network in NETWORKS[:2])
    first = [tick.within for tick in flossing_ticks(ticks)].index(0, 1)
    assert first == longest < PROTOCOL.flossing_epochs


def test_a_network_that_diverges_while_others_rest():
    training, healthy = made(), made_and_run()
    ticks = training.run()
    while not bool(training.ensemble.flossed.resting.any()):
        next(ticks)
    training.ensemble.parameters["W"][2] = torch.nan
    list(ticks)
    assert training.ensemble.diverged_at.tolist() == [-1, -1, 0, -1]
    for name, value in tensors(healthy).items():
        if name != "diverged_at":
            assert torch.equal(tensors(training)[name][[0, 1, 3]], value[[0, 1, 3]]), name
