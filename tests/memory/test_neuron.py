"""Moments of one linear neuron against series, finite differences, and simulation."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false

import re

import pytest
import torch
from problems import DOUBLE

from floss.memory import gated_moments, moments, sensitivity_moment, state_moment

PAIRS = [(0.9, 0.9), (0.5, -0.3), (0.0, 0.7), (0.6 + 0.5j, 0.6 - 0.5j), (0.3j, -0.8 + 0.1j), (0.97, 0.97)]
RHO = [0.0, 0.3, 0.9, 0.99, 1.0]


def powers(a: complex, terms: int) -> torch.Tensor:
    return torch.tensor([complex(a) ** i for i in range(terms)], dtype=torch.complex128)


def series(a: complex, b: complex, rho: float, *, order: int, terms: int = 1200) -> complex:
    """Σ_ij c_i c_j a^i b^j ρ^|i - j|, with c_i = 1, or i a^(i-1) in place of a^i; the slow, obvious form."""
    i = torch.arange(terms, dtype=DOUBLE)
    left, right = powers(a, terms), powers(b, terms)
    if order:
        left, right = (torch.cat((p.new_zeros(1), i[1:] * p[:-1])) for p in (left, right))
    correlation = rho ** (i[:, None] - i).abs()
    return complex(left @ (correlation.to(left.dtype) @ right))


@pytest.mark.parametrize("rho", RHO)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_moments_are_their_series(a, b, rho):
    assert complex(state_moment(a, b, rho)) == pytest.approx(series(a, b, rho, order=0), rel=1e-9)
    assert complex(sensitivity_moment(a, b, rho)) == pytest.approx(series(a, b, rho, order=1), rel=1e-9)


@pytest.mark.parametrize("rho", RHO)
def test_the_sensitivity_is_the_mixed_derivative_of_the_moment(rho):
    a, b = (torch.tensor(v, dtype=DOUBLE, requires_grad=True) for v in (0.7, -0.4))
    (first,) = torch.autograd.grad(state_moment(a, b, rho), a, create_graph=True)
    (mixed,) = torch.autograd.grad(first, b)
    assert float(mixed) == pytest.approx(float(sensitivity_moment(a.detach(), b.detach(), rho)), rel=1e-12)


def test_it_grows_with_the_third_and_fourth_power():
    near, nearer = torch.tensor(1 - 1e-4, dtype=DOUBLE), torch.tensor(1 - 1e-5, dtype=DOUBLE)
    for rho, slope in ((0.0, 3), (0.9, 3), (1.0, 4)):
        growth = sensitivity_moment(nearer, nearer, rho) / sensitivity_moment(near, near, rho)
        assert float(growth.log10()) == pytest.approx(slope, abs=1e-3)
    assert float(sensitivity_moment(near, near)) == pytest.approx(2.5e11, rel=1e-3)
    assert float(sensitivity_moment(near, near, 1.0)) == pytest.approx(1e16, rel=1e-3)


def test_the_printed_form_is_another_one():
    """The paper's numerator has 1 - ρ where 1 - ρ² belongs."""
    assert float(sensitivity_moment(0.9, 0.9, 0.5)) == pytest.approx(778.12, abs=0.005)


@pytest.mark.parametrize("lam", [0.9, -0.5, 0.6 + 0.7j, 0.0])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_any_autocorrelation(lam, rho):
    eigenvalue = torch.tensor([lam, lam], dtype=torch.complex128 if isinstance(lam, complex) else DOUBLE)
    state, sensitivity = moments(eigenvalue, rho ** torch.arange(600, dtype=DOUBLE))
    conjugate = complex(lam).conjugate() if isinstance(lam, complex) else lam
    assert state.tolist() == pytest.approx([complex(state_moment(lam, conjugate, rho)).real] * 2, rel=1e-9)
    assert sensitivity.tolist() == pytest.approx([complex(sensitivity_moment(lam, conjugate, rho)).real] * 2, rel=1e-9)


def test_simulated():
    """20 000 sequences, within four standard errors."""
    generator = torch.Generator().manual_seed(3)
    lam, rho, steps, sequences = 0.8, 0.5, 80, 20_000
    x = torch.randn(sequences, generator=generator, dtype=DOUBLE)
    h = slope = torch.zeros(sequences, dtype=DOUBLE)
    for _ in range(steps):
        h, slope = lam * h + x, h + lam * slope
        x = rho * x + (1 - rho**2) ** 0.5 * torch.randn(sequences, generator=generator, dtype=DOUBLE)
    for sample, exact in ((h**2, state_moment(lam, lam, rho)), (slope**2, sensitivity_moment(lam, lam, rho))):
        assert abs(float(sample.mean() - exact)) < 4 * float(sample.std()) / sequences**0.5


def test_a_gate_tames_it():
    """Against central differences of G, and bounded where the ungated neuron explodes."""
    bias = torch.tensor([0.0, 2.0, 5.0], dtype=DOUBLE)
    variances, correlations = torch.tensor([0.332, 0.043], dtype=DOUBLE), torch.tensor([0.0, 0.997], dtype=DOUBLE)
    lam = torch.sigmoid(bias)

    def g(a, b):
        terms = variances * state_moment(a[:, None], b[:, None], correlations)
        return (1 - a) * (1 - b) * terms.sum(-1)

    e = 1e-4 * (1 - lam)
    mixed = (g(lam + e, lam + e) - g(lam + e, lam - e) - g(lam - e, lam + e) + g(lam - e, lam - e)) / (4 * e**2)
    state, sensitivity = gated_moments(bias, variances, correlations)
    torch.testing.assert_close(state, g(lam, lam), rtol=1e-12, atol=0)
    torch.testing.assert_close(sensitivity, mixed * (lam * (1 - lam)) ** 2, rtol=1e-4, atol=0)
    _, far = gated_moments(torch.tensor([12.0], dtype=DOUBLE), variances, correlations)
    assert float(far) < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: state_moment(1.0, 1.0), "a b: must be inside the unit circle, not 1"),
        (lambda: sensitivity_moment(0.5, 0.5, 1.5), "rho: must be between 0 and 1, not 1.5"),
        (lambda: state_moment(1.5, 0.1, 1.0), "rho a: must be inside the unit circle, not 1.5"),
        (lambda: moments(torch.tensor([1.0]), torch.ones(3)), "eigenvalue: must be inside the unit circle, not 1"),
        (lambda: moments(torch.tensor([0.1]), torch.ones(0)), "autocorrelation: must be R(0), R(1), …, one number"),
        (lambda: state_moment("0.5", 0.5), "a='0.5' must be a real or complex number, or a tensor or a NumPy array"),
        (lambda: state_moment(True, 0.5), "a=True must be a real or complex number"),
        (lambda: state_moment(torch.tensor([0.5, torch.nan]), 0.5), "a b: must be inside the unit circle, not nan"),
        (lambda: sensitivity_moment(0.5, 0.5, 0.5j), "rho=0.5j must be a real number"),
        (lambda: gated_moments(torch.tensor(torch.inf), torch.ones(1), torch.ones(1)), "bias: must be finite, not inf"),
        (lambda: gated_moments(torch.zeros(1), torch.ones(2), torch.ones(1)), "variances, correlations: must be two"),
    ],
)
def test_what_cannot_be_asked(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}[^\n]*$"):
        call()
