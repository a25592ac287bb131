"""floss.step_from_function: structured and complex states as one real vector."""

import math
from typing import NamedTuple

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn

import floss

N, S = 4, 3


def test_the_state_of_an_lstm_as_a_pair():
    """In torch's order of arguments, and the other one: the exponents of `step_from_module`, and their gradient."""
    cell = nn.LSTMCell(S, N, dtype=DOUBLE)
    wanted, n = floss.step_from_module(cell)
    example = (torch.zeros(N, dtype=DOUBLE), torch.zeros(N, dtype=DOUBLE))
    x = gaussian(1, 7, S)
    lam = floss.lyapunov_spectrum(wanted, torch.zeros(n, dtype=DOUBLE), x, k=3)
    (gradient,) = torch.autograd.grad(lam.sum(), cell.weight_hh)
    for f in (cell, lambda h, x: cell(x, h), lambda x, h: cell(x, h), lambda a, b: cell(a, b), lambda a, b: cell(b, a)):
        step, size = floss.step_from_function(f, example)
        assert size == n
        ours = floss.lyapunov_spectrum(step, step.vector(example), x, k=3)
        torch.testing.assert_close(ours, lam, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(torch.autograd.grad(ours.sum(), cell.weight_hh)[0], gradient, rtol=1e-9, atol=1e-11)


def test_trajectories_along_the_leading_axes():
    cell = nn.LSTMCell(S, N, dtype=DOUBLE)
    wanted, n = floss.step_from_module(cell)
    step, _ = floss.step_from_function(cell, (torch.zeros(N, dtype=DOUBLE),) * 2)
    h0, x = gaussian(2, 2, 3, n), gaussian(3, 5, 2, 3, S)
    for inputs in (x, x[:, 0, 0]):  # of each trajectory, and of all
        D = floss.one_step_jacobians(step, h0, inputs)
        torch.testing.assert_close(D, floss.one_step_jacobians(wanted, h0, inputs), rtol=1e-12, atol=1e-13)


def test_as_many_trajectories_as_inputs():
    """An input [S] that serves all is not taken for one number of each."""
    step, n = floss.step_from_function(lambda h, x: 0.5 * h + x, torch.zeros(S))
    assert torch.equal(step(torch.zeros(S, n), torch.arange(3.0)), torch.arange(3.0).expand(S, n))
    words = torch.tensor([0, 2])
    step, n = floss.step_from_function(lambda h, x: 0.5 * h + torch.eye(S)[x], torch.zeros(S))
    assert torch.equal(step(torch.zeros(2, n), words), torch.eye(S)[words])


class Pair(NamedTuple):
    position: torch.Tensor
    velocity: torch.Tensor


def test_structures():
    """Dictionaries, lists, matrices and named tuples, in the order of the example, whatever the keys come back in."""
    example = {"b": [torch.ones(2, 3)], "a": Pair(torch.zeros(2), torch.tensor(5.0))}

    def f(state):
        assert isinstance(state["a"], Pair)
        return {"a": Pair(2.0 * state["a"].position, state["a"].velocity), "b": (0.5 * state["b"][0],)}

    step, n = floss.step_from_function(f, example)
    assert n == 9
    h = torch.arange(9.0)
    assert torch.equal(step.vector(step.state(h)), h)
    assert step.state(h)["b"][0].shape == (2, 3)
    torch.testing.assert_close(step(h), torch.cat((0.5 * h[:6], 2.0 * h[6:8], h[8:])))
    lam = floss.lyapunov_spectrum(step, step.vector(example), steps=40, transient=20)
    wanted = torch.tensor([math.log(2.0)] * 2 + [0.0] + [-math.log(2.0)] * 6)
    torch.testing.assert_close(lam, wanted, rtol=0, atol=1e-5)


def test_complex_states():
    """z' = a z: two real exponents log|a|, whatever the phase."""
    a = torch.tensor([0.5 + 0.3j, 2.0j], dtype=torch.complex128)
    step, n = floss.step_from_function(lambda z: a * z, torch.ones(2, dtype=torch.complex128))
    assert n == 4
    lam = floss.lyapunov_spectrum(step, torch.ones(n, dtype=DOUBLE), steps=60, transient=40)
    wanted = a.abs().log().repeat_interleave(2).sort(descending=True).values
    torch.testing.assert_close(lam, wanted, rtol=0, atol=1e-9)
    floss.check_step(step, gaussian(4, 3, n))


def test_complex_parameters_have_gradients():
    """z' = λ z: ∂(Σ exponents) / ∂λ = 2 λ / |λ|², as torch writes gradients of complex numbers; the core of S5."""
    lam = torch.tensor([0.95 * torch.e ** (1j * 0.4), 0.6j, 0.3], dtype=torch.complex128).requires_grad_()
    step, n = floss.step_from_function(lambda z: lam * z, torch.ones(3, dtype=torch.complex128))
    for steps in (5, 80):  # the latter is worth recording
        exponents = floss.lyapunov_spectrum(step, torch.ones(n, dtype=DOUBLE), steps=steps)
        (found,) = torch.autograd.grad(exponents.sum(), lam)
        torch.testing.assert_close(found, 2.0 * lam.detach() / lam.detach().abs() ** 2, rtol=1e-12, atol=1e-12)


def test_a_function_may_write_into_its_state():
    def f(state):
        state["v"] *= 0.5
        return state

    example = {"v": gaussian(5, N)}
    h0 = step0 = floss.step_from_function(f, example)[0].vector(example).clone()
    step, _ = floss.step_from_function(f, example)
    D = floss.one_step_jacobians(step, h0, steps=2)
    torch.testing.assert_close(D, 0.5 * torch.eye(N, dtype=DOUBLE).expand(2, N, N))
    assert torch.equal(h0, step0)


def test_which_argument_is_the_state():
    for f, first in ((lambda h, x: h - x, 1.0), (lambda x, h: h - x, 1.0), (lambda a, x: a - x, 1.0)):
        step, n = floss.step_from_function(f, torch.zeros(2))
        assert torch.equal(step(torch.ones(2), torch.zeros(2)), torch.full((n,), first))
    for f in (lambda a, b: a - b, lambda x, I: x - I):  # x is a state in many books  # noqa: E741
        step, n = floss.step_from_function(f, torch.zeros(2))
        with pytest.raises(ValueError, match=r"lyapunov_spectrum: .*either order; name its arguments") as caught:
            floss.lyapunov_spectrum(step, torch.ones(n), torch.zeros(3, 2))
        assert "\n" not in str(caught.value)
    step, n = floss.step_from_function(lambda x, current: x - current.sum(), torch.zeros(2))  # which x alone fits
    assert torch.equal(step(torch.ones(2), torch.ones(3)), torch.full((n,), -2.0))


@pytest.mark.parametrize(
    ("f", "example", "message"),
    [
        (3, torch.zeros(2), "f must be a function f(h, x), got a int"),
        (
            abs,
            torch.zeros(2).long(),
            "example_state must be float32, float64, complex64 or complex128, got torch.int64",
        ),
        (
            abs,
            {"a": (torch.zeros(2), 1.0)},
            "example_state['a'][1] must be a tensor, a tuple, a list or a dictionary, ",
        ),
        (abs, None, "example_state must be a tensor, a tuple, a list or a dictionary, got a NoneType"),
        (abs, (), "example_state must be of one precision, got no numbers"),
        (abs, torch.zeros(0), "example_state must be of one precision, got no numbers"),
        (abs, (torch.zeros(1), torch.zeros(1).double()), "example_state must be of one precision, got torch.float32, "),
    ],
    ids=["no function", "integers", "a number", "nothing", "empty", "no numbers", "two precisions"],
)
def test_refuses(f, example, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.step_from_function(f, example)
    assert str(caught.value).startswith(f"step_from_function: {message}")


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda s: s[0], "the next state must be a tuple or list of 2, got a Tensor"),
        (lambda s: (s[0], s[1], s[0]), "the next state must be a tuple or list of 2, got 3"),
        (lambda s: (s[0], s[1][:1]), "the next state[1] must be torch.float32 [2], got torch.float32 [1]"),
        (lambda s: (s[0].double(), s[1]), "the next state[0] must be torch.float32 [2], got torch.float64 [2]"),
        (lambda s: {"a": s}, "the next state must be a tuple or list of 2, got a dict"),
    ],
    ids=["part", "more", "shape", "dtype", "dictionary"],
)
def test_states_of_another_structure(f, message):
    step, n = floss.step_from_function(f, (torch.zeros(2), torch.zeros(2)))
    with pytest.raises(ValueError, match=r".") as caught:
        floss.lyapunov_spectrum(step, torch.ones(n), steps=2)
    assert str(caught.value) == f"lyapunov_spectrum: the map cannot take h [4]: {message}"


