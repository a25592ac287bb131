"""floss.lyapunov.history: it equals the spectrum, converges as it should, and its errors are the ones it claims."""

import math

import mpmath
import pytest
import torch
from problems import DOUBLE, PROBLEMS, gaussian, henon, logistic, rotated_diagonal

import floss
from floss.lyapunov.chain import random_tangent
from floss.lyapunov.history import lyapunov_history

X = 0.3 * gaussian(1, 23, 2, 6)
H0 = gaussian(2, 2, 6)
W = 1.2 * gaussian(3, 6, 6) / 6**0.5


def tanh_step(h, x):
    return torch.tanh(h) @ W.mT + x


def scaling(h, x):
    """D = diag(exp x): with Q0 = 1 the growth of each step is x itself."""
    return h * x.exp()


# --- the same numbers as the spectrum ----------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_exponents_are_those_of_the_spectrum(problem):
    steps, transient = min(problem.steps, 60), min(problem.transient, 20)
    history = lyapunov_history(problem.step, problem.h0, steps=steps, transient=transient, t_ons=3)
    lam = floss.lyapunov_spectrum(problem.step, problem.h0, steps=steps, transient=transient, t_ons=3)
    torch.testing.assert_close(history.exponents, lam, rtol=1e-12, atol=1e-13)
    assert torch.equal(history.convergence[-1], history.exponents)
    assert (history.exponents.diff(dim=-1) <= 0.0).all()


def test_rows_are_the_counted_intervals():
    history = lyapunov_history(tanh_step, H0, X, k=4, t_ons=5, transient=6)
    assert history.t_ons == 5
    assert history.lengths.tolist() == [5, 5, 5, 2]
    assert history.times.tolist() == [5, 10, 15, 17]
    assert history.growth.shape == history.convergence.shape == history.local.shape == (4, 2, 4)
    assert history.condition.shape == (4, 2)
    assert history.q.shape == (2, 6, 4)


def test_each_row_of_the_convergence_is_a_shorter_run():
    history = lyapunov_history(tanh_step, H0, X, k=3, t_ons=2, transient=4)
    for row, t in zip(history.convergence, history.times.tolist(), strict=True):
        shorter = floss.lyapunov_spectrum(tanh_step, H0, X[: 4 + t], k=3, t_ons=2, transient=4)
        torch.testing.assert_close(row.sort(descending=True).values, shorter, rtol=1e-11, atol=1e-12)


def test_columns_keep_their_tangent_direction():
    """A run in which the columns of Q come out in ascending order, and are told apart by their exponents at the end."""
    values = torch.tensor([0.1, 3.0, 0.5], dtype=DOUBLE)
    history = lyapunov_history(lambda h: h * values, torch.ones(3, dtype=DOUBLE), steps=4, q0=torch.eye(3).double())
    assert history.order.tolist() == [1, 2, 0]
    torch.testing.assert_close(history.local, values[[1, 2, 0]].log().expand(4, 3))
    torch.testing.assert_close(history.convergence, history.local)
    torch.testing.assert_close(history.growth, values.log().expand(4, 3))
    torch.testing.assert_close(history.condition, torch.full((4,), math.log10(30.0), dtype=DOUBLE))


def test_a_run_goes_on_where_it_ended():
    whole = lyapunov_history(tanh_step, H0, X, k=4)
    first = lyapunov_history(tanh_step, H0, X[:9], k=4)
    second = lyapunov_history(tanh_step, first.h, X[9:], q0=first.q)
    torch.testing.assert_close(torch.cat((first.growth, second.growth)), whole.growth, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(second.h, whole.h)


def test_adaptive_interval():
    history = lyapunov_history(tanh_step, H0, X, k=3, t_ons="adaptive")
    assert history.t_ons == floss.adaptive_t_ons(tanh_step, H0, X, k=3) > 1
    assert int(history.lengths.sum()) == len(X)


def test_growth_is_differentiable():
    gain = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    history = lyapunov_history(lambda h, x: gain * tanh_step(h, x), H0, X, k=3)
    (ours,) = torch.autograd.grad(history.exponents.sum(), gain)
    lam = floss.lyapunov_spectrum(lambda h, x: gain * tanh_step(h, x), H0, X, k=3)
    (theirs,) = torch.autograd.grad(lam.sum(), gain)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)
    assert not history.q.requires_grad


def test_finite_time_exponents_with_fifty_digits():
    """log R_ii of the product of 30 Jacobians of the Hénon map, by hand: ‖D q₁‖, and the determinant."""
    steps, start = 30, (0.1, 0.2)
    history = lyapunov_history(henon().step, torch.tensor(start, dtype=DOUBLE), steps=steps)
    q = random_tangent(torch.tensor(start, dtype=DOUBLE), 2)
    with mpmath.workdps(50):
        x, y = map(mpmath.mpf, start)
        column = mpmath.matrix([float(q[0, 0]), float(q[1, 0])])
        for _ in range(steps):
            column = mpmath.matrix([[-2 * mpmath.mpf(1.4) * x, 1], [mpmath.mpf(0.3), 0]]) * column
            x, y = 1 - mpmath.mpf(1.4) * x**2 + y, mpmath.mpf(0.3) * x
        first = mpmath.log(mpmath.norm(column)) / steps
        exact = [float(first), float(mpmath.log(mpmath.mpf(0.3)) - first)]
    # Rounding, 1e-16, grown over 30 steps by exp(0.42 · 30) = 3e5.
    assert history.convergence[-1].tolist() == pytest.approx(exact, abs=1e-10)


# --- convergence -------------------------------------------------------------------------------------------------


