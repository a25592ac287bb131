"""Maps made of others and questions about a map: Euler's, closed loops, conditional exponents, fixed points."""

import math

import pytest
import torch
from problems import DOUBLE, gaussian, lorenz_field, orthogonal
from torch import nn

import floss

N, S, T = 5, 2, 60
W = 1.3 * gaussian(1, N, N) / N**0.5


def jacobian(step, h, *x):
    """By central differences."""
    e = 1e-6
    columns = [(step(h + e * v, *x) - step(h - e * v, *x)) / (2 * e) for v in torch.eye(len(h), dtype=DOUBLE)]
    return torch.stack(columns, -1)


# --- Euler's map ---------------------------------------------------------------------------------------------------


def field(h, x):
    return (-h + torch.tanh(h) @ W.mT + x) / 2.0


def test_the_map_of_euler_and_its_derivative():
    step, h, x = floss.euler_map(field, 0.1), gaussian(2, N), gaussian(3, N)
    torch.testing.assert_close(step(h, x), h + 0.1 * field(h, x))
    D = floss.one_step_jacobians(step, h, x[None])[0]
    torch.testing.assert_close(D, jacobian(step, h, x), rtol=0, atol=1e-8)
    assert floss.check_step(step, gaussian(4, 3, N), gaussian(5, 3, N)) < 1e-6


def test_exponents_per_unit_of_time():
    """Of dh/dt = A h they are the eigenvalues of A; Euler's map has log(1 + dt a) / dt, Runge-Kutta's a + O(dt⁴)."""
    a = torch.tensor([0.9, -0.6, -2.0], dtype=DOUBLE)
    basis = orthogonal(1, 3)
    A = basis @ torch.diag(a) @ basis.mT
    euler = floss.euler_map(lambda h: h @ A.mT, 0.05)
    lam = euler.per_time(floss.lyapunov_spectrum(euler, gaussian(2, 3), steps=500, transient=300))
    torch.testing.assert_close(lam, torch.log1p(0.05 * a) / 0.05, rtol=1e-9, atol=1e-9)
    kutta = floss.stroboscopic_map(lambda h: h @ A.mT, period=0.5)
    lam = kutta.per_time(floss.lyapunov_spectrum(kutta, gaussian(2, 3), steps=40, transient=20))
    torch.testing.assert_close(lam, a, rtol=1e-5, atol=1e-5)


def test_gradients_of_the_map_of_euler():
    weight = W.clone().requires_grad_()
    step = floss.euler_map(lambda h: -h + torch.tanh(h) @ weight.mT, 0.2)

    def twin(h):
        return h + 0.2 * (-h + torch.tanh(h) @ weight.mT)

    found = [
        torch.autograd.grad(floss.lyapunov_spectrum(each, gaussian(2, N), steps=20, k=3).sum(), weight)[0]
        for each in (step, twin)
    ]
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_a_module_as_vector_field_and_lorenz():
    step = floss.euler_map(lorenz_field, 0.001)
    state = torch.tensor([1.0, 2.0, 20.0], dtype=DOUBLE)
    D = floss.one_step_jacobians(step, state, steps=1)[0]
    assert float(D.det()) == pytest.approx(1 - 0.001 * (11 + 8 / 3), abs=1e-4)


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf, "x", None])
def test_a_step_of_time_that_does_not_fit(dt):
    with pytest.raises(ValueError, match=rf"^euler_map: dt={dt!r} must be positive and finite$"):
        floss.euler_map(field, dt)


def test_fields_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^euler_map: f=3 must be f\(h, x\) or f\(h\)$"):
        floss.euler_map(3, 0.1)  # pyright: ignore
    with pytest.raises(ValueError, match=r"^euler_map: f is a GRUCell, which takes the input before the state"):
        floss.euler_map(nn.GRUCell(2, 2), 0.1)


# --- closed loops --------------------------------------------------------------------------------------------------


