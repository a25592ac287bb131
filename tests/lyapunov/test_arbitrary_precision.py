"""Condition numbers with so many bits, or with as many as it takes."""

import math
import re
import sys
from typing import Any

import pytest
import torch
from lyapunov.products import SAME, TWIN, singular, slow_condition, tanh_network
from problems import DOUBLE, gaussian, orthogonal

from floss.lyapunov.arbitrary_precision import _log2_norm_of_inverse
from floss.lyapunov.condition import condition_number


def test_exact_agrees_with_the_slow_twin():
    pytest.importorskip("flint")
    D, Q = tanh_network(100, 5, 30), orthogonal(101, 5)
    expected = [slow_condition(D, Q[:, :m]) for m in (1, 3, 5)]
    assert condition_number(D, q0=Q, dims=[1, 3, 5], bits=800).tolist() == pytest.approx(expected, abs=SAME)


@pytest.mark.parametrize("bits", [900, "auto"])
@pytest.mark.parametrize("whole", [True, False])
def test_float64_agrees_with_arbitrary_precision(bits, whole):
    pytest.importorskip("flint")
    D = torch.stack((tanh_network(110, 16, 60), tanh_network(120, 16, 60)), dim=1)
    arguments: dict[str, Any] = {"horizons": [1, 20, 60]} | ({} if whole else {"dims": [2, 9, 16]})
    exact = condition_number(D, bits=bits, **arguments)
    torch.testing.assert_close(condition_number(D, **arguments), exact, rtol=0, atol=TWIN)


@pytest.mark.slow
def test_float64_agrees_with_arbitrary_precision_on_networks_of_the_paper():
    pytest.importorskip("flint")
    D, horizons = tanh_network(130, 80, 150), [20, 100, 150]
    ours, exact = condition_number(D, horizons=horizons), condition_number(D, horizons=horizons, bits=1536)
    assert exact[-1] > 200
    torch.testing.assert_close(ours, exact, rtol=0, atol=TWIN)
    dims = [10, 40, 80]
    torch.testing.assert_close(
        condition_number(D, dims=dims), condition_number(D, dims=dims, bits=1536), rtol=0, atol=TWIN
    )


def test_fixed_precision_saturates():
    """256 bits hold κ₂ up to about 2^256 = 10⁷⁷, and are right far below it."""
    pytest.importorskip("flint")
    D, horizons = tanh_network(140, 16, 300), [20, 200, 250, 300]
    ours, fixed = condition_number(D, horizons=horizons), condition_number(D, horizons=horizons, bits=256)
    assert (ours[1:] > 120).all()
    assert float(fixed[0]) == pytest.approx(float(ours[0]), abs=TWIN)
    # Rounding leaves a singular value of about 2^-bits: how far from it depends on the bits of D.
    for bits, saturated in ((256, fixed[1:]), (64, condition_number(D, horizons=horizons[1:], bits=64))):
        assert ((saturated - bits * math.log10(2)).abs() < 6).all()


def test_fixed_precision_rounds_to_so_many_bits():
    """Symmetric factors whose square has κ₂ = 10⁸: in 12 bits it is lost, and nothing hangs at two bits."""
    pytest.importorskip("flint")
    Q = orthogonal(150, 4)
    D = (Q @ torch.diag(torch.tensor([1.0, 0.5, 0.1, 1e-4], dtype=DOUBLE)) @ Q.mT).expand(2, 4, 4)
    assert float(condition_number(D, bits=60)) == pytest.approx(8.0, abs=1e-6)
    assert 3 < condition_number(D, bits=12) < 6
    assert condition_number(D, bits=2, dims=[1, 4], q0=Q)[0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("bits", [256, "auto"])
def test_exact_singular(bits):
    """Found in exact arithmetic: rounding to 256 bits would leave 10⁷⁷."""
    pytest.importorskip("flint")
    whole = gaussian(160, 20, 5, 5)
    D = torch.stack((whole, singular("silent unit", whole)), dim=1)
    value = condition_number(D, horizons=[2, 3, 20], bits=bits)
    assert value.isinf().tolist() == [[False, False], [False, True], [False, True]]
    value = condition_number(D, dims=[1, 4, 5], bits=bits)
    assert value.isinf().tolist() == [[False] * 3, [False, False, True]]
    torch.testing.assert_close(value, condition_number(D, dims=[1, 4, 5]), rtol=0, atol=TWIN)


def test_exact_beyond_float64():
    """Two products that float64 cannot tell: nearly singular, and one that undoes itself."""
    pytest.importorskip("flint")
    D = orthogonal(170, 3) @ torch.diag(torch.tensor([1.0, 1.0, 2.0**-60], dtype=DOUBLE)) @ orthogonal(171, 3)
    assert condition_number(D[None], bits="auto") > 15
    half = torch.diag(2.0 ** torch.tensor([3.0, 0.0, -4.0], dtype=DOUBLE)).expand(60, 3, 3)
    there_and_back = torch.cat((half, torch.linalg.inv(half)))
    assert condition_number(there_and_back, q0=orthogonal(172, 3), bits="auto") == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("power", [10, 150, 1500])
def test_exact_inverse_takes_the_bits_it_needs(power):
    """[[1, 1], [1, 1 + 2^-p]] has the inverse 2^p [[1 + 2^-p, -1], [-1, 1]], of norm 2^(p + 1) (1 + 2^-p / 4 + …)."""
    flint = pytest.importorskip("flint")
    with flint.ctx.workprec(2000):
        small = flint.arb(2) ** -power
        columns = flint.arb_mat([[1, 1], [1, 1 + small]])
        tall = flint.arb_mat([[1, 1], [1, 1 + small], [0, 0]])
        dependent = flint.arb_mat([[1, 1], [1, 1]])
    expected = power + 1 + 2.0**-power / 4 / math.log(2)
    for matrix in (columns, tall):
        assert _log2_norm_of_inverse(flint, matrix, 53) == pytest.approx(expected, abs=4.0**-power + SAME)
    assert _log2_norm_of_inverse(flint, dependent, 53) == math.inf


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_exact_neither_overflows_nor_underflows(scale):
    pytest.importorskip("flint")
    D = gaussian(180, 8, 4, 4)
    value = condition_number(scale * D, horizons=[1, 8], dims=[2, 4], bits=300)
    torch.testing.assert_close(value, condition_number(D, horizons=[1, 8], dims=[2, 4]), rtol=0, atol=TWIN)


def test_exact_leaves_the_precision_of_flint_alone():
    flint = pytest.importorskip("flint")

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with flint.ctx.workprec(77):
        condition_number(gaussian(190, 3, 4, 4), bits="auto")
        assert flint.ctx.prec == 77
        with pytest.raises(KeyboardInterrupt):
            condition_number(gaussian(190, 3, 4, 4), bits=300, callback=interrupt)
        assert flint.ctx.prec == 77


def test_exact_callback():
    pytest.importorskip("flint")
    seen = []
    D = tanh_network(191, 8, 40)[:, None].expand(40, 2, 8, 8)
    condition_number(D, bits="auto", callback=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] == seen[-1][1]


def test_without_flint(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ValueError, match=re.escape("bits needs python-flint: pip install 'floss[exact]'")):
        condition_number(gaussian(192, 3, 4, 4), bits=256)
