"""The native engine trains as torch does: whole epochs, whole trainings; networks do not touch each other."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from native_networks import NETWORKS, SMALL, check_training, distance, tensors, training
from ticks import flossing_ticks, life, place, training_ticks

from floss.tasks import TASKS
from floss.training import engines
from floss.training.engines.native import NativeEngine
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.ticks import Tick
from floss.training.training import Training

pytestmark = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")


def finished(ours: Training) -> list[Any]:
    return list(ours.run())


@pytest.mark.parametrize("task", sorted(name for name, task in TASKS.items() if task.has_delay))
def test_a_training_is_that_of_torch(task):
    """Data, clipping, both optimizers, schedules, episodes, evaluation; float64, so that paths do not part."""
    networks = NETWORKS[:3] if task == "xor_continuous" else NETWORKS
    protocol = replace(SMALL, task=task)
    ours, reference = training(NativeEngine, protocol, networks), training(TorchEngine, protocol, networks)
    check_training(ours, reference)


def test_held_inputs_are_those_of_torch():
    """In training, flossing and evaluation; others than those that change at every step."""
    protocol = replace(SMALL, hold=3)
    ours, reference = training(NativeEngine, protocol), training(TorchEngine, protocol)
    check_training(ours, reference)
    free = training(NativeEngine, SMALL)
    finished(free)
    assert not torch.equal(free.ensemble.parameters["W"], ours.ensemble.parameters["W"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_same_bits_for_any_ensemble_and_number_of_threads(dtype, threads):
    protocol = replace(SMALL, dtype=dtype)
    threads(1)
    together = training(NativeEngine, protocol)
    finished(together)
    loss, accuracy = together.evaluate()
    assert accuracy is not None
    threads(3)
    in_threads = training(NativeEngine, protocol)
    finished(in_threads)
    for name, value in tensors(together).items():
        assert torch.equal(value, tensors(in_threads)[name]), name
    for r, network in enumerate(NETWORKS):
        alone = training(NativeEngine, protocol, (network,))
        fresh = training(
            NativeEngine, protocol
        )  # torch draws, and may round the last bit differently in another ensemble
        alone.ensemble.flossed.q0 = fresh.ensemble.flossed.q0[r : r + 1, :, : network.k].contiguous()
        for name, p in alone.ensemble.parameters.items():
            p.copy_(fresh.ensemble.parameters[name][r : r + 1])
        finished(alone)
        for name, value in tensors(together).items():
            assert torch.equal(value[r], tensors(alone)[name][0]), f"{name} of network {r}"
        own = alone.evaluate()
        assert own[1] is not None
        assert (float(loss[r]), float(accuracy[r])) == (float(own[0]), float(own[1]))


def test_another_seed_gives_other_bits():
    """Or else the equalities would say nothing."""
    ours = training(NativeEngine, SMALL)
    other = training(NativeEngine, SMALL, (replace(NETWORKS[0], seed=4), *NETWORKS[1:]))
    finished(ours)
    finished(other)
    same = [
        torch.equal(a, b) for a, b in zip(ours.ensemble.parameters["W"], other.ensemble.parameters["W"], strict=True)
    ]
    assert same == [False, True, True, True]


def test_epochs_together_are_epochs_one_by_one():
    """Stretches between logged epochs change no bits, and the ticks of logged epochs are the same."""
    protocol = replace(SMALL, epochs=40, flossing_epochs=17)
    one, many = training(NativeEngine, protocol), training(NativeEngine, protocol, every=7)
    single, stretched = finished(one), finished(many)
    assert len(stretched) < len(single) / 2
    assert sum(tick.epochs for tick in stretched) == len(single) == sum(tick.epochs for tick in single)
    for name, value in tensors(one).items():
        assert torch.equal(value, tensors(many)[name]), name

    def key(tick: Tick) -> tuple[Any, ...]:
        return *place(tick), *tick.networks.tolist(), *life(tick).tolist()

    own = {key(tick): tick for tick in single}
    for tick in stretched:
        assert torch.equal(tick.loss, own[key(tick)].loss)
    assert {0, 7, 14, 21, 28, 35, 39} <= {tick.epoch for tick in training_ticks(stretched)}
    flossed = [tick.within for tick in flossing_ticks(stretched)]
    assert [flossed.count(epoch) for epoch in (0, 7, 14, 16)] == [4, 4, 4, 4]  # four episodes


def test_diagnostics_change_no_bits():
    plain = training(NativeEngine, SMALL, every=3)
    watched = training(NativeEngine, SMALL, every=3, diagnostics=("grad_h0", "svd", "lyapunov"))
    finished(plain)
    ticks = training_ticks(finished(watched))
    for name, value in tensors(plain).items():
        assert torch.equal(value, tensors(watched)[name]), name
    assert [tick.epoch for tick in ticks if tick.diagnostics] == [0, 3, 6, 8]
    reference = training(TorchEngine, SMALL, every=3, diagnostics=("grad_h0", "svd", "lyapunov"))
    wanted = [tick for tick in training_ticks(finished(reference)) if tick.diagnostics]
    for ours, theirs in zip([tick for tick in ticks if tick.diagnostics], wanted, strict=True):
        assert ours.diagnostics is not None
        assert theirs.diagnostics is not None
        for column, values in ours.diagnostics.items():
            torch.testing.assert_close(values, theirs.diagnostics[column], rtol=1e-6, atol=1e-9)


# --- networks that diverge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e36])
@pytest.mark.parametrize("after", [0, 2, 12])
def test_others_go_on_bit_for_bit(dtype, value, after):
    healthy, spoilt = (training(NativeEngine, replace(SMALL, dtype=dtype), every=3) for _ in range(2))
    list(islice(spoilt.run(), after))
    spoilt.ensemble.parameters["W"][2] = value
    frozen, due = tensors(spoilt), spoilt.epoch
    finished(spoilt)
    finished(healthy)
    others = [0, 1, 3]
    assert [spoilt.ensemble.diverged_at.tolist()[r] for r in others] == [-1, -1, -1]
    for name, mine in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(mine[others], tensors(healthy)[name][others]), name
    if value != 1e36:  # large, but finite: saturated units may well go on
        assert int(spoilt.ensemble.diverged_at[2]) == due
        for name, mine in tensors(spoilt).items():
            if name != "diverged_at":
                assert torch.equal(mine[2].nan_to_num(), frozen[name][2].nan_to_num()), f"{name} of the frozen network"
    loss, _ = spoilt.evaluate()
    assert torch.equal(loss[others], healthy.evaluate()[0][others])


@pytest.mark.parametrize("engine", [TorchEngine, NativeEngine])
def test_a_network_that_diverges_in_flossing_is_not_trained_on(engine):
    ours = training(engine, SMALL)
    ours.ensemble.flossed.target[2] = torch.nan  # its task loss stays finite
    finished(ours)
    untouched = training(engine, SMALL)
    assert ours.ensemble.diverged_at.tolist() == [-1, -1, 0, -1]
    for name, value in tensors(ours).items():
        if name != "diverged_at":
            assert torch.equal(value[2], tensors(untouched)[name][2]), name


@pytest.mark.parametrize("engine", [TorchEngine, NativeEngine])
def test_finite_loss_with_a_gradient_that_overflows(engine):
    """From rest a network is quiet whatever its weights; its gradient with respect to h0 is a product of them."""
    ours = training(engine, SMALL, tuple(replace(network, episodes=()) for network in NETWORKS))
    ours.ensemble.parameters["W"][1] = 1e160
    for name in ("V", "b", "h0"):
        ours.ensemble.parameters[name][1] = 0.0
    before = tensors(ours)
    tick = ours.train_epochs(5)
    assert ours.ensemble.diverged_at.tolist() == [-1, 0, -1, -1]
    assert tick.networks.tolist() == [0, 2, 3]
    for name, value in tensors(ours).items():
        if name != "diverged_at":
            assert torch.equal(value[1], before[name][1]), name


@pytest.mark.parametrize("scale", [1e12, 1e-30])
def test_gradients_whose_squares_leave_the_range_of_float32(scale):
    """The norm is taken again in other units: clipping still gives a step, as in torch."""
    protocol = replace(SMALL, task="copy", dtype=torch.float32)
    ours, reference = training(NativeEngine, protocol), training(TorchEngine, protocol)
    for each in (ours, reference):
        each.ensemble.parameters["U"] *= scale if scale > 1 else 1.0
        each.ensemble.parameters["c"] *= scale
    ticks = [each.train_epochs(1) for each in (ours, reference)]
    assert [tick.networks.tolist() for tick in ticks] == [[0, 1, 2, 3]] * 2
    for name, value in ours.ensemble.parameters.items():
        torch.testing.assert_close(value, reference.ensemble.parameters[name], rtol=1e-3, atol=1e-6, msg=name)
    # The first step of Adam does not depend on the length of the gradient; its mean does.
    for name, value in ours.ensemble.task_adam.mean.items():
        wanted = reference.ensemble.task_adam.mean[name]
        assert distance(value, wanted.double()) < 1e-3 or float(wanted.norm()) == 0, name


# --- as a whole --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_both_engines_train_alike():
    """Twenty networks on XOR over 20 steps: which learn, and how well, is the same distribution (Mann-Whitney)."""
    accuracies = []
    for engine, first in ((NativeEngine, 0), (TorchEngine, 0)):
        networks = tuple(Network(seed=first + s, d=20, episodes=(0,)) for s in range(20))
        ours = training(engine, Protocol(epochs=600, flossing_epochs=200), networks, every=100)
        finished(ours)
        accuracy = ours.evaluate()[1]
        assert accuracy is not None
        accuracies.append(accuracy.double())
    ours, reference = accuracies
    assert float(ours.median()) > 0.55, "at chance there is nothing to compare"
    larger = (ours[:, None] > reference).double() + 0.5 * (ours[:, None] == reference)
    u, spread = float(larger.sum()), (20 * 20 * 41 / 12) ** 0.5
    assert abs(u - 200) < 2.6 * spread  # one in a hundred
