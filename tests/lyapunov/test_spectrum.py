"""floss.lyapunov_spectrum, adaptive_t_ons: exact spectra, convergence, closed forms, slow twins, gradients, refusal."""

import re
from itertools import product
from typing import Any

import pytest
import torch
from problems import DOUBLE, GATED_CELLS, PROBLEMS, QR_CELLS, TRAINED_CELLS, gaussian, orthogonal, rotated_diagonal
from torch.autograd.functional import jacobian
from twins import exponents_twin, relative

import floss
from floss.lyapunov.chain import initial_tangent
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.step import advance
from floss.networks import CELLS

EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
"""Two orders of the same float64 sums, through QR chains of condition number up to about 1e3."""
RELU_BIAS, RELU_RANK = 1.0, 3
"""With this bias at least three of six relu units respond at any time, so three exponents are finite."""


def network(arch: str, *, R: int = 2, N: int = 6, S: int = 2, g: float = 1.1) -> dict[str, torch.Tensor]:
    """A few small networks; relu units are biased so that three of six respond at any time."""
    gains = torch.full((R,), 0.9 if arch == "lru" else g, dtype=DOUBLE)  # the LRU's gain is at most 1
    parameters = CELLS[arch].initial_parameters(torch.arange(R), gains, n=N, inputs=S, batch=1, dtype=DOUBLE)
    if arch == "relu":
        parameters["b"] += RELU_BIAS
    return parameters


def tangent(arch: str, k: int) -> torch.Tensor:
    """Initial tangent vectors of two networks with six units."""
    return initial_tangent(torch.arange(2), CELLS[arch].state_size(6), k)


def slow_spectrum(step, h, inputs, q, *, t_ons=1, transient=0):
    """One trajectory, explicit Jacobians, and Gram-Schmidt (twice) by hand; unsorted, values alone."""
    total, steps = torch.zeros(q.shape[-1], dtype=DOUBLE), len(inputs)
    for s in range(steps):
        D = jacobian(lambda state: step(state, inputs[s]), h)  # noqa: B023
        h, q = step(h, inputs[s]), D @ q
        in_part, length = (s, transient) if s < transient else (s - transient, steps - transient)
        if (in_part + 1) % t_ons and in_part + 1 < length:
            continue
        columns, growth = [], []
        for column in q.T:
            v = column
            for _ in range(2):
                for done in columns:
                    v = v - (done @ v) * done
            growth.append(v.norm().log())
            columns.append(v / v.norm())
        q = torch.stack(columns, dim=-1)
        if s >= transient:
            total += torch.stack(growth)
    return total / (steps - transient)


# --- known spectra -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_known_spectrum(problem):
    lam = floss.lyapunov_spectrum(problem.step, problem.h0, steps=problem.steps, transient=problem.transient)
    lam = lam.reshape(-1, lam.shape[-1]).mean(0)
    torch.testing.assert_close(lam, problem.exponents, rtol=0, atol=problem.tolerance)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.h0.shape[-1] > 2], ids=lambda p: p.name)
def test_first_exponents_do_not_need_the_rest(problem):
    lam = floss.lyapunov_spectrum(problem.step, problem.h0, steps=problem.steps, transient=problem.transient, k=2)
    torch.testing.assert_close(lam.flatten(), problem.exponents[:2], rtol=0, atol=problem.tolerance)


def slope(x: torch.Tensor, y: torch.Tensor) -> float:
    """Of the least-squares line."""
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / (x @ x))


def test_error_without_transient_falls_as_one_over_time():
    """The first steps, before Q has turned to the Oseledets directions, leave a constant divided by T."""
    problem = rotated_diagonal()
    lengths = torch.tensor([64, 128, 256, 512])
    lam = torch.stack([floss.lyapunov_spectrum(problem.step, problem.h0, steps=int(T)) for T in lengths])
    error = (lam - problem.exponents).abs()
    for i in range(5):
        order = slope(lengths.double().log(), error[:, i].log())
        # At T = 64 the directions still turn, by (1.1 / 1.6)^128 at the slowest.
        assert order == pytest.approx(-1.0, abs=1e-6)


