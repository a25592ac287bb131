"""floss.condition_number of a map along its trajectory: that of its Jacobians, of which none is kept."""

import math
import weakref

import pytest
import torch
from lyapunov.products import SAME
from problems import DOUBLE, gaussian
from torch import nn

import floss

N, S, T = 5, 2, 40
W = 1.2 * gaussian(1, N, N) / N**0.5


def step(h, x):
    return torch.tanh(h @ W.mT) + x


@pytest.mark.parametrize(
    "settings",
    [{}, {"dims": [1, 3]}, {"horizons": [1, 10, T]}, {"q0": gaussian(2, N, 3), "horizons": 7}, {"bits": 256}],
    ids=["whole", "dims", "horizons", "q0", "bits"],
)
def test_that_of_the_jacobians(settings):
    h0, inputs = gaussian(3, 2, 3, N), gaussian(4, T, 2, 3, N)
    wanted = floss.condition_number(floss.one_step_jacobians(step, h0, inputs), **settings)
    torch.testing.assert_close(floss.condition_number(step, h0, inputs, **settings), wanted, rtol=1e-12, atol=SAME)


def test_a_module_without_and_with_inputs():
    module = nn.LSTM(S, N, dtype=DOUBLE)
    own, n = floss.step_from_module(module)
    h0 = gaussian(5, n)
    wanted = floss.condition_number(floss.one_step_jacobians(own, h0, gaussian(6, T, S)))
    torch.testing.assert_close(floss.condition_number(own, h0, gaussian(6, T, S)), wanted, rtol=1e-12, atol=SAME)
    assert float(floss.condition_number(lambda h: 0.5 * h, h0, steps=9)) == pytest.approx(0.0, abs=1e-12)
    in_single = floss.condition_number(lambda h, x: h * torch.arange(1.0, 4.0) + x, torch.zeros(3), torch.zeros(50, 3))
    assert float(in_single) == pytest.approx(50 * math.log10(3.0), rel=1e-7)


def test_a_second_walk_of_trajectories_whose_rows_are_badly_ordered():
    """Triangular Jacobians with the slowest direction first, beside ordinary ones."""
    D = torch.triu(gaussian(7, N, N), 1) + torch.diag(10.0 ** torch.linspace(-1, 1, N, dtype=DOUBLE))
    both = torch.stack((W, D))
    wanted = floss.condition_number(both.expand(T, 2, N, N))
    walks = []

    def linear(h):
        walks.append(1)
        return (both @ h[..., None])[..., 0]

    torch.testing.assert_close(
        floss.condition_number(linear, gaussian(8, 2, N), steps=T), wanted, rtol=1e-12, atol=SAME
    )
    assert len(walks) > 2 * T


class Watched:
    """A map whose Jacobians are counted as long as they are alive."""

    def __init__(self):
        self.jacobians: list[weakref.ref[torch.Tensor]] = []
        self.most = 0

    def __call__(self, h):
        return torch.tanh(h @ W.mT)

    def advance(self, h, q):
        after = self(h)
        pushed = (1 - after**2)[..., None] * (W @ q)
        self.jacobians.append(weakref.ref(pushed))
        self.most = max(self.most, sum(each() is not None for each in self.jacobians))
        return after, pushed


def test_no_jacobian_is_kept():
    watched = Watched()
    floss.condition_number(watched, gaussian(9, N), steps=200)
    assert len(watched.jacobians) >= 200
    assert watched.most <= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((step, gaussian(1, N)), "condition_number: an autonomous map needs steps="),
        ((step,), "condition_number: h0=None must be a tensor or a NumPy array"),
        ((step, gaussian(1, 3), gaussian(1, T, N)), "condition_number: the map cannot take h [3] and x [5]"),
        (
            (step, gaussian(1, N), torch.full((T, N), torch.nan)),
            "condition_number: the Jacobian of step 1 is not finite",
        ),
        ((torch.eye(3).expand(4, 3, 3), torch.zeros(3)), "condition_number: h0=torch.float32 [3] is for a map"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.condition_number(*arguments)
    assert str(caught.value).startswith(message)
