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


# --- maps that write into their arguments, draw random numbers, or do not depend on the state -----------------------


def lorenz(h):
    x, y, z = h.unbind(-1)
    return torch.stack((10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), -1)


def euler(h):
    return h + 0.01 * lorenz(h)


def euler_in_place(h):
    h += 0.01 * lorenz(h)
    return h


@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=str)
def test_a_map_may_write_into_its_state(shape):
    start = gaussian(4, *shape)
    h0 = start.clone()
    wanted = floss.one_step_jacobians(euler, start, steps=4)
    assert torch.equal(floss.one_step_jacobians(euler_in_place, h0, steps=4), wanted)
    assert torch.equal(
        floss.lyapunov_spectrum(euler_in_place, h0, steps=9), floss.lyapunov_spectrum(euler, start, steps=9)
    )
    assert torch.equal(h0, start)


@pytest.mark.parametrize("kept", [True, False], ids=["a buffer", "its input"])
def test_a_map_may_not_write_into_anything_else(kept):
    inputs, buffer = X.clone(), torch.zeros(3, dtype=DOUBLE)

    def writing(h, x):
        (buffer if kept else x).add_(h if kept else 1.0)
        return torch.tanh(h @ W.mT + x)

    with pytest.raises(ValueError, match=r"^lyapunov_spectrum: the map has no forward-mode derivative: it writes into"):
        floss.lyapunov_spectrum(writing, H0, inputs)
    assert torch.equal(inputs, X)


def test_a_vector_field_may_write_into_its_state():
    def in_place(h):
        h.mul_(-2.0)
        return h

    h0 = H0.clone()
    wanted = floss.stroboscopic_map(lambda h: -2.0 * h, 0.1)
    for product in (None, lambda h, q: -2.0 * q):
        step = floss.stroboscopic_map(in_place, 0.1, jacobian_product=product)
        assert torch.equal(step(h0), wanted(H0))
        assert torch.equal(floss.one_step_jacobians(step, h0, steps=3), floss.one_step_jacobians(wanted, H0, steps=3))
    assert torch.equal(h0, H0)


class WritingAdvance(Plain):
    def __init__(self, which):
        self.which = which

    def advance(self, *arguments):
        arguments[self.which].mul_(2.0)
        return arguments[0], arguments[1]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_method_advance_must_not(which):
    h0, inputs = H0.clone(), X.clone()
    message = (
        r"^lyapunov_spectrum: the map cannot take .*: advance\(h, q, \*x\) of the map writes into h, q or x; it must"
    )
    with pytest.raises(ValueError, match=message):
        floss.lyapunov_spectrum(WritingAdvance(which), h0, inputs)
    assert torch.equal(h0, H0)
    assert torch.equal(inputs, X)


def test_a_method_advance_must_not_return_the_same_memory_each_time():
    buffers = {k: torch.zeros(3, k, dtype=DOUBLE) for k in (1, 3)}

    class Reusing(Plain):
        def advance(self, h, q, x):
            return self(h, x), torch.mul(q, h[:, None], out=buffers[q.shape[-1]])

    with pytest.raises(ValueError, match=r"^one_step_jacobians: .* returns the same memory at every call$"):
        floss.one_step_jacobians(Reusing(), H0, X)


@pytest.mark.parametrize(
    "step",
    [
        lambda h, x: torch.tanh(x @ W.mT),
        lambda h, x: (h > 0).to(h) + x,
        lambda h, x: h.round() + x,
        lambda h, x: torch.ones_like(h),
    ],
    ids=["feed-forward", "threshold", "rounding", "constant"],
)
def test_no_dependence_on_the_state_is_a_jacobian_of_zeros(step):
    for shape in ((3,), (2, 3)):
        h0, inputs = gaussian(5, *shape), gaussian(6, 7, *shape)
        D = floss.one_step_jacobians(step, h0, inputs)
        assert torch.equal(D, torch.zeros(7, *shape, 3, dtype=DOUBLE))
        with pytest.raises(ValueError, match=r"^lyapunov_spectrum: .*rank"):
            floss.lyapunov_spectrum(step, h0, inputs, k=1)


def test_a_flow_at_constant_speed_has_exponents_of_zero():
    omega = torch.tensor([1.0, 2.0**0.5], dtype=DOUBLE)
    rotation = floss.stroboscopic_map(lambda h: omega.expand_as(h), 0.1)
    lam = floss.lyapunov_spectrum(rotation, torch.zeros(2, dtype=DOUBLE), steps=10)
    torch.testing.assert_close(lam, torch.zeros(2, dtype=DOUBLE), rtol=0, atol=1e-14)


def test_random_numbers_are_drawn_once_for_the_state_and_all_tangents():
    """Exponents of noise and of dropout are those of the same numbers, given as inputs; trying the map draws none."""
    noise, keep = [], []
    torch.manual_seed(7)
    for _ in X:
        noise.append(torch.randn(3, dtype=DOUBLE))
        keep.append(nn.functional.dropout(torch.ones(3, dtype=DOUBLE), 0.3))
    drawn = torch.stack((torch.stack(noise), torch.stack(keep)), 1)

    def noisy(h, x):
        additive = torch.randn_like(h)
        return nn.functional.dropout(torch.tanh(h @ W.mT), 0.3) + x + 0.1 * h + additive

    def given(h, x):
        return torch.tanh(h @ W.mT) * x[1] + x[2] + 0.1 * h + x[0]

    wanted = floss.one_step_jacobians(given, H0, torch.cat((drawn, X[:, None]), 1))
    torch.manual_seed(7)
    torch.testing.assert_close(floss.one_step_jacobians(noisy, H0, X), wanted, rtol=1e-13, atol=1e-13)


def test_a_method_advance_of_another_kind_is_not_ours():
    class Clock(nn.Module):
        def advance(self, seconds):
            return seconds

        def forward(self, h, x):
            return torch.tanh(h @ W.mT + x)

    assert not isinstance(Clock(), TangentStep)
    assert torch.equal(floss.lyapunov_spectrum(Clock(), H0, X), floss.lyapunov_spectrum(Plain(), H0, X))