def test_error_falls_with_the_transient_at_the_rate_of_the_gap():
    """Of a symmetric map, log|D q| is off by the square of the angle to the eigenvector: (e₂/e₁)^(2 t)."""
    problem = rotated_diagonal()
    transients = torch.tensor([10, 14, 18, 22])
    lam = torch.stack(
        [floss.lyapunov_spectrum(problem.step, problem.h0, steps=int(t) + 1, transient=int(t), k=1) for t in transients]
    )
    error = (lam[:, 0] - problem.exponents[0]).abs()
    gap = float(problem.exponents[1] - problem.exponents[0])
    # Angles of 0.02 at t = 10: the next order is 1e-3 of the leading one.
    assert slope(transients.double(), error.log()) == pytest.approx(2.0 * gap, rel=5e-3)


@pytest.mark.parametrize("arch", [arch for arch in TRAINED_CELLS if arch != "relu"])
def test_sum_of_all_exponents_is_the_mean_log_determinant(arch):
    """For every architecture whose Jacobian has full rank."""
    parameters, x, n = network(arch), gaussian(1, 30, 2, 2), CELLS[arch].state_size(6)
    step = CELLS[arch].step(parameters)
    h, total = parameters["h0"][:, 0], torch.zeros(2, dtype=DOUBLE)
    for s in range(30):
        h, D = advance(step, h, torch.eye(n, dtype=DOUBLE).expand(2, n, n), x[s])
        if s >= 10:
            total += torch.linalg.slogdet(D).logabsdet
    lam = floss.lyapunov_spectrum(step, parameters["h0"][:, 0], x, transient=10)
    torch.testing.assert_close(lam.sum(-1), total / 20, **EXACT)


# --- one answer, several ways ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "t_ons", "transient"), [(3, 1, 0), (6, 1, 4), (3, 2, 3), (6, 5, 7), (2, 40, 0)])
@pytest.mark.parametrize("arch", QR_CELLS)
def test_three_ways_to_one_gradient(arch, k, t_ons, transient):
    """The map's own way, forward-mode Jacobian products, and whole Jacobians with the general pullback of QR.

    Values and gradients; 17 steps, so that the last intervals are incomplete.
    """
    cell, k = CELLS[arch], min(k, RELU_RANK) if arch == "relu" else k
    parameters, x = network(arch), gaussian(2, 17, 2, 2)
    q0, weight = tangent(arch, k), gaussian(3, 2, k)
    leaves = {name: parameters[name].requires_grad_() for name in cell.flossed}
    h0 = gaussian(4, 2, cell.state_size(6)).requires_grad_()
    step = cell.step({**parameters, **leaves})
    ours, generic = (
        floss.lyapunov_spectrum(f, h0, x, t_ons=t_ons, transient=transient, q0=q0)
        for f in (step, lambda h, u: step(h, u))
    )
    singles = [cell.step({name: p[r] for name, p in {**parameters, **leaves}.items()}) for r in range(2)]
    slow = torch.stack(
        [exponents_twin(singles[r], h0[r], x[:, r], q0[r], t_ons=t_ons, transient=transient) for r in range(2)]
    )
    slow = slow.sort(dim=-1, descending=True).values
    # The Jacobians of relu and linear units depend on W alone.
    of = [leaves["W"]] if arch in ("relu", "linear") else [*leaves.values(), h0]
    wanted = torch.autograd.grad((slow * weight).sum(), of)
    for lam in (ours, generic):
        torch.testing.assert_close(lam, slow, **EXACT)
        gradient = torch.autograd.grad((lam * weight).sum(), of)
        for a, b in zip(gradient, wanted, strict=True):
            assert relative(a, b) < 1e-10


