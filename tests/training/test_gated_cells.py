"""Training and flossing of LSTM, GRU and LRU: every task, stacked, stopped, diverging."""

from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from problems import DOUBLE, GATED_CELLS
from ticks import flossing_ticks, place

from floss.networks import CELLS
from floss.tasks import TASKS
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.ticks import Tick
from floss.training.training import Training

NEW_CELLS = (*GATED_CELLS, "lru")


SMALL = Protocol(task="xor", n=8, epochs=4, steps=14, batch=3, evaluation_batches=2, flossing_epochs=2, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.6, episodes=(0, 3), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(3,), k=8, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=0.8, episodes=(0, 2, 3), k=6, target=-0.1, flossing_steps=20),
)
STACKED: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}
"""Float64 sums in another order, passed through up to 10 Adam steps, which divide by small second moments."""


def tensors(training: Training) -> dict[str, torch.Tensor]:
    """What is tensors of its state."""
    return {name: value for name, value in training.state().items() if isinstance(value, torch.Tensor)}


def finished(training: Training) -> list[Tick]:
    return list(training.run())


@cache
def whole(arch: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """How the three networks end that are trained together, all healthy, without a break."""
    training = Training(Ensemble(NETWORKS, replace(SMALL, arch=arch, dtype=dtype)))
    finished(training)
    assert training.ensemble.diverged_at.tolist() == [-1, -1, -1]
    return tensors(training)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_trains_on_every_task(arch, task):
    """In both phases, with numbers that are finite, and weights that move: all by training, some by flossing."""
    networks = [replace(network, episodes=(1,)) for network in NETWORKS[:2]]
    training = Training(Ensemble(networks, replace(SMALL, epochs=2, task=task, arch=arch, dtype=torch.float32)))
    before = tensors(training)
    ticks = finished(training)
    assert {place(tick)[0] for tick in ticks} == {"train", "floss"}
    assert all(bool(tick.loss.isfinite().all()) for tick in ticks)
    assert all(bool(tick.lambda_1.isfinite().all()) for tick in flossing_ticks(ticks))
    assert training.ensemble.diverged_at.tolist() == [-1, -1]
    for name, p in training.ensemble.parameters.items():
        assert not torch.equal(p, before[f"parameters.{name}"]), name
    loss, accuracy = training.evaluate()
    assert bool(loss.isfinite().all())
    assert (accuracy is None) == (task in ("copy", "teacher", "xor_continuous"))
    assert training.ensemble.flossed.adam.mean.keys() == set(training.ensemble.cell.flossed)


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_learns_to_copy_after_one_step(arch):
    """The best constant output has a mean squared error of 1/12."""
    networks = [Network(seed=s, d=1, g=0.9, k=1) for s in range(2)]
    # Without flossing; the rate of 0.01 is ten times the reference protocol's.
    training = Training(
        Ensemble(networks, Protocol(task="copy", arch=arch, n=16, epochs=80, steps=20, batch=8, lr=1e-2, clip=1.0))
    )
    losses = torch.stack([tick.loss for tick in finished(training)])
    assert bool((losses[-10:].mean(0) < 0.5 * losses[:5].mean(0)).all())
    assert bool((training.evaluate()[0] < 1.0 / 12.0).all())


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_flossing_lowers_its_loss(arch):
    networks = [Network(seed=s, d=1, g=0.9, episodes=(0,), k=3, flossing_steps=20) for s in range(2)]
    training = Training(
        Ensemble(
            networks,
            Protocol(task="copy", arch=arch, n=8, epochs=1, steps=10, batch=1, flossing_epochs=25, flossing_lr=1e-2),
        )
    )
    ticks = list(islice(training.run(), 25))
    losses = torch.stack([tick.loss for tick in flossing_ticks(ticks)])
    assert len(losses) == 25
    assert bool((losses[-5:].mean(0) < 0.7 * losses[:5].mean(0)).all())


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_stacked_equals_looped(arch):
    """Networks with different seeds, delays, gains, k, targets, schedules and lengths of the flossing run."""
    together = whole(arch, DOUBLE)
    for r, network in enumerate(NETWORKS):
        training = Training(Ensemble([network], replace(SMALL, arch=arch)))
        finished(training)
        for name, value in tensors(training).items():
            torch.testing.assert_close(value[0], together[name][r], **STACKED, msg=lambda m: f"{name}: {m}")  # noqa: B023
        assert int(together["task_adam.steps"][r]) == SMALL.epochs
        assert int(together["flossing_adam.steps"][r]) == len(network.episodes) * SMALL.flossing_epochs


@pytest.mark.parametrize(("dtype", "after"), [(torch.float32, 1), (torch.float64, 7)])
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_others_go_on_bit_for_bit(arch, dtype, after):
    """One network's weights become NaN after some ticks; it is frozen, and the others end as beside a healthy one."""
    healthy, spoilt = whole(arch, dtype), Training(Ensemble(NETWORKS, replace(SMALL, arch=arch, dtype=dtype)))
    list(islice(spoilt.run(), after))
    spoilt.ensemble.parameters[CELLS[arch].flossed[0]][1] = torch.nan
    frozen, due = tensors(spoilt), spoilt.epoch
    ticks = finished(spoilt)
    assert spoilt.ensemble.diverged_at.tolist() == [-1, due, -1]
    assert not any(1 in tick.networks.tolist() for tick in ticks)
    for name, value in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(value[[0, 2]], healthy[name][[0, 2]]), f"{name} of a healthy network"
            assert torch.equal(value[1].nan_to_num(), frozen[name][1].nan_to_num()), f"{name} of the frozen network"


@pytest.mark.parametrize("ticks", [1, 7])
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_goes_on_where_it_stopped(arch, ticks):
    """Bit for bit, also in the middle of an episode."""
    first, second = (Training(Ensemble(NETWORKS, replace(SMALL, arch=arch))) for _ in range(2))
    list(islice(first.run(), ticks))
    state = first.state()
    first.ensemble.parameters["U"] += 1.0  # the state is a copy
    second.load(state)
    finished(second)
    assert (second.epoch, second.flossing_epoch) == (SMALL.epochs, 0)
    for name, value in tensors(second).items():
        assert torch.equal(value, whole(arch, DOUBLE)[name]), name
