"""Exponents of twenty chaotic flows of dysts (Gilpin 2021): against plain NumPy, and against what it has measured."""

# dysts is in the extra floss[cells]
# pyright: reportMissingImports=false

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from problems import DOUBLE
from torch import Tensor

import floss

pytestmark = pytest.mark.slow

FLOWS = (
    *("Lorenz", "Rossler", "Chen", "Halvorsen", "Rucklidge", "SprottA", "SprottB", "SprottC", "SprottD", "SprottE"),
    *("SprottF", "SprottG", "HyperRossler", "Dadras", "ShimizuMorioka", "GenesioTesi", "Hadley", "Finance"),
    *("NoseHoover", "QiChen"),
)
STEPS, SUBSTEPS = 200, 5
ROUNDING = 1e-9
"""Both add up the same numbers in another order; chaos multiplies the difference some thousand times in this time."""


def flow(name: str) -> Any:
    """A flow of polynomials, so that its right-hand side takes tensors and complex numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have Numba
        flows = pytest.importorskip("dysts.flows", reason="needs pip install 'floss[cells]'")
        return getattr(flows, name)()


def rates(model: Any, *h: Any) -> Any:
    plain = getattr(type(model)._rhs, "py_func", type(model)._rhs)
    return plain(*h, 0.0, **model.params)


def as_map(model: Any, period: float) -> Any:
    def field(h: Tensor) -> Tensor:
        several = [torch.as_tensor(rate, dtype=h.dtype) for rate in rates(model, *h.unbind(-1))]
        return torch.stack(torch.broadcast_tensors(*several), -1)

    return floss.stroboscopic_map(field, period, substeps=SUBSTEPS)


def jacobian(model: Any, h: np.ndarray) -> np.ndarray:
    """By complex steps, exact to rounding for polynomials."""
    columns = [np.imag(rates(model, *(h + 1e-30j * e))) / 1e-30 for e in np.eye(len(h))]
    return np.stack(columns, -1)


def by_numpy(model: Any, period: float) -> np.ndarray:
    """Runge-Kutta's method for the state and its tangent vectors, and a QR decomposition after each period."""
    h, q, logs = np.array(model.ic, float), np.eye(len(model.ic)), np.zeros(len(model.ic))
    dt = period / SUBSTEPS

    def slope(h: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array(rates(model, *h), float), jacobian(model, h) @ q

    for _ in range(STEPS):
        for _ in range(SUBSTEPS):
            a, A = slope(h, q)
            b, B = slope(h + dt / 2 * a, q + dt / 2 * A)
            c, C = slope(h + dt / 2 * b, q + dt / 2 * B)
            d, D = slope(h + dt * c, q + dt * C)
            h, q = h + dt / 6 * (a + 2 * b + 2 * c + d), q + dt / 6 * (A + 2 * B + 2 * C + D)
        q, r = np.linalg.qr(q)
        logs += np.log(np.abs(np.diag(r)))
    return np.sort(logs / (STEPS * period))[::-1]


@pytest.mark.parametrize("name", FLOWS)
def test_the_exponents_are_those_of_plain_numpy(name):
    model = flow(name)
    period = model.period / 50
    step, n = as_map(model, period), len(model.ic)
    h0, q0 = torch.tensor(model.ic, dtype=DOUBLE), torch.eye(n, dtype=DOUBLE)
    lam = step.per_time(floss.lyapunov_spectrum(step, h0, steps=STEPS, k=n, q0=q0))
    expected = by_numpy(model, period)
    np.testing.assert_allclose(lam, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


@pytest.mark.parametrize("name", ["Lorenz", "Chen", "Halvorsen", "SprottB"])
def test_the_largest_exponent_is_about_what_dysts_has_measured(name):
    model = flow(name)
    step = as_map(model, model.period / 20)
    h0 = torch.tensor(model.ic, dtype=DOUBLE) + 1e-3 * torch.arange(8)[:, None]
    lam = step.per_time(floss.lyapunov_spectrum(step, h0, steps=2000, k=1, transient=500, t_ons=5))
    assert float(lam.mean()) == pytest.approx(model.maximum_lyapunov_estimated, rel=0.1)
