"""What a map brings with it is asked for by type: its derivative, its sizes, its exponents."""

import math

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn

import floss
from floss.lyapunov.step import ClosedFormStep, SizedStep, TangentStep, advance

W, X, H0 = gaussian(1, 3, 3), gaussian(2, 20, 3), gaussian(3, 3)


class Plain:
    """h' = tanh(W h + x), and nothing else."""

    def __call__(self, h, x):
        return torch.tanh(h @ W.mT + x)


def test_own_method_is_used_and_gets_the_input():
    class Doubling:
        def __call__(self, h, x):
            raise AssertionError("its own advance knows the next state")

        def advance(self, h, q, x):
            return 2.0 * h + x, 2.0 * q

    h, q = advance(Doubling(), torch.ones(3), torch.eye(3), torch.ones(3))
    assert torch.equal(h, torch.full((3,), 3.0))
    assert torch.equal(q, 2.0 * torch.eye(3))
    lam = floss.lyapunov_spectrum(Doubling(), torch.ones(3, dtype=DOUBLE), gaussian(11, 5, 3), k=2)
    torch.testing.assert_close(lam, torch.full((2,), math.log(2.0), dtype=DOUBLE), rtol=0, atol=1e-14)


class Misleading(Plain):
    """Has names of ours for things of its own."""

    state_size, input_size = 17, 4
    exponents = (1, 2, 3)
    name = None

    def __init__(self):
        self.advance = self.module = nn.Linear(3, 3)


def test_names_that_are_ours_by_chance_mean_nothing():
    wanted = floss.lyapunov_spectrum(Plain(), H0, X)
    assert torch.equal(floss.lyapunov_spectrum(Misleading(), H0, X), wanted)
    assert torch.equal(floss.one_step_jacobians(Misleading(), H0, X), floss.one_step_jacobians(Plain(), H0, X))
    assert not isinstance(Misleading(), TangentStep | SizedStep | ClosedFormStep)


def test_a_module_may_have_a_submodule_called_advance():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.advance = nn.Linear(3, 3, dtype=DOUBLE)

        def forward(self, h, x):
            return torch.tanh(self.advance(h) + x)

    cell = Cell()
    assert not isinstance(cell, TangentStep)
    wanted = floss.lyapunov_spectrum(lambda h, x: cell(h, x), H0, X)
    assert torch.equal(floss.lyapunov_spectrum(cell, H0, X), wanted)


def test_a_method_advance_makes_a_tangent_step_and_nothing_more():
    class Doubling:
        state_size = 5

        def __call__(self, h):
            return 2.0 * h

        def advance(self, h, q):
            return 2.0 * h, 2.0 * q

    assert isinstance(Doubling(), TangentStep)
    assert not isinstance(Doubling(), SizedStep | ClosedFormStep)
    lam = floss.lyapunov_spectrum(Doubling(), H0, steps=4)
    torch.testing.assert_close(lam, torch.full((3,), math.log(2.0), dtype=DOUBLE), rtol=0, atol=1e-14)


class Shrinking(Plain):
    """Its spectrum is known at once."""

    def exponents(self, chain):
        return torch.arange(chain.q.shape[-1]).to(chain.h) if chain.t_ons == 1 else None


class Inheriting(Shrinking, ClosedFormStep):
    pass


class Registered(Shrinking):
    pass


ClosedFormStep.register(Registered)


@pytest.mark.parametrize("step", [Inheriting(), Registered()], ids=["inherits", "is registered"])
def test_a_closed_form_is_used_where_the_type_promises_it(step):
    assert floss.lyapunov_spectrum(step, H0, X).tolist() == [2.0, 1.0, 0.0]
    for t_ons, without in ((1, Shrinking()), (2, step)):  # for an interval of 2 it has none
        wanted = floss.lyapunov_spectrum(Plain(), H0, X, t_ons=t_ons)
        assert torch.equal(floss.lyapunov_spectrum(without, H0, X, t_ons=t_ons), wanted)


class Sized(SizedStep):
    @property
    def state_size(self):
        return 3

    @property
    def input_size(self):
        return 3

    def __call__(self, h, x):
        return Plain()(h, x)

    def advance(self, h, q, x):
        return advance(Plain(), h, q, x)


@pytest.mark.parametrize(
    ("h0", "inputs", "message"),
    [
        (H0[:2], X, "h0 has 2 numbers per state, but the state of Sized has 3"),
        (H0, X[:, :2], r"inputs must have shape \[T, ..., 3\] for Sized, got \[20, 2\]"),
        (H0, X[:, 0], r"inputs must have shape \[T, ..., 3\] for Sized, got \[20\]"),
    ],
)
def test_a_step_that_knows_its_sizes_is_asked_for_them(h0, inputs, message):
    with pytest.raises(ValueError, match=f"^lyapunov_spectrum: {message}$"):
        floss.lyapunov_spectrum(Sized(), h0, inputs)
    assert torch.equal(floss.lyapunov_spectrum(Sized(), H0, X), floss.lyapunov_spectrum(Plain(), H0, X))
