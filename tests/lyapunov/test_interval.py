"""The orthonormalisation interval of the spectrum's own choice."""

import math
import re

import pytest
import torch
from problems import DOUBLE, orthogonal

import floss


def stretch(ratio, n=2):
    """Each direction grows by `ratio` more than the next: after L steps R_11/R_nn is ratio^((n - 1) L)."""
    growth = ratio ** -torch.arange(n, dtype=DOUBLE)
    return lambda h: growth * h


@pytest.mark.parametrize(("condition", "longest"), [(1.5, 1), (5.0, 2), (1000.0, 9), (1025.0, 10), (None, 22)])
def test_adaptive_interval_is_the_longest_below_the_bound(condition, longest):
    """2^9 < 1000 < 2^10 < 1025; the default bound in float64 is 6.7e6 < 2^23."""
    h0, q0 = torch.ones(2, dtype=DOUBLE), torch.eye(2, dtype=DOUBLE)
    assert floss.adaptive_t_ons(stretch(2.0), h0, steps=300, q0=q0, condition=condition) == longest


def test_adaptive_interval_knows_the_precision():
    """In float32 the bound is 290: 2^8 < 290 < 2^9."""
    assert floss.adaptive_t_ons(lambda h: h * torch.tensor([1.0, 0.5]), torch.ones(2), steps=300, q0=torch.eye(2)) == 8


def test_adaptive_interval_is_that_of_the_worst_trajectory_and_time():
    """Of two trajectories that stretch by 2 and 3 at any step, and by 8 at one step."""
    ratio = torch.full((40, 2), 2.0, dtype=DOUBLE)
    ratio[:, 1] = 3.0
    h0, q0 = torch.ones(2, 2, dtype=DOUBLE), torch.eye(2, dtype=DOUBLE).expand(2, 2, 2)

    def longest():
        def step(h, x):
            return torch.stack((h[..., 0] * x, h[..., 1]), -1)

        return floss.adaptive_t_ons(step, h0, ratio, q0=q0, condition=1e4)

    assert longest() == 8  # 3^8 = 6561
    ratio[20, 0] = 64.0
    assert longest() == 8  # 64 · 2^7 = 8192
    ratio[20, 0] = 65.0 * 2.0
    assert longest() == 7  # 130 · 2^6 = 8320
    ratio[:], ratio[21, 1], ratio[23, 1] = 1.0, 200.0, 200.0
    assert longest() == 2  # intervals of three steps may begin at any of them


def test_adaptive_interval_of_the_first_exponents():
    """With k of them, R_11/R_kk is all that counts; one alone has the condition number 1."""
    h0, q0 = torch.ones(4, dtype=DOUBLE), torch.eye(4, dtype=DOUBLE)
    found = [floss.adaptive_t_ons(stretch(2.0, 4), h0, steps=60, q0=q0[:, :k], condition=1000.0) for k in (1, 2, 3, 4)]
    assert found == [30, 9, 4, 3]


@pytest.mark.parametrize("t_ons", [1, "adaptive"])
@pytest.mark.parametrize(
    ("dtype", "rate"), [(torch.float32, -6.0), (torch.float32, -1.0), (torch.float32, 2.0), (DOUBLE, -46.3)]
)
def test_intervals_end_before_numbers_overflow_or_vanish(dtype, rate, t_ons):
    """All directions grow alike, so that no condition number ever ends an interval."""
    W = (math.exp(rate) * orthogonal(1, 4)).to(dtype)
    with torch.no_grad():
        lam = floss.lyapunov_spectrum(lambda h: h @ W.T, torch.zeros(4, dtype=dtype), steps=300, k=2, t_ons=t_ons)
    torch.testing.assert_close(
        lam.double(), torch.full((2,), rate, dtype=DOUBLE), rtol=20 * torch.finfo(dtype).eps, atol=0
    )


@pytest.mark.parametrize(("steps", "longest"), [(1, 1), (2, 1), (3, 1), (7, 3), (60, 30), (200, 100), (5000, 100)])
def test_adaptive_interval_is_at_most_half_of_the_short_run(steps, longest):
    """Which is at most 200 steps; the map turns and stretches nothing."""
    turn = orthogonal(23, 3)
    seen = []

    def step(h):
        seen.append(1)
        return h @ turn.mT

    assert floss.adaptive_t_ons(step, torch.ones(3, dtype=DOUBLE), steps=steps) == longest
    assert len(seen) == 1 + min(steps, 200)  # once to see whether the sizes fit


@pytest.mark.parametrize("bound", [1.0, 0.5, -2.0, math.nan])
def test_adaptive_interval_needs_a_bound_above_one(bound):
    with pytest.raises(ValueError, match=re.escape(f"adaptive_t_ons: condition={bound} must be above 1")):
        floss.adaptive_t_ons(stretch(2.0), torch.ones(2, dtype=DOUBLE), steps=10, condition=bound)
