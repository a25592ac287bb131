"""Whether a run was long enough for its tangent vectors: warned of where it was not, silent where it was."""

import math
import warnings

import pytest
import torch
from problems import DOUBLE, PROBLEMS, gaussian

import floss
from floss.lyapunov.convergence import ConvergenceWarning, is_converged


class OneFaster:
    """n directions of which one grows by 0 and all others by -gap per step, and all by the input x besides."""

    def __init__(self, n: int, gap: float) -> None:
        self.growth = torch.full((n,), -gap, dtype=DOUBLE)
        self.growth[0] = 0.0

    def __call__(self, h, x):
        return 0.0 * h

    def advance(self, h, q, x):
        return 0.0 * h, (self.growth[:, None] + x[..., :1, None]).exp() * q


def history(n: int, gap: float, T: int, transient: int, noise: float, k: int = 1):
    x = noise * gaussian(1, transient + T, 1)
    x[transient:] -= x[transient:].mean()
    return floss.lyapunov_history(OneFaster(n, gap), torch.zeros(n, dtype=DOUBLE), x, k=k, transient=transient)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("gap", "T", "transient", "noise"),
    [(0.05, 60, 0, 0.01), (0.05, 60, 20, 0.01), (0.02, 100, 50, 0.02), (0.02, 100, 0, 0.0)],
)
def test_vectors_that_had_no_time_to_turn(k, gap, T, transient, noise):
    """λ₁ = 0 is missed by five standard errors and more."""
    with pytest.warns(ConvergenceWarning, match="^lyapunov_history: the exponents have not converged: take a longer"):
        run = history(100, gap, T, transient, noise, k)
    assert run.converged is not None
    assert not run.converged
    assert float(run.exponents[0].abs() / run.standard_error()[0]) > 4.0


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("gap", "T", "transient", "noise"),
    [(0.05, 60, 250, 0.01), (0.05, 60, 500, 0.0), (0.0, 60, 0, 0.02), (1.0, 100, 0, 0.1)],
)
def test_vectors_that_had_the_time(k, gap, T, transient, noise):
    """Or need none, since all directions are equal; or turn within the first block, which the standard error tells."""
    run = history(100, gap, T, transient, noise, k)
    assert run.converged is not None
    assert run.converged
    assert float(run.exponents[0].abs()) <= 1.5 * float(run.standard_error()[0]) + 1e-6


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_no_alarm_at_known_spectra(problem):
    """With the first exponent alone; the tests of histories have all of them."""
    floss.lyapunov_history(problem.step, problem.h0, steps=problem.steps, transient=problem.transient, k=1)


def test_stationary_runs_are_no_alarm():
    """Four thousand runs of random growth, taken one by one: one in a thousand for each of two exponents at most."""
    growth = gaussian(2, 40, 4000, 2)
    lengths = torch.ones(40, dtype=torch.int64)
    alone = torch.stack([is_converged(growth[:, r], lengths, 2, 2, None) for r in range(1000)])
    assert int((~alone).sum()) <= 5
    assert is_converged(growth, lengths, 2, 2, None).all()


def test_each_trajectory_has_a_verdict_of_its_own():
    """A state that settles over the whole run, beside one that is settled."""
    h0 = torch.tensor([[0.0], [1.0]], dtype=DOUBLE)
    with pytest.warns(ConvergenceWarning, match="the exponents of 1 of 2 trajectories have not"):
        run = floss.lyapunov_history(lambda h: h * torch.exp(-0.02 * h), h0 + 1e-300, steps=100)
    assert run.converged is not None
    assert run.converged.tolist() == [True, False]


def test_few_intervals_tell_nothing():
    run = floss.lyapunov_history(lambda h: math.e * h, torch.ones(2, dtype=DOUBLE), steps=9)
    assert run.converged is not None
    assert not run.converged


def test_a_run_that_goes_on_is_judged_by_its_trend():
    """Its vectors were given: nothing is expected of their angles."""
    first = history(20, 0.3, 100, 60, 0.01)
    again = floss.lyapunov_history(OneFaster(20, 0.3), first.h, 0.01 * gaussian(3, 50, 1), q0=first.q)
    assert again.converged is not None
    assert again.converged


def test_the_vector_that_is_followed_besides_is_no_part_of_the_result():
    """Nor of its failures: a Jacobian of rank one leaves one exponent."""
    D = torch.outer(torch.tensor([1.0, 2.0], dtype=DOUBLE), torch.tensor([0.5, 0.3], dtype=DOUBLE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = floss.lyapunov_history(lambda h: h @ D.mT, torch.ones(2, dtype=DOUBLE), steps=30, k=1)
    assert run.growth.shape == (30, 1)
    assert run.q.shape == (2, 1)
    torch.testing.assert_close(run.exponents, torch.log(torch.tensor([1.1], dtype=DOUBLE)), rtol=0, atol=0.05)
