"""Dimension and entropy: published dimensions, a slow twin, and the edges: no positive exponent, NaN."""

import math

import pytest
import torch
from problems import DOUBLE, gaussian, henon

from floss.lyapunov.dimension import entropy_rate, kaplan_yorke_dimension
from floss.lyapunov.history import lyapunov_history


def slow_dimension(exponents):
    """One spectrum, by the definition."""
    total = 0.0
    for j, lam in enumerate(sorted(exponents, reverse=True)):
        if total + lam < 0.0:
            return j + total / abs(lam)
        total += lam
    return float(len(exponents))


@pytest.mark.parametrize(
    ("name", "exponents", "dimension"),
    [
        # Sprott 2003, Appendix A: exponents to four or five digits.
        ("Henon", [0.41922, -1.62319], 1.25827),
        ("Ikeda", [0.50760, -0.71832], 1.70666),
        ("Lorenz", [0.9056, 0.0, -14.5723], 2.06215),
    ],
)
def test_published_dimensions(name, exponents, dimension):
    assert float(kaplan_yorke_dimension(torch.tensor(exponents, dtype=DOUBLE))) == pytest.approx(dimension, abs=2e-5)


def test_dimension_of_the_henon_attractor():
    problem = henon()
    history = lyapunov_history(problem.step, problem.h0, steps=problem.steps, transient=problem.transient)
    lam = history.exponents.mean(0)
    # dD/dλ₁ = 0.46 at the fixed sum log 0.3, and λ₁ scatters by 0.0012.
    assert float(kaplan_yorke_dimension(lam)) == pytest.approx(1.2583, abs=0.46 * problem.tolerance)
    assert float(entropy_rate(lam)) == pytest.approx(0.41922, abs=problem.tolerance)


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [
        ([-1.0, -2.0], 0.0),  # a fixed point
        ([0.0, -2.0], 1.0),  # a limit cycle
        ([0.0, 0.0, -2.0], 2.0),  # a torus
        ([0.5, -0.5], 2.0),  # symplectic: the whole phase space
        ([0.5, 0.2], 2.0),  # at least two
        ([0.3, 0.0, 0.0], 3.0),
        ([0.0], 1.0),
        ([-1.0], 0.0),
        ([1.0, -torch.inf], 1.0),
        ([-torch.inf, -torch.inf], 0.0),
        ([1.0, -0.5, -0.25, -0.5], 3.5),
    ],
)
def test_edges(exponents, dimension):
    lam = torch.tensor(exponents, dtype=DOUBLE)
    assert float(kaplan_yorke_dimension(lam)) == dimension
    assert float(entropy_rate(lam)) == sum(value for value in exponents if value > 0.0)


def test_equals_the_slow_twin_in_any_order_and_unit():
    lam = gaussian(1, 3, 40, 7) + torch.tensor([-1.0, 0.0, 0.5], dtype=DOUBLE)[:, None, None]
    dimension = kaplan_yorke_dimension(lam)
    assert dimension.shape == (3, 40)
    slow = torch.tensor([[slow_dimension(row.tolist()) for row in rows] for rows in lam], dtype=DOUBLE)
    torch.testing.assert_close(dimension, slow, rtol=1e-12, atol=1e-13)
    assert 0 < int((dimension == 0.0).sum()) < int((dimension < 7.0).sum()) < 120
    torch.testing.assert_close(kaplan_yorke_dimension(lam.flip(-1) / math.log(2.0)), dimension, rtol=1e-11, atol=0)


def test_continuous_where_the_sum_passes_zero():
    lam = torch.tensor([[1.0, -0.5, -0.5 + e, -3.0] for e in (1e-9, 0.0, -1e-9)], dtype=DOUBLE)
    torch.testing.assert_close(kaplan_yorke_dimension(lam), torch.full((3,), 3.0, dtype=DOUBLE), rtol=0, atol=1e-8)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_spectrum_spoils_itself_alone(bad):
    lam = torch.tensor([[1.0, -2.0], [bad, -2.0], [1.0, -4.0]], dtype=DOUBLE)
    torch.testing.assert_close(
        kaplan_yorke_dimension(lam), torch.tensor([1.5, torch.nan, 1.25], dtype=DOUBLE), equal_nan=True
    )
    torch.testing.assert_close(entropy_rate(lam), torch.tensor([1.0, bad, 1.0], dtype=DOUBLE), equal_nan=True)


def test_dtype_stays():
    assert kaplan_yorke_dimension(torch.tensor([1.0, -2.0])).dtype == torch.float32
    assert entropy_rate(torch.tensor([1.0, -2.0])).dtype == torch.float32


@pytest.mark.parametrize("function", [kaplan_yorke_dimension, entropy_rate])
@pytest.mark.parametrize("bad", [torch.ones(2, dtype=torch.int64), torch.tensor(1.0), torch.ones(3, 0)], ids=str)
def test_refuses(function, bad):
    with pytest.raises(ValueError, match=rf"{function.__name__}: exponents must be floating point of shape \[..., k\]"):
        function(bad)