@pytest.mark.parametrize("arch", ["relu", "linear"])
def test_state_does_not_move_piecewise_constant_jacobians(arch):
    """φ'' = 0: nothing reaches the exponents through the state."""
    parameters = {name: p.requires_grad_() for name, p in network(arch).items()}
    lam = floss.lyapunov_spectrum(CELLS[arch].step(parameters), parameters["h0"][:, 0], gaussian(5, 9, 2, 2), k=3)
    for gradient in torch.autograd.grad(lam.sum(), [parameters[name] for name in ("V", "b", "h0")]):
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("arch", QR_CELLS)
@pytest.mark.parametrize(("t_ons", "transient"), [(1, 0), (3, 5)])
def test_equals_slow_twin(arch, t_ons, transient):
    parameters, x, q0 = network(arch), gaussian(6, 16, 2, 2), tangent(arch, 3)
    fast = floss.lyapunov_spectrum(
        CELLS[arch].step(parameters), parameters["h0"][:, 0], x, q0=q0, t_ons=t_ons, transient=transient
    )
    for r in range(2):
        single = CELLS[arch].step({name: p[r] for name, p in parameters.items()})
        slow = slow_spectrum(single, parameters["h0"][r, 0], x[:, r], q0[r], t_ons=t_ons, transient=transient)
        torch.testing.assert_close(fast[r], slow.sort(descending=True).values, **EXACT)


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("t_ons", [2, 3, 7, 100])
@pytest.mark.parametrize("arch", QR_CELLS)
def test_does_not_depend_on_the_interval(arch, closed_form, t_ons):
    parameters, x = network(arch), gaussian(7, 25, 2, 2)
    step, h0 = CELLS[arch].step(parameters), parameters["h0"][:, 0]
    f = step if closed_form else lambda h, u: step(h, u)
    every, some = (floss.lyapunov_spectrum(f, h0, x, k=3, t_ons=t, transient=4) for t in (1, t_ons))
    torch.testing.assert_close(some, every, rtol=1e-9, atol=1e-10)  # up to 21 steps between decompositions


def test_intervals_cover_the_run_once():
    assert list(orthonormalisation_times(7, 3, 0)) == [(3, True), (6, True), (7, True)]
    assert list(orthonormalisation_times(9, 3, 4)) == [(3, False), (4, False), (7, True), (9, True)]
    assert list(orthonormalisation_times(4, 1, 2)) == [(1, False), (2, False), (3, True), (4, True)]


@pytest.mark.parametrize("closed_form", [True, False])
def test_descending_even_where_the_columns_are_not(closed_form):
    values = torch.tensor([0.1, 3.0, 0.5], dtype=DOUBLE)
    parameters = {"W": torch.diag(values)[None], "V": torch.ones(1, 3, 1).double(), "b": torch.zeros(1, 3).double()}
    step = CELLS["linear"].step(parameters)
    f = step if closed_form else lambda h: step(h)
    lam = floss.lyapunov_spectrum(f, gaussian(8, 1, 3), steps=3, q0=torch.eye(3, dtype=DOUBLE)[None])
    torch.testing.assert_close(lam[0], values.log().sort(descending=True).values, **EXACT)