def test_running_mean_converges_as_one_over_time():
    """The first steps, before Q has turned to the Oseledets directions, leave a constant divided by t."""
    problem = rotated_diagonal()
    history = lyapunov_history(problem.step, problem.h0, steps=512, t_ons=4)
    t, error = history.times[16:].double().log(), (history.convergence - problem.exponents)[16:].abs().log()
    t, error = t - t.mean(), error - error.mean(0)
    # At t = 64 the directions still turn, by (1.1 / 1.6)^128 at the slowest.
    torch.testing.assert_close((t @ error) / (t @ t), torch.full((5,), -1.0, dtype=DOUBLE), rtol=0, atol=1e-6)


def test_running_mean_of_a_chaotic_map_ends_at_the_known_value():
    problem = logistic()
    history = lyapunov_history(problem.step, problem.h0, steps=problem.steps)
    spread = history.convergence.std(1)[:, 0]
    # By conjugacy with the tent map the error of each run is a boundary term over time, not a random walk.
    assert float(spread[299] / spread[29]) == pytest.approx(0.1, rel=0.3)
    assert float(history.convergence[-1].mean()) == pytest.approx(math.log(2.0), abs=problem.tolerance)


# --- finite-time exponents and their errors ----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 8, 20])
def test_windows_are_runs_of_their_own(steps):
    history = lyapunov_history(tanh_step, H0, X, k=3, t_ons=4)
    windows = history.local_over(steps)
    assert windows.shape == (len(X) // steps, 2, 3)
    for b, window in enumerate(windows):
        rows = slice(b * steps // 4, (b + 1) * steps // 4)
        torch.testing.assert_close(window, history.local[rows].mean(0), rtol=1e-11, atol=1e-12)


def test_windows_of_a_run_that_they_fill():
    history = lyapunov_history(tanh_step, H0, X[:20], k=3, t_ons=2)
    torch.testing.assert_close(history.local_over(10).mean(0), history.exponents)
    torch.testing.assert_close(history.local_over(2), history.local, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("blocks", [2, 5, 10, 33])
@pytest.mark.parametrize("t_ons", [1, 3])
def test_standard_error_of_independent_growth(blocks, t_ons):
    """Growth x ~ N(μ, σ²), independent: SE² is σ²/T in mean, and the exponents scatter by it."""
    T, runs, sigma = 100, 1000, torch.tensor([0.5, 0.2], dtype=DOUBLE)
    x = torch.tensor([1.0, -1.0], dtype=DOUBLE) + sigma * gaussian(4, T, runs, 2)
    q0 = torch.eye(2, dtype=DOUBLE).expand(runs, 2, 2)
    history = lyapunov_history(scaling, torch.zeros(runs, 2, dtype=DOUBLE), x, q0=q0, t_ons=t_ons)
    estimate = history.standard_error(blocks).square().mean(0) * (T / sigma**2)
    # χ² of blocks - 1 degrees of freedom, 1000 of them: four standard deviations. Blocks that are not equally long
    # (100 steps in intervals of 3) bias it, by less than 1 % up to ten blocks.
    sampling = 4.0 * (2.0 / ((blocks - 1) * runs)) ** 0.5
    torch.testing.assert_close(estimate, torch.ones(2, dtype=DOUBLE), rtol=0, atol=sampling + 0.01)
    scatter = history.exponents.var(0) * (T / sigma**2)
    torch.testing.assert_close(scatter, torch.ones(2, dtype=DOUBLE), rtol=0, atol=4.0 * (2.0 / runs) ** 0.5)


def test_standard_error_by_hand():
    """Seven intervals in three blocks, the last interval shorter."""
    history = lyapunov_history(tanh_step, H0[0], X[:20, 0], k=2, t_ons=3)
    assert history.lengths.tolist() == [3, 3, 3, 3, 3, 3, 2]
    growth = history.growth[:, history.order]
    blocks = [(growth[:2].sum(0), 6), (growth[2:4].sum(0), 6), (growth[4:].sum(0), 8)]
    squares = [(length / 20) ** 2 * (gain / length - history.exponents) ** 2 for gain, length in blocks]
    torch.testing.assert_close(history.standard_error(3), (1.5 * torch.stack(squares).sum(0)).sqrt())


def test_standard_error_of_a_chaotic_map_is_its_scatter():
    """Hénon: 256 runs of 400 steps scatter by what one run says of itself."""
    problem = henon()
    history = lyapunov_history(problem.step, problem.h0, steps=problem.steps, transient=problem.transient)
    claimed = history.standard_error().square().mean(0).sqrt()
    # Growth rates are correlated over a few steps: blocks of 40 know most of it.
    torch.testing.assert_close(history.exponents.std(0), claimed, rtol=0.15, atol=0)


# --- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.standard_error(1), "blocks=1 must be from 2 to the 5 intervals"),
        (lambda h: h.standard_error(6), "blocks=6 must be from 2 to the 5 intervals"),
        (lambda h: h.local_over(6), "steps=6 must be a multiple of t_ons=5, at most the 23 counted ones"),
        (lambda h: h.local_over(25), "steps=25 must be a multiple"),
        (lambda h: h.local_over(0), "steps=0 must be a multiple"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_blocks(call, message):
    with pytest.raises(ValueError, match=message):
        call(lyapunov_history(tanh_step, H0, X, k=2, t_ons=5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": X, "steps": 5}, "lyapunov_history: steps=5 but there are 23 inputs"),
        ({"inputs": X, "k": 7}, "lyapunov_history: k=7 must be from 1 to the state size 6"),
        ({"step": lambda h: 0.0 * h, "steps": 3}, "lyapunov_history: exponent 0 .* is lost to rank deficiency"),
        ({"step": lambda h: 1e200 * h, "steps": 3, "k": 1}, "lyapunov_history: exponent 0 .* is not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_history(**{"step": tanh_step, "h0": H0, **arguments})
