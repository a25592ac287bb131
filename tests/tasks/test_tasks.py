"""Tasks: targets, loss and accuracy against loops over single numbers."""

import math

import pytest
import torch
from problems import gaussian

from floss.random import Stream
from floss.tasks import TASKS

DELAYED = [name for name, task in TASKS.items() if task.has_delay]

DELAYS = {"xor": [2, 8, 4], "xor_continuous": [6, 2, 10], "copy": [0, 5, 1], "spatial_xor": [3, 0, 7]}
"""One per network of the ensemble."""
STEPS, BATCH = 12, 4


def target(name: str, x: list[list[float]], t: int, d: int) -> float:
    """Section 4 of paper.md; x[s] are the inputs of step s."""
    if name == "copy":
        return x[t - d][0]
    if name == "xor_continuous":
        return abs(x[t - d // 2][0] - x[t - d][0])
    if name == "xor":
        return int(x[t - d // 2][0]) ^ int(x[t - d][0])
    first, second, third = (int(bit) for bit in x[t - d])
    return first ^ second ^ third


def slow_loss(name: str, y: torch.Tensor, x: torch.Tensor, d: int) -> tuple[float, float]:
    """Loss and accuracy of one network: y [T, B], x [T, B, S]."""
    losses, right = [], []
    for slot in range(y.shape[1]):
        series = x[:, slot].tolist()
        for t in range(d, y.shape[0]):
            wanted, output = target(name, series, t, d), float(y[t, slot])
            probability = 1.0 / (1.0 + math.exp(-output))
            if TASKS[name].binary:
                losses.append(-math.log(probability if wanted else 1.0 - probability))
            else:
                losses.append((output - wanted) ** 2)
            right.append((probability >= 0.5) == bool(wanted))
    return sum(losses) / len(losses), sum(right) / len(right)


def sample(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, outputs of a network that knows nothing, and the delays."""
    x = TASKS[name].sample(torch.arange(3), Stream.TRAINING, 5, steps=STEPS, batch=BATCH, dtype=torch.float64)
    return x, gaussian(1, 3, STEPS, BATCH), torch.tensor(DELAYS[name])


@pytest.mark.parametrize("name", DELAYED)
def test_target(name):
    x, _, d = sample(name)
    combined = TASKS[name].combine(x, d)
    for r, delay in enumerate(DELAYS[name]):
        for slot in range(BATCH):
            series = x[r, :, slot].tolist()
            for t in range(delay, STEPS):
                assert float(combined[r, t, slot]) == target(name, series, t, delay)


@pytest.mark.parametrize("name", DELAYED)
def test_loss_and_accuracy(name):
    x, y, d = sample(name)
    loss, accuracy = TASKS[name].loss(y, x, d)
    for r, delay in enumerate(DELAYS[name]):
        slow, right = slow_loss(name, y[r], x[r], delay)
        assert float(loss[r]) == pytest.approx(slow, rel=1e-12)
        if TASKS[name].binary:
            assert accuracy is not None
            assert float(accuracy[r]) == pytest.approx(right, rel=1e-12)
        else:
            assert accuracy is None


@pytest.mark.parametrize("name", DELAYED)
def test_perfect_output(name):
    x, _, d = sample(name)
    wanted = TASKS[name].combine(x, d)
    loss, accuracy = TASKS[name].loss(200.0 * (wanted - 0.5) if TASKS[name].binary else wanted, x, d)
    assert float(loss.max()) < 1e-40  # log(1 + exp(-100))
    assert accuracy is None or accuracy.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", DELAYED)
def test_steps_before_the_delay_do_not_count(name):
    x, y, d = sample(name)
    elsewhere, inside = y.clone(), y.clone()
    for r, delay in enumerate(DELAYS[name]):
        elsewhere[r, :delay] = 1e6
        inside[r, delay] += 1.0
    (loss, accuracy), (same_loss, same_accuracy) = (TASKS[name].loss(v, x, d) for v in (y, elsewhere))
    assert torch.equal(loss, same_loss)
    if accuracy is not None and same_accuracy is not None:
        assert torch.equal(accuracy, same_accuracy)
    changed, _ = TASKS[name].loss(inside, x, d)
    assert bool((changed != loss).all()), "step t = d is the first that counts"


@pytest.mark.parametrize("name", DELAYED)
def test_ensemble_equals_single_networks(name):
    x, y, d = sample(name)
    together, accuracy = TASKS[name].loss(y, x, d)
    for r in range(3):
        own = slice(r, r + 1)
        alone, alone_accuracy = TASKS[name].loss(y[own], x[own], d[own])
        assert torch.equal(alone, together[own])
        if accuracy is not None and alone_accuracy is not None:
            assert torch.equal(alone_accuracy, accuracy[own])


@pytest.mark.parametrize("name", DELAYED)
def test_inputs(name):
    """Of the right kind, the same for the same epoch, and others for another."""
    task, seeds = TASKS[name], torch.arange(3)
    x, again, later = (task.sample(seeds, Stream.TRAINING, e, steps=50, batch=4) for e in (0, 0, 1))
    assert x.shape == (3, 50, 4, task.inputs)
    assert torch.equal(x, again)
    assert not torch.equal(x, later)
    if task.binary:
        assert x.unique().tolist() == [0.0, 1.0]
    else:
        assert 0.0 <= float(x.min()) < float(x.max()) < 1.0
    deviation = 0.5 if task.binary else 12.0**-0.5
    assert abs(float(x.mean()) - 0.5) < 5.0 * deviation / x.numel() ** 0.5


def test_copy_without_delay_is_the_input():
    x = TASKS["copy"].sample(torch.arange(2), Stream.TRAINING, 0, steps=6, batch=3)
    assert torch.equal(TASKS["copy"].combine(x, torch.tensor([0, 0])), x[..., 0])


@pytest.mark.parametrize("name", DELAYED)
def test_held_inputs_stay_for_so_many_steps(name):
    task, seeds = TASKS[name], torch.tensor([7, 3])
    drawn = task.sample(seeds, Stream.TRAINING, 2, steps=11, batch=3)
    held = task.held(4).sample(seeds, Stream.TRAINING, 2, steps=11, batch=3)
    assert torch.equal(held, drawn[:, [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8]])
    assert task.held(1) is task
