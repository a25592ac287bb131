"""Architectures: how rate networks are drawn; and every architecture's one-step map, its Jacobian and its time loop."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, RATE_CELLS, TRAINED_CELLS, activation, gaussian
from twins import relative, step_twin, unroll_twin

from floss import random
from floss.lyapunov.step import advance
from floss.networks import CELLS
from floss.networks.cell import Cell, CellStep
from floss.random import Stream

SIGMAS = 5.0
"""Tolerance of moments in standard errors."""
SIZE: dict[str, Any] = {"n": 40, "inputs": 3, "batch": 4}


def draw(arch="vanilla", R=50, g=0.9, dtype=DOUBLE, **options):
    """A few networks; the gain suits the LRU, which has none above 1."""
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
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_single_precision_is_the_rounded_double_one(arch, init):
    # a gain that both precisions hold
    single, double = draw(arch, R=3, g=0.75, init=init, dtype=torch.float32), draw(arch, R=3, g=0.75, init=init)
    for name, p in double.items():
        assert p.dtype == DOUBLE
        assert single[name].dtype == torch.float32
        assert torch.equal(single[name], p.float()), name


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_numbers_of_a_network_depend_on_its_own_seed_alone(arch):
    together = draw(arch, R=4)
    gains = torch.tensor([0.3, 0.9], dtype=DOUBLE)
    others = CELLS[arch].initial_parameters(torch.tensor([77, 2]), gains, dtype=DOUBLE, **SIZE)
    for name, p in together.items():
        assert torch.equal(p[2], others[name][1]), name
        if name != "c":
            assert not torch.equal(p[2], p[1]), name


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_shapes_that_all_architectures_share(arch):
    cell, parameters = CELLS[arch], draw(arch, R=2)
    assert parameters["U"].shape == (2, 40)
    assert parameters["c"].shape == (2,)
    assert parameters["h0"].shape == (2, 4, cell.state_size(40))
    assert set(cell.flossed) <= parameters.keys() - {"U", "c", "h0"}
    assert all(bool(p.isfinite().all()) for p in parameters.values())
    steps: list[Any] = [cell.step(parameters), cell.step({name: p[0] for name, p in parameters.items()})]
    assert [step.state_size for step in steps] == [cell.state_size(40)] * 2
    assert cell.name == arch


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_initial_state_is_relaxed_without_input(arch):
    """For 100 steps, or as many as are asked for; what it starts from is standard normal."""
    settled, three, raw = draw(arch, R=2), draw(arch, R=2, relaxation=3), draw(arch, R=2, relaxation=0)
    n = CELLS[arch].state_size(40)
    start = random.normal(torch.arange(2), Stream.INITIAL_STATE, 4 * n, dtype=DOUBLE).reshape(2, 4, n)
    assert torch.equal(raw["h0"], start)
    for r in range(2):
        p = {name: value[r] for name, value in settled.items()}
        for slot in range(4):
            h = start[r, slot]
            for steps in range(100):
                if steps == 3:
                    torch.testing.assert_close(three["h0"][r, slot], h, rtol=1e-9, atol=1e-11)
                h = step_twin(arch, p, h, torch.zeros(3, dtype=DOUBLE))
            torch.testing.assert_close(p["h0"][slot], h, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_unknown_init(arch):
    with pytest.raises(ValueError, match="init='xavier': allowed are gaussian, orthogonal"):
        draw(arch, R=1, init="xavier")


# --- the one-step map and the time loop ---------------------------------------------------------------------------

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}
"""A few float64 sums in another order."""


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_step_and_advance(arch, shape):
    """Against the equations, one network and one state at a time, and the Jacobian by reverse-mode differentiation."""
    cell, parameters = CELLS[arch], draw(arch, R=2, n=5, inputs=2, batch=1)
    step, n = cell.step(parameters), cell.state_size(5)
    h, x, q = gaussian(1, *shape, n), gaussian(2, *shape, 2), gaussian(3, *shape, n, 3)
    after, quiet = step(h, x), step(h)
    (same_after, pushed), (same_quiet, quiet_pushed) = advance(step, h, q, x), advance(step, h, q)
    assert after.shape == h.shape
    assert pushed.shape == q.shape
    torch.testing.assert_close(same_after, after, rtol=0, atol=1e-15)
    torch.testing.assert_close(same_quiet, quiet, rtol=0, atol=1e-15)
    zero = torch.zeros(2, dtype=DOUBLE)
    for r in range(2):
        p = {name: value[r] for name, value in parameters.items()}
        single = cell.step(p)
        for at in torch.ones(shape[1:]).nonzero().tolist():
            place = (r, *at)
            for u, wanted, tangent in ((x[place], after, pushed), (zero, quiet, quiet_pushed)):
                torch.testing.assert_close(wanted[place], step_twin(arch, p, h[place], u), **EXACT)
                torch.testing.assert_close(single(h[place], u), wanted[place], **EXACT)
                D = torch.func.jacrev(lambda state: step_twin(arch, p, state, u))(h[place])  # noqa: B023
                torch.testing.assert_close(tangent[place], D @ q[place], **EXACT)
                alone, alone_pushed = advance(single, h[place], q[place], u)
                torch.testing.assert_close(alone, wanted[place], **EXACT)
                torch.testing.assert_close(alone_pushed, tangent[place], **EXACT)
        together, together_pushed = advance(single, h[r], q[r], x[r])  # one network's weights, states [..., n]
        torch.testing.assert_close(together, after[r], **EXACT)
        torch.testing.assert_close(together_pushed, pushed[r], **EXACT)


@pytest.mark.parametrize(
    ("state", "inputs"), [((2,), ()), ((2, 3), ()), ((2, 3), (3,)), ((2, 2), (2,)), ((2, 3), (2, 1))]
)
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_inputs_with_fewer_axes_serve_several_states(arch, state, inputs):
    """As in any sum of tensors: the last axes match, also where there are as many networks as slots."""
    parameters = draw(arch, R=2, n=4, inputs=2, batch=1)
    step, n = CELLS[arch].step(parameters), CELLS[arch].state_size(4)
    h, q, x = gaussian(1, *state, n), gaussian(2, *state, n, 2), gaussian(3, *inputs, 2)
    each = x.expand(*state, 2).clone()
    torch.testing.assert_close(step(h, x), step(h, each), **EXACT)
    for ours, wanted in zip(advance(step, h, q, x), advance(step, h, q, each), strict=True):
        torch.testing.assert_close(ours, wanted, **EXACT)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_unroll_equals_slow_twin(arch):
    """Values, and the gradient of every parameter."""
    parameters = {name: p.requires_grad_() for name, p in draw(arch, R=2, n=4, inputs=2, batch=3).items()}
    x, weight = gaussian(6, 2, 9, 3, 2), gaussian(7, 2, 9, 3)
    ours, slow = CELLS[arch].unroll(parameters, x), unroll_twin(arch, parameters, x)
    assert ours.shape == (2, 9, 3)
    torch.testing.assert_close(ours, slow, **EXACT)
    gradient, wanted = (torch.autograd.grad((y * weight).sum(), list(parameters.values())) for y in (ours, slow))
    for name, a, b in zip(parameters, gradient, wanted, strict=True):
        assert float(b.norm()) > 0.0, name
        assert relative(a, b) < 1e-10, name


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_a_loop_of_its_own_gives_the_states_of_the_plain_one(arch):
    parameters, x = draw(arch, R=2, n=4, inputs=2, batch=3), gaussian(6, 2, 9, 3, 2)
    step = CELLS[arch].step(parameters)
    assert isinstance(step, CellStep)
    torch.testing.assert_close(step.unroll(parameters["h0"], x), CellStep.unroll(step, parameters["h0"], x), **EXACT)
    assert step.unroll(parameters["h0"], x).shape == (2, 9, 3, CELLS[arch].state_size(4))


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_unroll_gradcheck(arch):
    parameters = draw(arch, R=2, n=2, inputs=2, batch=2)
    names, x = list(parameters), gaussian(8, 2, 3, 2, 2)

    def of(*values):
        return CELLS[arch].unroll(dict(zip(names, values, strict=True)), x)

    assert torch.autograd.gradcheck(of, tuple(p.requires_grad_() for p in parameters.values()))


@pytest.mark.parametrize("arch", RATE_CELLS)
def test_derivatives_of_the_transfer_function(arch):
    """slope = φ', curvature = φ''/φ', pull_ = δ φ', each as a function of the rate."""
    phi = activation(arch)
    h = gaussian(4, 50).requires_grad_()
    (first,) = torch.autograd.grad(phi.rate(h).sum(), h, create_graph=True)
    r = phi.rate(h.detach())
    torch.testing.assert_close(phi.slope(r), first.detach(), rtol=1e-12, atol=1e-13)
    second = torch.zeros_like(r)
    if first.requires_grad:
        second = torch.autograd.grad(first.sum(), h, allow_unused=True, materialize_grads=True)[0]
    torch.testing.assert_close(phi.curvature(r) * first.detach(), second, rtol=1e-12, atol=1e-13)
    delta = gaussian(5, 50)
    torch.testing.assert_close(phi.pull_(delta.clone(), r), delta * first.detach(), rtol=1e-12, atol=1e-13)
    out = torch.empty(50, dtype=DOUBLE)
    assert phi.rate(h.detach(), out=out) is out
    assert torch.equal(out, r)


def test_a_map_of_another_package_may_write_into_its_state():
    """As a cell whose step is a function: the states of a run, and the initial ones, stay."""

    class Relaxing(Cell):
        name, flossed = "relaxing", ("W",)
        writing = False

        def state_size(self, n):
            return n

        def initial_weights(self, draw, *, n, inputs):
            return {"W": draw.recurrent(10, n, draw.g), "V": draw.normal(1, n, inputs)}

        def step(self, parameters):
            def step(h, x=None):
                drive = torch.tanh(h @ parameters["W"].mT) + (0.0 if x is None else x @ parameters["V"].mT)
                return h.mul_(0.5).add_(drive) if self.writing else 0.5 * h + drive

            return step

    found = []
    for writing in (False, True):
        cell = Relaxing()
        cell.writing = writing
        parameters = cell.initial_parameters(torch.arange(2), torch.ones(2).double(), n=3, inputs=2, batch=4)
        h0 = parameters["h0"].clone()
        found.append((h0, cell.unroll(parameters, gaussian(3, 2, 5, 4, 2).float())))
        assert torch.equal(parameters["h0"], h0)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
