"""The task of a linear teacher: its target is a convolution, and its loss half the mean square."""

import math

import pytest
import torch

from floss.random import Stream
from floss.tasks import TASKS
from floss.tasks.teacher import TASK, Teacher

DOUBLE = torch.float64
TEACHERS = (Teacher("authors", 0.9), Teacher("seeded", 0.5, 1.0), Teacher("seeded", 0.8))
SEEDS = torch.tensor([4, 0, 9])
STEPS, BATCH = 12, 3


def inputs() -> torch.Tensor:
    return TASK.sample(SEEDS, Stream.TRAINING, 2, steps=STEPS, batch=BATCH, dtype=DOUBLE)


def test_the_target_is_the_convolution():
    task, x = TASK.of(TEACHERS, SEEDS, STEPS), inputs()
    got = task.combine(x, torch.zeros(3, dtype=torch.int64))
    assert task.kernels is not None
    for t in range(STEPS):
        expected = sum(task.kernels[:, tau, None] * x[:, t - tau, :, 0] for tau in range(t + 1))
        torch.testing.assert_close(got[:, t], expected, rtol=1e-12, atol=1e-12)


def test_the_loss_is_half_the_mean_square():
    task, x, d = TASK.of(TEACHERS, SEEDS, STEPS), inputs(), torch.zeros(3, dtype=torch.int64)
    y = torch.randn(3, STEPS, BATCH, dtype=DOUBLE)
    loss, accuracy = task.loss(y, x, d)
    assert accuracy is None
    torch.testing.assert_close(loss, 0.5 * ((y - task.combine(x, d)) ** 2).mean((1, 2)), rtol=1e-12, atol=0)


def test_inputs_are_white():
    x = TASK.sample(torch.arange(20), Stream.TRAINING, 0, steps=200, batch=10, dtype=DOUBLE)[..., 0]
    assert float(x.mean()) == pytest.approx(0.0, abs=4 / math.sqrt(x.numel()))
    assert float(x.var()) == pytest.approx(1.0, abs=6 / math.sqrt(x.numel()))
    assert abs(float((x[:, 1:] * x[:, :-1]).mean())) < 4 / math.sqrt(x.numel())


def test_seeded_teachers_have_the_spectrum_that_is_asked_for():
    """The response of ten exponentials with |λ| from ν₀ to ν₀ + 0.9 (1 - ν₀) decays accordingly."""
    nus = (0.3, 0.95)
    kernels = [TASK.of([Teacher("seeded", nu)] * 50, torch.arange(50), 200).kernels for nu in nus]
    short, long = (float(k[:, 100:].norm() / k[:, :50].norm()) for k in kernels if k is not None)
    assert short < 1e-2 < long


def test_without_a_teacher_there_is_no_target():
    with pytest.raises(ValueError, match="no target without a teacher"):
        TASKS["teacher"].combine(inputs(), torch.zeros(3, dtype=torch.int64))