@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)], ids=str)
def test_leading_axes_are_independent_trajectories(shape):
    W, h0, x = gaussian(9, 5, 5) / 5**0.5, gaussian(10, *shape), gaussian(11, 8, *shape)
    lam = floss.lyapunov_spectrum(lambda h, u: torch.tanh(h @ W.mT) + u, h0, x, k=3)
    assert lam.shape == (*shape[:-1], 3)
    q0 = initial_tangent(torch.zeros(1, dtype=torch.int64), 5, 3)[0]
    for at in product(*map(range, shape[:-1])):
        slow = slow_spectrum(lambda h, u: torch.tanh(h @ W.mT) + u, h0[at], x[(slice(None), *at)], q0)
        torch.testing.assert_close(lam[at], slow.sort(descending=True).values, **EXACT)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_cells_take_several_trajectories_per_network(arch):
    parameters, x = network(arch), gaussian(12, 7, 2, 3, 2)
    step, h0 = (
        CELLS[arch].step(parameters),
        gaussian(13, 2, 3, CELLS[arch].state_size(6)).abs(),
    )  # so that relu units respond
    together = floss.lyapunov_spectrum(step, h0, x, k=3)
    assert together.shape == (2, 3, 3)
    for b in range(3):
        torch.testing.assert_close(together[:, b], floss.lyapunov_spectrum(step, h0[:, b], x[:, :, b], k=3), **EXACT)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_all_trajectories_of_one_network(arch):
    """Weights without the network's axis go with states of any shape."""
    parameters, x = network(arch), gaussian(12, 7, 2, 3, 2)
    single = CELLS[arch].step({name: p[1] for name, p in parameters.items()})
    h0 = gaussian(13, 2, 3, CELLS[arch].state_size(6)).abs()
    together = floss.lyapunov_spectrum(single, h0, x, k=3)
    for a, b in product(range(2), range(3)):
        alone = floss.lyapunov_spectrum(single, h0[a, b], x[:, a, b], k=3)
        torch.testing.assert_close(together[a, b], alone, **EXACT)


def test_steps_of_torch_modules():
    torch_cell = torch.nn.RNNCell(2, 5, dtype=DOUBLE)
    with torch.no_grad():
        for i, p in enumerate(torch_cell.parameters()):
            p.copy_(0.5 * gaussian(20 + i, *p.shape))
    h0, x = gaussian(14, 3, 5), gaussian(15, 10, 3, 2)
    lam = floss.lyapunov_spectrum(lambda h, u: torch_cell(u, h), h0, x, k=2)
    (gradient,) = torch.autograd.grad(lam[1].sum(), torch_cell.weight_hh)
    q0 = initial_tangent(torch.zeros(1, dtype=torch.int64), 5, 2)[0]
    slow = slow_spectrum(lambda h, u: torch_cell(u, h), h0[1], x[:, 1], q0)
    torch.testing.assert_close(lam[1], slow.sort(descending=True).values, **EXACT)
    assert float(gradient.norm()) > 0.0


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("name", ["flossed", "h0"])
@pytest.mark.parametrize("arch", ["vanilla", *GATED_CELLS])
def test_gradient_equals_finite_differences(arch, name, closed_form):
    """Of every flossed parameter alone, or of the initial state."""
    for each in CELLS[arch].flossed if name == "flossed" else (name,):
        check_finite_differences(arch, each, closed_form)


def check_finite_differences(arch, name, closed_form):
    parameters = network(arch, R=1)
    x, direction, step_size = gaussian(16, 12, 1, 2), gaussian(17, *parameters[name].shape), 1e-5

    def first(value):
        p = {**parameters, name: value}
        step = CELLS[arch].step(p)
        return floss.lyapunov_spectrum(step if closed_form else lambda h, u: step(h, u), p["h0"][:, 0], x, k=1)[0, 0]

    value = parameters[name]
    (gradient,) = torch.autograd.grad(first(value.requires_grad_()), value)
    with torch.no_grad():
        central = (first(value + step_size * direction) - first(value - step_size * direction)) / (2.0 * step_size)
    # Truncation step_size² = 1e-10 times a third derivative, rounding 1e-16 / step_size = 1e-11.
    assert float((gradient * direction).sum()) == pytest.approx(float(central), rel=1e-6, abs=1e-8), name


