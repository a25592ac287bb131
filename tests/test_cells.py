"""Rate networks: how they are drawn, their one-step map, and its Jacobian."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian

from floss import random
from floss.cells import CELLS
from floss.random import Stream

SIGMAS = 5.0
"""Tolerance of moments in standard errors."""
SIZE: dict[str, Any] = {"n": 40, "inputs": 3, "batch": 4}


def draw(arch="vanilla", R=50, g=1.0, dtype=DOUBLE, **options):
    return CELLS[arch].initial_parameters(
        torch.arange(R), torch.full((R,), g, dtype=dtype), dtype=dtype, **{**SIZE, **options}
    )


@pytest.mark.parametrize(
    ("name", "mean", "deviation", "kurtosis", "options"),
    [
        ("W", 0.0, 1.5 / 40**0.5, 3.0, {"g": 1.5}),
        ("W", -0.1, 0.7 / 40**0.5, 3.0, {"g": 0.7, "mean": -0.1}),
        ("V", 0.0, 1.0, 3.0, {}),
        ("U", 0.0, 1.0, 3.0, {}),
        ("b", 0.05, 0.1 / 12**0.5, 1.8, {}),
    ],
    ids=["W", "W with a mean", "V", "U", "b"],
)
def test_distributions(name, mean, deviation, kurtosis, options):
    sample = (draw(**options)[name].flatten() - mean) / deviation
    error = SIGMAS / sample.numel() ** 0.5
    assert abs(float(sample.mean())) < error
    assert abs(float(sample.square().mean()) - 1.0) < error * (kurtosis - 1.0) ** 0.5
    fourth = float(sample.square().square().mean())
    # The fourth power of a Gaussian has the variance 105 - 9, which is more than that of a uniform number.
    assert abs(fourth - kurtosis) < error * 96.0**0.5


def test_uniform_bias_and_constant_readout_offset():
    parameters = draw()
    assert float(parameters["b"].min()) >= 0.0
    assert float(parameters["b"].max()) < 0.1
    assert torch.equal(parameters["c"], torch.full((50,), 1e-3, dtype=DOUBLE))


def test_shapes():
    shapes = {name: tuple(p.shape) for name, p in draw(R=2).items()}
    assert shapes == {"W": (2, 40, 40), "V": (2, 40, 3), "b": (2, 40), "U": (2, 40), "c": (2,), "h0": (2, 4, 40)}


def test_gain_of_each_network():
    seeds, gains = torch.tensor([7, 7]), torch.tensor([0.5, 2.0], dtype=DOUBLE)
    W = CELLS["vanilla"].initial_parameters(seeds, gains, dtype=DOUBLE, **SIZE)["W"]
    torch.testing.assert_close(4.0 * W[0], W[1], rtol=1e-14, atol=0)


def test_orthogonal_weights():
    W = draw(init="orthogonal", g=1.3, R=60)["W"]
    identity = torch.eye(40, dtype=DOUBLE).expand_as(W)
    torch.testing.assert_close(W.mT @ W, 1.3**2 * identity, rtol=0, atol=1e-13)
    # Haar measure: the trace has mean 0 and variance 1 (Diaconis & Shahshahani 1994); without the signs of diag(R)
    # its mean would be far below zero, since LAPACK's R has a negative diagonal.
    trace = W.diagonal(dim1=-2, dim2=-1).sum(-1) / 1.3
    assert abs(float(trace.mean())) < SIGMAS / 60**0.5
    assert float(trace.var()) == pytest.approx(1.0, abs=SIGMAS * (2.0 / 60) ** 0.5)


@pytest.mark.parametrize("init", ["gaussian", "orthogonal"])
def test_single_precision_is_the_rounded_double_one(init):
    single, double = draw(R=3, init=init, dtype=torch.float32), draw(R=3, init=init)
    for name, p in double.items():
        assert torch.equal(single[name], p.float()), name


@pytest.mark.parametrize("arch", CELLS)
def test_initial_state_is_relaxed_for_100_steps_without_input(arch):
    phi = {"vanilla": torch.tanh, "relu": torch.relu, "linear": lambda h: h}[arch]
    p = draw(arch, R=2, g=0.9)
    start = random.normal(torch.arange(2), Stream.INITIAL_STATE, 4 * 40, dtype=DOUBLE).reshape(2, 4, 40)
    for r in range(2):
        for slot in range(4):
            h = start[r, slot]
            for _ in range(100):
                h = p["W"][r] @ phi(h) + p["b"][r]
            torch.testing.assert_close(p["h0"][r, slot], h, rtol=1e-9, atol=1e-11)


def test_unknown_init():
    with pytest.raises(ValueError, match="init='xavier': allowed are gaussian, orthogonal"):
        draw(R=1, init="xavier")


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("arch", CELLS)
def test_step_and_tangent(arch, shape):
    """Against single networks, and the Jacobian against reverse-mode differentiation."""
    parameters = draw(arch, R=2, n=5, inputs=2, batch=1)
    step = CELLS[arch].step(parameters)
    h, x, q = gaussian(1, *shape, 5), gaussian(2, *shape, 2), gaussian(3, *shape, 5, 3)
    after, quiet, pushed = step(h, x), step(h), step.tangent(h, q)
    assert after.shape == h.shape
    assert pushed.shape == q.shape
    for r in range(2):
        W, V, b = (parameters[name][r] for name in ("W", "V", "b"))
        for at in torch.zeros(shape[1:]).add(1).nonzero().tolist():
            place = (r, *at)
            single = CELLS[arch].step({"W": W, "V": V, "b": b})
            rate = {"vanilla": torch.tanh, "relu": torch.relu, "linear": torch.clone}[arch](h[place])
            torch.testing.assert_close(after[place], W @ rate + V @ x[place] / 2 + b, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(quiet[place], W @ rate + b, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(single(h[place], x[place]), after[place], rtol=1e-12, atol=1e-13)
            jacobian = torch.func.jacrev(single)(h[place])
            torch.testing.assert_close(pushed[place], jacobian @ q[place], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("arch", CELLS)
def test_derivatives_of_the_transfer_function(arch):
    """slope = φ', curvature = φ''/φ', pull_ = δ φ', each as a function of the rate."""
    activation = CELLS[arch].activation
    h = gaussian(4, 50).requires_grad_()
    (first,) = torch.autograd.grad(activation.rate(h).sum(), h, create_graph=True)
    r = activation.rate(h.detach())
    torch.testing.assert_close(activation.slope(r), first.detach(), rtol=1e-12, atol=1e-13)
    second = torch.zeros_like(r)
    if first.requires_grad:
        second = torch.autograd.grad(first.sum(), h, allow_unused=True, materialize_grads=True)[0]
    torch.testing.assert_close(activation.curvature(r) * first.detach(), second, rtol=1e-12, atol=1e-13)
    delta = gaussian(5, 50)
    torch.testing.assert_close(activation.pull_(delta.clone(), r), delta * first.detach(), rtol=1e-12, atol=1e-13)
    out = torch.empty(50, dtype=DOUBLE)
    assert activation.rate(h.detach(), out=out) is out
    assert torch.equal(out, r)
