"""Training ensembles: stacked equals looped, divergence, going on where one stopped, schedules, and learning."""

import functools
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from problems import DOUBLE, GATED_CELLS
from ticks import flossing_ticks, life, measurements, place

from floss.networks import CELLS
from floss.random import Stream
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.ticks import Tick
from floss.training.training import Training

SMALL = Protocol(task="xor", n=10, epochs=7, steps=14, batch=3, evaluation_batches=2, flossing_epochs=3, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=10, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=1.2, episodes=(0, 2, 4), k=6, target=0.1, flossing_steps=20),
)
TASKS_AND_CELLS = [("xor", "vanilla"), ("copy", "linear"), ("spatial_xor", "relu")]
STACKED: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}
"""Float64 sums in another order, passed through up to 16 Adam steps, which divide by small second moments."""


def finished(training: Training) -> list[Tick]:
    return list(training.run())


@functools.cache
def whole_run(protocol: Protocol) -> tuple[Training, list[Tick]]:
    """A training of NETWORKS from its beginning to its end, to look at only."""
    training = Training(Ensemble(NETWORKS, protocol))
    return training, finished(training)


def tensors(training: Training) -> dict[str, torch.Tensor]:
    """What is tensors of its state."""
    return {name: value for name, value in training.state().items() if isinstance(value, torch.Tensor)}