# --- the interval of its own choice ------------------------------------------------------------------------------


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("arch", QR_CELLS)
def test_adaptive_spectrum(arch, closed_form):
    """Chosen and fixed interval give the same, gradients too; and the chosen one is not 1."""
    parameters, x = network(arch), gaussian(24, 60, 2, 2)
    W, h0 = parameters["W"].requires_grad_(), parameters["h0"][:, 0]
    step = CELLS[arch].step(parameters)
    f = step if closed_form else lambda h, u: step(h, u)
    assert floss.adaptive_t_ons(f, h0, x, k=3) >= 2
    chosen, fixed = (floss.lyapunov_spectrum(f, h0, x, k=3, t_ons=t, transient=10) for t in ("adaptive", 1))
    torch.testing.assert_close(chosen, fixed, rtol=0, atol=1e-8)
    gradient, wanted = (torch.autograd.grad(lam.sum(), W, retain_graph=True)[0] for lam in (chosen, fixed))
    assert relative(gradient, wanted) < 1e-7


# --- what it refuses ---------------------------------------------------------------------------------------------


SHIFT = torch.diag(torch.ones(2, dtype=DOUBLE), -1)  # nilpotent
H0, X, Q0 = gaussian(18, 2, 3), gaussian(19, 6, 2, 3), gaussian(20, 2, 3, 2)


def turn(h, x=0.0):
    return h @ orthogonal(21, 3).mT + x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "an autonomous map needs steps="),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"inputs": X[:0]}, "steps=0 must be at least 1"),
        ({"inputs": X, "steps": 5}, "steps=5 but there are 6 inputs"),
        (
            {"steps": 5, "h0": torch.ones(2, 3, dtype=torch.int64)},
            r"float32 or float64 of shape .* got torch.int64 \[2, 3\]",
        ),
        ({"steps": 5, "h0": torch.tensor(1.0)}, r"float32 or float64 of shape .* got torch.float32 \[\]"),
        ({"steps": 5, "h0": torch.ones(2, 0)}, r"float32 or float64 of shape .* got torch.float32 \[2, 0\]"),
        ({"steps": 5, "k": 4}, "k=4 must be from 1 to the state size 3"),
        ({"steps": 5, "k": 0}, "k=0 must be from 1 to the state size 3"),
        ({"steps": 5, "q0": gaussian(22, 2, 3, 4)}, "k=4 must be from 1 to the state size 3"),
        ({"steps": 5, "q0": Q0[0]}, r"q0 must have shape \[2, 3, 'k'\], got \[3, 2\]"),
        ({"steps": 5, "q0": Q0, "k": 1}, r"q0 must have shape \[2, 3, 1\], got \[2, 3, 2\]"),
        ({"steps": 5, "q0": 0.0 * Q0}, r"batch index \(0,\) depends linearly"),
        ({"steps": 5, "t_ons": 0}, "t_ons=0 must be at least 1, or 'adaptive'"),
        ({"steps": 5, "t_ons": "sometimes"}, "t_ons='sometimes' must be a whole number, at least 1, or 'adaptive'"),
        ({"steps": 5, "transient": 5}, "transient=5 must be from 0 to steps - 1 = 4"),
        ({"steps": 5, "transient": -1}, "transient=-1 must be from 0 to steps - 1 = 4"),
        ({"steps": 5, "h0": torch.full((2, 3), torch.nan)}, "h0 has a value that is not finite"),
        (
            {"steps": 5, "step": lambda h: h * torch.tensor([[1.0], [torch.nan]])},
            r"exponent 0 at batch index \(1,\) is not finite",
        ),
        (
            {"steps": 5, "step": lambda h: h @ SHIFT.mT},
            r"exponent 2 at batch index \(0,\) is lost to rank.* step 1 of 5",
        ),
        ({"steps": 500, "t_ons": 500, "step": lambda h: h * torch.tensor([2.0, 1.0, 0.5])}, "is lost to rank"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        floss.lyapunov_spectrum(**{"step": turn, "h0": H0, **arguments})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.nan, "exponent 0 at batch index (1,) is not finite"),
        (0.0, "exponent 0 at batch index (1,) is lost to rank"),
    ],
)
def test_closed_form_refuses(bad, message):
    parameters = network("vanilla")
    parameters["W"][1] = bad
    with pytest.raises(ValueError, match=re.escape(message)):
        floss.lyapunov_spectrum(CELLS["vanilla"].step(parameters), parameters["h0"][:, 0], steps=4)


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_network_that_is_not_finite_is_named(arch, closed_form):
    parameters = network(arch)
    parameters[CELLS[arch].flossed[0]][1] = torch.nan
    step, h0 = CELLS[arch].step(parameters), torch.ones(2, CELLS[arch].state_size(6), dtype=DOUBLE)
    f = step if closed_form else lambda h: step(h)
    with pytest.raises(ValueError, match=re.escape("exponent 0 at batch index (1,) is not finite")):
        floss.lyapunov_spectrum(f, h0, steps=4, k=2)