# --- the derivative backwards --------------------------------------------------------------------------------------


class Spike(torch.autograd.Function):
    """A step in the older form, with the slope of a surrogate: torch.func does not see through it."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, *gradients):
        (v,) = ctx.saved_tensors
        return gradients[0] / (1 + v.abs()) ** 2


def test_the_derivative_backwards_is_the_one_forwards():
    cell = nn.LSTMCell(S, N, dtype=DOUBLE)
    example = (torch.zeros(N, dtype=DOUBLE), torch.zeros(N, dtype=DOUBLE))
    forward, n = floss.step_from_function(cell, example)
    reverse, _ = floss.step_from_function(cell, example, derivative="reverse")
    h, x = gaussian(1, 2, n), gaussian(2, 7, 2, S)
    lam = [floss.lyapunov_spectrum(step, h, x, k=3) for step in (forward, reverse)]
    torch.testing.assert_close(*lam, rtol=1e-11, atol=1e-12)
    gradients = [torch.autograd.grad(each.sum(), cell.weight_hh)[0] for each in lam]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)
    start = h[0].clone().requires_grad_()
    wanted = floss.lyapunov_spectrum(forward, start, x[:, 0], k=2).sum()
    ours = floss.lyapunov_spectrum(reverse, start, x[:, 0], k=2).sum()
    torch.testing.assert_close(torch.autograd.grad(ours, start), torch.autograd.grad(wanted, start))
    with torch.no_grad():
        assert torch.equal(floss.lyapunov_spectrum(reverse, h, x, k=3), lam[1])
    assert floss.check_step(reverse, h, x[0]) < 1e-6


def test_a_surrogate_gradient():
    W = gaussian(1, N, N).requires_grad_()
    step, n = floss.step_from_function(
        lambda h: Spike.apply(h @ W.mT), torch.zeros(N, dtype=DOUBLE), derivative="reverse"
    )
    h = gaussian(2, 3, n)
    D = floss.one_step_jacobians(step, h, steps=1)[0]
    v = h @ W.mT
    torch.testing.assert_close(D, (1 / (1 + v.abs()) ** 2)[..., None] * W)
    lam = floss.lyapunov_spectrum(step, h, steps=6, k=2)
    assert float(torch.autograd.grad(lam.sum(), W)[0].norm()) > 0
    with pytest.raises(
        ValueError, match=r"has no forward-mode derivative: .*; step_from_function\(f, state, derivative="
    ):
        floss.lyapunov_spectrum(lambda h: Spike.apply(h @ W.mT), h, steps=2)


def test_a_map_that_does_not_depend_on_its_state_backwards():
    step, _ = floss.step_from_function(lambda h: torch.ones(2), torch.zeros(2), derivative="reverse")
    assert (floss.lyapunov_spectrum(step, torch.zeros(2), steps=3, singular="-inf") == -math.inf).all()


def test_another_word_for_the_derivative():
    with pytest.raises(
        ValueError, match=r"^step_from_function: derivative='back' must be one of 'forward', 'reverse'$"
    ):
        floss.step_from_function(lambda h: h, torch.zeros(2), derivative="back")  # pyright: ignore