def test_a_network_that_is_fed_with_its_readout():
    gru, head = nn.GRU(S, N, dtype=DOUBLE), nn.Linear(N, S, dtype=DOUBLE)
    step, n = floss.step_from_module(gru)
    loop, h = floss.close_loop(step, head), gaussian(2, n)
    torch.testing.assert_close(loop(h), gru(head(h)[None], h[None])[1][0])
    D = floss.one_step_jacobians(loop, h, steps=1)[0].detach()
    torch.testing.assert_close(D, jacobian(loop, h).detach(), rtol=0, atol=1e-8)
    lam = floss.lyapunov_spectrum(loop, gaussian(3, 2, n), steps=30, k=2)
    gradients = torch.autograd.grad(lam.sum(), [head.weight, *gru.parameters()][:3])
    assert all(float(g.norm()) > 0 for g in gradients)
    assert floss.check_step(loop, gaussian(4, 3, n)) < 1e-6


def test_a_readout_may_write_into_the_state():
    gru, head = nn.GRU(S, N, dtype=DOUBLE), nn.Linear(N, S, dtype=DOUBLE)
    step, n = floss.step_from_module(gru)
    loops = [floss.close_loop(step, nn.Sequential(nn.ReLU(inplace=inplace), head)) for inplace in (True, False)]
    D, wanted = (floss.one_step_jacobians(loop, gaussian(2, n), steps=2) for loop in loops)
    torch.testing.assert_close(D, wanted, rtol=0, atol=0)


def test_a_loop_of_functions_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^close_loop: readout=None must be a function of the state$"):
        floss.close_loop(lambda h, x: h, None)  # pyright: ignore
    with pytest.raises(ValueError, match=r"^close_loop: step is a LSTMCell"):
        floss.close_loop(nn.LSTMCell(2, 2), lambda h: h)
    with pytest.raises(ValueError, match=r"^lyapunov_spectrum: the map cannot take h \[5\]: "):
        floss.lyapunov_spectrum(floss.close_loop(lambda h, x: h @ W + x, lambda h: h[:2]), gaussian(1, N), steps=2)


# --- conditional exponents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gain", "echo"), [(0.8, True), (3.0, False)])
def test_the_echo_state_property(gain, echo):
    """Two states that are driven by the same inputs come together, at the rate that the exponent says, or do not."""
    n = 60
    A = gain * gaussian(1, n, n) / n**0.5

    def step(h, x):
        return torch.tanh(h @ A.mT + 0.1 * x)

    inputs = gaussian(2, 400, n)
    lam = floss.conditional_exponents(step, gaussian(3, n), inputs, transient=100)
    assert lam.shape == (1,)
    assert bool(lam[0] < 0) == echo
    h, other = gaussian(3, n), gaussian(3, n) + 1e-3 * gaussian(4, n)
    for x in inputs[:150]:
        h, other = step(h, x), step(other, x)
    assert (float((h - other).norm()) < 1e-6) == echo


def test_conditional_exponents_are_those_of_the_spectrum():
    def step(h, x):
        return torch.tanh(h @ W.mT) + x

    h0, inputs = gaussian(2, 3, N), gaussian(3, T, 3, N)
    ours = floss.conditional_exponents(step, h0, inputs, 2, t_ons=2, transient=10)
    assert torch.equal(ours, floss.lyapunov_spectrum(step, h0, inputs, k=2, t_ons=2, transient=10))
    dead = floss.conditional_exponents(lambda h, x: x, h0, inputs)
    assert (dead == -torch.inf).all()
    with pytest.raises(ValueError, match=r"^conditional_exponents: inputs=None must be one input per step"):
        floss.conditional_exponents(step, h0, None)  # pyright: ignore
    with pytest.raises(ValueError, match=r"^conditional_exponents: k=9 must be from 1 to the state size 5$"):
        floss.conditional_exponents(step, h0, inputs, k=9)


# --- fixed points --------------------------------------------------------------------------------------------------