def judged(training: Training) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and accuracy on evaluation data."""
    loss, accuracy = training.evaluate()
    assert accuracy is not None
    return loss, accuracy


def assert_same_state(ours: Training, other: Training, row=slice(None), other_row=slice(None), *, exact: bool) -> None:
    """Parameters, both optimizers and what has diverged, of some networks."""
    a, b = tensors(ours), tensors(other)
    assert a.keys() == b.keys()
    assert (ours.epoch, ours.flossing_epoch) == (other.epoch, other.flossing_epoch)
    for name, value in a.items():
        wanted = b[name]
        if exact:
            assert torch.equal(value[row], wanted[other_row]), name
        else:
            torch.testing.assert_close(value[row], wanted[other_row], **STACKED)


# --- stacked equals looped ---------------------------------------------------------------------------------------


def of_network(ticks: list[Tick], network: int) -> list[tuple]:
    """What was measured of one network: phase, epochs, loss, accuracy, λ₁."""
    rows = []
    for tick in ticks:
        for i in (tick.networks == network).nonzero().flatten().tolist():
            measured = {name: float(column[i]) for name, column in measurements(tick).items()}
            rows.append((*place(tick), int(life(tick)[i]), *map(measured.get, ("loss", "accuracy", "lambda_1"))))
    return rows


@pytest.mark.parametrize(("task", "arch"), TASKS_AND_CELLS)
def test_stacked_equals_looped(task, arch):
    """Networks with different seeds, delays, gains, k, targets, schedules and lengths of the flossing run."""
    together = Training(Ensemble(NETWORKS, replace(SMALL, task=task, arch=arch)))
    ticks = finished(together)
    for r, network in enumerate(NETWORKS):
        alone = Training(Ensemble([network], replace(SMALL, task=task, arch=arch)))
        rows, own = of_network(ticks, r), of_network(finished(alone), 0)
        assert [row[:3] for row in rows] == [row[:3] for row in own]
        for row, wanted in zip(rows, own, strict=True):
            loss, accuracy, lambda_1 = row[3:]
            assert loss == pytest.approx(wanted[3], rel=1e-8, abs=1e-10)
            assert accuracy == wanted[4]
            if row[0] == "floss":
                assert lambda_1 == pytest.approx(wanted[5], rel=1e-8, abs=1e-10)
        assert_same_state(together, alone, slice(r, r + 1), exact=False)
        moved = tensors(together)["flossing_adam.steps"][r]
        assert int(moved) == len(network.episodes) * SMALL.flossing_epochs
        assert int(tensors(together)["task_adam.steps"][r]) == SMALL.epochs


def test_evaluation_stacked_equals_looped():
    loss, accuracy = judged(Training(Ensemble(NETWORKS, SMALL)))
    for r, network in enumerate(NETWORKS):
        own_loss, own_accuracy = judged(Training(Ensemble([network], SMALL)))
        torch.testing.assert_close(loss[r], own_loss[0], **STACKED)
        assert torch.equal(accuracy[r], own_accuracy[0])


# --- networks that diverge ---------------------------------------------------------------------------------------


def spoil(training: Training, arch: str, network: int) -> None:
    """Weights that are no numbers, or make a relu network overflow within 14 steps."""
    training.ensemble.parameters["W"][network] = 1e30 if arch == "relu" else torch.nan


@pytest.mark.parametrize("arch", ["vanilla", "relu"])
@pytest.mark.parametrize("after", [0, 2, 10, 11])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_others_go_on_bit_for_bit(arch, after, dtype):
    """One network's weights are spoilt after some ticks; the others end as beside a healthy one.

    Ticks 10 to 12 are an episode of all three networks.
    """
    p = replace(SMALL, arch=arch, dtype=dtype)
    (healthy, reference), spoilt = whole_run(p), Training(Ensemble(NETWORKS, p))
    list(islice(spoilt.run(), after))
    spoil(spoilt, arch, 1)
    frozen, due = tensors(spoilt), spoilt.epoch
    ticks = finished(spoilt)
    assert spoilt.ensemble.diverged_at.tolist() == [-1, due, -1]
    assert healthy.ensemble.diverged_at.tolist() == [-1, -1, -1]
    for name, value in tensors(spoilt).items():
        if name != "diverged_at":
            wanted = tensors(healthy)[name]
            assert torch.equal(value[[0, 2]], wanted[[0, 2]]), f"{name} of a healthy network"
            assert torch.equal(value[1].nan_to_num(), frozen[name][1].nan_to_num()), f"{name} of the frozen network"
    assert not any(1 in tick.networks.tolist() for tick in ticks)
    for r in (0, 2):
        assert [row[:5] for row in of_network(reference, r)][-len(of_network(ticks, r)) :] == [
            row[:5] for row in of_network(ticks, r)
        ]
    (loss, accuracy), (wanted_loss, wanted_accuracy) = judged(spoilt), judged(healthy)
    for ours, wanted in ((loss, wanted_loss), (accuracy, wanted_accuracy)):
        assert bool(ours[1].isnan())
        assert torch.equal(ours[[0, 2]], wanted[[0, 2]])


def test_finite_loss_with_a_gradient_that_overflows():
    """From rest, a network is quiet whatever its weights; its gradient with respect to h0 is a product of them."""
    training = Training(Ensemble([replace(network, episodes=()) for network in NETWORKS], SMALL))
    training.ensemble.parameters["W"][1] = 1e160
    for name in ("V", "b", "h0"):
        training.ensemble.parameters[name][1] = 0.0
    before = tensors(training)
    tick = training.train_epochs(1)
    assert training.ensemble.diverged_at.tolist() == [-1, 0, -1]
    assert tick.networks.tolist() == [0, 2]
    for name, value in training.ensemble.parameters.items():
        assert torch.equal(value[1], before[f"parameters.{name}"][1]), name


def test_ends_early_where_nothing_is_left():
    training = Training(Ensemble(NETWORKS, SMALL))
    list(islice(training.run(), 12))
    for network in range(3):
        spoil(training, "vanilla", network)
    at = training.epoch
    last = finished(training)
    assert [len(tick.networks) for tick in last] == [0] * len(last)
    assert training.epoch <= at + 1
    assert training.ensemble.diverged_at.tolist() == [at] * 3
    assert bool(training.evaluate()[0].isnan().all())


# --- stopping and going on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", [1, 4, 5, 9, 12])
def test_goes_on_where_it_stopped(ticks):
    """Also in the middle of an episode."""
    whole, reference = whole_run(SMALL)
    first, second = (Training(Ensemble(NETWORKS, SMALL)) for _ in range(2))
    early = list(islice(first.run(), ticks))
    state = first.state()
    spoil(first, "vanilla", 0)  # the state is a copy
    second.load(state)
    rest = finished(second)
    assert len(early) + len(rest) == len(reference)
    for tick, wanted in zip([*early, *rest], reference, strict=True):
        assert place(tick) == place(wanted)
        for ours, theirs in ((tick.networks, wanted.networks), (life(tick), life(wanted)), (tick.loss, wanted.loss)):
            assert torch.equal(ours, theirs)
    assert_same_state(second, whole, exact=True)


def test_same_iterator_or_a_new_one():
    parts = Training(Ensemble(NETWORKS, SMALL))
    while list(islice(parts.run(), 2)):
        pass
    assert_same_state(parts, whole_run(SMALL)[0], exact=True)


# --- schedules ---------------------------------------------------------------------------------------------------


def test_episodes_happen_when_they_are_due():
    expected = []
    for epoch in range(SMALL.epochs):
        due = [r for r, network in enumerate(NETWORKS) if epoch in network.episodes]
        for within in range(SMALL.flossing_epochs if due else 0):
            numbers = {r: NETWORKS[r].episodes.index(epoch) * SMALL.flossing_epochs + within for r in due}
            expected.append(("floss", within, numbers))
        expected.append(("train", epoch, dict.fromkeys(range(3), epoch)))
    ticks = [(*place(t), dict(zip(t.networks.tolist(), life(t).tolist(), strict=True))) for t in whole_run(SMALL)[1]]
    assert ticks == expected
    assert Ensemble(NETWORKS, SMALL).episodes == (0, 2, 4)


@pytest.mark.parametrize("arch", ["vanilla", *GATED_CELLS, "lru"])
def test_flossing_changes_what_it_may_of_due_networks_only(arch):
    networks = [replace(network, g=min(network.g, 1.0)) for network in NETWORKS]
    training = Training(Ensemble(networks, replace(SMALL, arch=arch)))
    before = tensors(training)
    list(islice(training.run(), SMALL.flossing_epochs))  # the episode before epoch 0: networks 0 and 2
    for name, value in training.ensemble.parameters.items():
        for r in range(3):
            moves = r != 1 and name in CELLS[arch].flossed
            assert torch.equal(value[r], before[f"parameters.{name}"][r]) is not moves, f"{name} of network {r}"


# --- data --------------------------------------------------------------------------------------------------------


def test_evaluation_is_on_fresh_data_and_changes_nothing():
    training, _ = whole_run(SMALL)
    before = tensors(training)
    loss, accuracy = judged(training)
    for name, value in tensors(training).items():
        assert torch.equal(value, before[name])
    measured = []
    for batch in range(SMALL.evaluation_batches):
        x = training.ensemble.task.sample(
            training.ensemble.seeds, Stream.EVALUATION, batch, steps=14, batch=3, dtype=DOUBLE
        )
        measured.append(
            training.ensemble.task.loss(
                training.ensemble.cell.unroll(training.ensemble.parameters, x), x, training.ensemble.d
            )
        )
    for ours, batches in zip((loss, accuracy), zip(*measured, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(batches).mean(0), **STACKED)


def test_every_epoch_and_purpose_has_its_own_data():
    training = Training(Ensemble(NETWORKS, SMALL))
    drawn = [
        training.ensemble.task.sample(training.ensemble.seeds, stream, epoch, steps=14, batch=3)[0]
        for stream in (Stream.TRAINING, Stream.FLOSSING, Stream.EVALUATION)
        for epoch in range(5)
    ]
    for i, x in enumerate(drawn):
        assert not any(torch.equal(x, other) for other in drawn[:i])


# --- does it work ------------------------------------------------------------------------------------------------


def test_flossing_reaches_its_target():
    """Fig 1B: λ₁ of networks with N = 32 and g in (0, 1) goes to each target in less than 100 flossing epochs."""
    cases = [(0.2, -1.0), (0.9, -1.0), (0.5, -0.5), (1.0, -0.5), (0.3, 0.0), (0.8, 0.0)]
    networks = [Network(s, d=4, g=g, episodes=(0,), k=1, target=t) for s, (g, t) in enumerate(cases)]
    training = Training(
        Ensemble(networks, Protocol(task="copy", n=32, epochs=1, steps=10, batch=1, flossing_epochs=100))
    )
    lam = torch.stack([tick.lambda_1 for tick in flossing_ticks(list(islice(training.run(), 100)))])
    assert len(lam) == 100
    distance = (lam - training.ensemble.flossed.target).abs()
    assert bool((distance[0] > 0.15).all()), "they start elsewhere"
    # The input is fresh in every epoch, which alone scatters λ₁ by some 0.05.
    assert bool((distance[-10:].mean(0) < 0.1).all())
    assert bool((distance[-10:].mean(0) < distance[0] / 2.0).all())


def test_learns_binary_xor():
    """Chance is an accuracy of 0.5 and a loss of log 2 = 0.69."""
    networks = [Network(seed=s, d=4, k=1) for s in range(3)]
    training = Training(Ensemble(networks, Protocol(n=32, epochs=200, steps=60, batch=16)))
    first, *_, last = finished(training)
    assert bool((first.loss > 0.69).all())
    assert bool((last.loss < 0.1).all())
    loss, accuracy = judged(training)
    assert bool((loss < 0.1).all())
    assert bool((accuracy > 0.97).all())


def test_learns_to_copy():
    """The best constant output has a mean squared error of 1/12."""
    networks = [Network(seed=s, d=4, k=1) for s in range(2)]
    training = Training(Ensemble(networks, Protocol(task="copy", n=32, epochs=300, steps=60, batch=16)))
    first, *_, last = finished(training)
    assert "accuracy" not in measurements(first)
    assert bool((first.loss > 1.0 / 12.0).all())
    assert bool((last.loss < 0.03).all())
    loss, accuracy = training.evaluate()
    assert accuracy is None
    assert bool((loss < 0.03).all())