@pytest.mark.parametrize("spectrum", [floss.lyapunov_spectrum, floss.adaptive_t_ons])
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_state_of_another_size(arch, spectrum):
    step, n = CELLS[arch].step(network(arch)), CELLS[arch].state_size(6)
    message = f"{spectrum.__name__}: h0 has {n - 1} numbers per state, but the state of {type(step).__name__} has {n}"
    with pytest.raises(ValueError, match=re.escape(message)):
        spectrum(step, torch.ones(2, n - 1, dtype=DOUBLE), steps=4)


@pytest.mark.parametrize("t_ons", [1, "adaptive"])
def test_adaptive_interval_refuses_what_the_spectrum_refuses(t_ons):
    with pytest.raises(ValueError, match=r"exponent 2 at batch index \(0,\) is lost to rank"):
        floss.lyapunov_spectrum(lambda h: h @ SHIFT.mT, H0, steps=5, t_ons=t_ons)


# --- what was once a defect --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", QR_CELLS)
def test_differentiable_with_respect_to_the_inputs(arch):
    parameters, x = network(arch), gaussian(30, 8, 2, 2).requires_grad_()
    step, h0 = CELLS[arch].step(parameters), parameters["h0"][:, 0]
    generic = floss.lyapunov_spectrum(lambda h, u: step(h, u), h0, x, k=2)
    ours = floss.lyapunov_spectrum(step, h0, x, k=2)
    (by_hand,), (automatic,) = (
        torch.autograd.grad(lam.sum(), x, allow_unused=True, materialize_grads=True) for lam in (ours, generic)
    )
    torch.testing.assert_close(by_hand, automatic, **EXACT)


def test_rank_lost_in_the_transient_is_lost():
    """One of three relu units does not respond in the first step, which is not counted."""
    parameters = network("relu", R=1, N=3)
    parameters["b"] += 5.0
    h0 = torch.tensor([[-1.0, 2.0, 3.0]], dtype=DOUBLE)
    with pytest.raises(ValueError, match="lost to rank deficiency"):
        floss.lyapunov_spectrum(CELLS["relu"].step(parameters), h0, steps=6, transient=3)


def test_refuses_a_state_that_overflows():
    with pytest.raises(ValueError, match="not finite"):
        floss.lyapunov_spectrum(lambda h: 2.0 * h, torch.full((2,), 1e308, dtype=DOUBLE), steps=3, k=1)


@pytest.mark.parametrize("arch", QR_CELLS)
def test_one_input_for_all_networks(arch):
    parameters, x = network(arch), gaussian(31, 8, 2)
    step, h0 = CELLS[arch].step(parameters), parameters["h0"][:, 0]
    generic = floss.lyapunov_spectrum(lambda h, u: step(h, u), h0, x, k=2)
    torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, x, k=2), generic, **EXACT)


def test_an_interval_longer_than_the_run_is_the_run():
    a = torch.tensor([[1.2, 0.3], [0.0, 0.7]], dtype=torch.float64)
    several = [
        floss.lyapunov_spectrum(lambda h: h @ a.mT, torch.ones(2).double(), steps=6, t_ons=t) for t in (6, 7, 600)
    ]
    assert torch.equal(several[0], several[1])
    assert torch.equal(several[0], several[2])