def test_fixed_points_of_a_map_that_are_known():
    """h ↦ tanh(2 h): 0 with slope 2, and ±h* with h* = tanh(2 h*), which attract."""
    found = floss.fixed_points(lambda h: torch.tanh(2 * h), torch.linspace(-2, 2, 21, dtype=DOUBLE)[:, None])
    assert found.converged.all()
    distinct = found.distinct()
    star = 0.95750402407727
    order = distinct.points[:, 0].argsort()
    wanted = torch.tensor([-star, 0.0, star], dtype=DOUBLE)
    torch.testing.assert_close(distinct.points[order, 0], wanted, rtol=0, atol=1e-12)
    slope = 2 * (1 - star**2)
    values = torch.tensor([slope, 2.0, slope], dtype=DOUBLE)
    torch.testing.assert_close(distinct.eigenvalues[order, 0].real, values, rtol=0, atol=1e-11)
    assert distinct.stable[order].tolist() == [True, False, True]
    assert distinct.unstable_directions[order].tolist() == [0, 1, 0]


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e4])
def test_fixed_points_do_not_depend_on_the_unit(unit, dtype):
    states = unit * torch.tensor([[0.5], [-0.3], [1e-4]], dtype=dtype)
    found = floss.fixed_points(lambda h: unit * torch.tanh(2.0 * h / unit), states)
    assert found.converged.all()
    wanted = torch.tensor([0.9575040241, 0.0, 0.0], dtype=dtype)
    torch.testing.assert_close(found.points[:, 0].abs() / unit, wanted, rtol=1e-6, atol=1e-6)


def test_fixed_points_of_a_driven_network():
    module = nn.LSTM(S, N, dtype=DOUBLE)
    step, n = floss.step_from_module(module)
    x = gaussian(2, S)
    found = floss.fixed_points(step, gaussian(3, 4, 2, n), x)
    assert found.points.shape == (4, 2, n)
    assert found.converged.all()
    torch.testing.assert_close(step(found.points, x), found.points, rtol=0, atol=1e-10)
    values = torch.linalg.eigvals(jacobian(lambda h: step(h, x).detach(), found.points[0, 0]))
    ours = found.eigenvalues[0, 0]
    torch.testing.assert_close(ours.abs(), values.abs().sort(descending=True).values, rtol=0, atol=1e-7)
    per_state = floss.fixed_points(step, gaussian(3, 4, n), gaussian(4, 4, S))
    torch.testing.assert_close(step(per_state.points, gaussian(4, 4, S)), per_state.points, rtol=0, atol=1e-10)
    single = floss.fixed_points(lambda h: 0.5 * h + 1.0, torch.zeros(3))
    torch.testing.assert_close(single.points, torch.full((3,), 2.0))
    assert single.distinct().points.shape == (1, 3)


def test_maps_without_a_fixed_point_and_singular_ones():
    none = floss.fixed_points(lambda h: h + 1.0, gaussian(1, 3, 2))
    assert not none.converged.any()
    assert none.distinct().points.shape == (0, 2)
    torch.testing.assert_close(none.residual, torch.ones(3, dtype=DOUBLE))
    every = floss.fixed_points(lambda h: h.clone(), gaussian(1, 3, 2))
    assert every.converged.all()
    assert torch.equal(every.points, gaussian(1, 3, 2))
    outside = floss.fixed_points(lambda h: 1 + 0.5 * h.log(), torch.tensor([[3.0], [-3.0]], dtype=DOUBLE))
    assert outside.converged.tolist() == [True, False]
    assert torch.isnan(outside.residual[1])
    assert torch.isnan(floss.fixed_points(lambda h: h.log() * h, -torch.ones(2)).eigenvalues.abs()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"states": [1.0]}, "states=[1.0] must be a tensor or a NumPy array, float32 or float64 of shape [..., n]"),
        ({"x": torch.zeros(3)}, "the map cannot take h [5] and x [3]: "),
        ({"tolerance": 0.0}, "tolerance=0.0 must be positive and finite"),
        ({"max_steps": 0}, "max_steps=0 must be at least 1"),
    ],
)
def test_refuses(arguments, message):
    given = {"states": gaussian(1, N), "x": gaussian(2, N), **arguments}
    with pytest.raises(ValueError, match=r".") as caught:
        floss.fixed_points(lambda h, x: torch.tanh(h) + x, **given)
    assert str(caught.value).startswith(f"fixed_points: {message}")
