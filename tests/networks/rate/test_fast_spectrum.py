"""The fast way of rate networks without gradients, against the slow one that differentiates."""

import math
from typing import Any

import pytest
import torch
from problems import DOUBLE, RATE_CELLS, gaussian

import floss
from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS
from floss.networks.rate import fast_spectrum as rate_spectrum
from floss.networks.rate.compiled_chain import compiled_chain
from floss.networks.rate.fast_spectrum import rate_network_spectrum
from floss.networks.rate.reduced_adjoint import rate_network_exponents

RUN: dict[str, Any] = {"activation": CELLS["vanilla"].activation, "t_ons": 1, "compiled": True}  # pyright: ignore[reportAttributeAccessIssue]
HALF_THE_DIGITS: dict[str, Any] = {"rtol": 0, "atol": 1e-9}
"""Intervals of a condition number up to 6.7e6 leave an error of 1e-16 times that, over the steps of one interval."""


def problem(arch: str, n: int, k: int, R: int, g: float, steps: int) -> tuple[Any, ...]:
    """Arguments of both functions; relu units are biased so that most respond."""
    parameters = CELLS[arch].initial_parameters(
        torch.arange(R), torch.full((R,), g, dtype=DOUBLE), n=n, inputs=2, batch=1, dtype=DOUBLE
    )
    if arch == "relu":
        parameters["b"] += 3.0
    W, V, b, h0 = (parameters[name] for name in ("W", "V", "b", "h0"))
    return W, V, b, h0[:, 0], gaussian(1, steps, R, 2), initial_tangent(torch.arange(R), n, k), CELLS[arch].activation  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(("t_ons", "transient"), [(1, 0), (1, 137), (3, 20)])
@pytest.mark.parametrize(("n", "k", "R", "g"), [(12, 12, 1, 1.0), (12, 3, 4, 0.6), (30, 30, 2, 0.5), (1, 1, 2, 0.9)])
@pytest.mark.parametrize("arch", RATE_CELLS)
def test_equals_the_slow_way(arch, n, k, R, g, t_ons, transient):
    """Over several chunks; lost directions of relu networks are the same ones."""
    arguments = problem(arch, n, k, R, g, 400)
    slow = rate_network_exponents(*arguments, t_ons=t_ons, transient=transient)
    fast = rate_network_spectrum(*arguments, t_ons=t_ons, transient=transient)
    assert torch.equal(torch.isfinite(fast), torch.isfinite(slow))
    torch.testing.assert_close(fast, slow, **HALF_THE_DIGITS)


@pytest.mark.parametrize(("compiled", "chunk"), [(False, 128), (True, 1024)])
def test_intervals_are_lengthened_and_a_bad_chunk_is_done_again(monkeypatch, compiled, chunk):
    """Quiet at first, then driven into saturation: intervals that were short enough no longer are."""
    lengths = []
    bare = rate_spectrum._Run._bare

    def spy(self, drive):
        lengths.append(self.length)
        return bare(self, drive)

    monkeypatch.setattr(rate_spectrum._Run, "_bare", spy)
    W, V, b, h0, x, q0, phi = problem("vanilla", 6, 6, 1, 0.5, 600)
    x[300:] *= 40.0  # saturates units: their slopes differ by orders of magnitude
    slow = rate_network_exponents(W, V, b, h0, x, q0, phi)
    fast = rate_network_spectrum(W, V, b, h0, x, q0, phi, compiled=compiled)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-7)
    assert lengths[0] == 1
    assert max(lengths) > 1
    assert len(lengths) > math.ceil((600 - 8) / chunk) + 1, "no chunk was done again"


@pytest.mark.parametrize(("n", "k"), [(16, 16), (33, 7), (5, 1), (1, 1)])
@pytest.mark.parametrize("arch", RATE_CELLS)
def test_one_network_through_compiled_code_is_what_it_is_through_torch(monkeypatch, arch, n, k):
    """The same operations in the same order; tanh has another last digit."""
    assert compiled_chain(torch.eye(n, dtype=DOUBLE), k, CELLS[arch].activation) is not None, "needs a C++ compiler"  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(rate_spectrum, "_LONGEST", 1)  # chunks are longer, and intervals would be others
    arguments = problem(arch, n, k, 1, 0.6, 200)
    by_torch = rate_network_spectrum(*arguments, transient=50, compiled=False)
    torch.testing.assert_close(rate_network_spectrum(*arguments, transient=50), by_torch, rtol=1e-12, atol=1e-12)
    h, rows, drive = arguments[3][0], arguments[5].mT[0], gaussian(2, 40, n)
    run = rate_spectrum._Run(*arguments[:4], arguments[5], activation=arguments[6], t_ons=3, compiled=True)
    found = run._bare(drive[:, None])
    run.compiled = None
    wanted = run._bare(drive[:, None])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.abs(), b.abs().reshape(a.shape), rtol=1e-9, atol=1e-12)
    assert torch.equal(h, arguments[3][0])  # what it is given stays as it was
    assert torch.equal(rows, arguments[5].mT[0])


@pytest.mark.parametrize("R", [1, 3])
@pytest.mark.parametrize("arch", RATE_CELLS)
def test_single_precision(arch, R):
    """Against double precision; the growth is added up in it."""
    arguments = problem(arch, 12, 12, R, 0.6, 300)
    wanted = rate_network_exponents(*arguments)
    single: tuple[Any, ...] = (*(a.float() for a in arguments[:-1]), arguments[-1])
    lam = rate_network_spectrum(*single)
    assert lam.dtype == torch.float32
    torch.testing.assert_close(lam.double(), wanted, rtol=1e-4, atol=1e-4)


def test_without_a_compiler_it_goes_through_torch(monkeypatch):
    monkeypatch.setattr("floss.networks.rate.compiled_chain._library", lambda: None)
    run = rate_spectrum._Run(*problem("vanilla", 4, 2, 1, 1.0, 20)[:4], gaussian(1, 1, 4, 2), **RUN)
    assert run.compiled is None


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 0.0])
def test_a_bad_network_keeps_to_itself(bad):
    arguments = problem("vanilla", 8, 8, 3, 1.0, 150)
    W = arguments[0]
    healthy = rate_network_spectrum(*arguments)
    W[1] = bad
    beside = rate_network_spectrum(*arguments)
    torch.testing.assert_close(beside[[0, 2]], healthy[[0, 2]], **HALF_THE_DIGITS)
    lost = -torch.inf if bad == 0.0 else torch.nan
    torch.testing.assert_close(beside[1], torch.full((8,), lost, dtype=DOUBLE), equal_nan=True)


def test_units_that_do_not_respond_are_counted(monkeypatch):
    """Also where rounding noise hides that a direction is lost: the count of slopes is exact."""
    W, V, b, h0, x, q0, phi = problem("relu", 6, 5, 2, 1.0, 60)
    W *= 0.01
    b[:, :2], b[:, 2:] = -1e3, 1e3  # two of six units never respond, the others always do
    h0.copy_(b)
    monkeypatch.setattr("floss.lyapunov.orthonormalisation._NOISE", 0)
    lam = rate_network_spectrum(W, V, b, h0, x, q0, phi)
    assert torch.isfinite(lam[:, :4]).all()
    assert torch.equal(lam[:, 4], torch.full((2,), -torch.inf, dtype=DOUBLE))


def test_it_is_what_a_spectrum_without_gradients_takes(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "floss.networks.rate.network.rate_network_spectrum",
        lambda *a, **k: calls.append(1) or rate_network_spectrum(*a, **k),
    )
    parameters = CELLS["vanilla"].initial_parameters(
        torch.arange(2), torch.ones(2), n=5, inputs=1, batch=1, dtype=DOUBLE
    )
    step, h0 = CELLS["vanilla"].step(parameters), parameters["h0"][:, 0]
    plain = floss.lyapunov_spectrum(step, h0, steps=30)
    assert len(calls) == 1
    leaves = {name: p.requires_grad_() for name, p in parameters.items()}
    differentiable = floss.lyapunov_spectrum(CELLS["vanilla"].step(leaves), h0.detach(), steps=30)
    assert len(calls) == 1
    assert differentiable.requires_grad
    torch.testing.assert_close(plain, differentiable.detach(), **HALF_THE_DIGITS)
    with torch.no_grad():
        floss.lyapunov_spectrum(CELLS["vanilla"].step(leaves), h0.detach(), steps=30)
    assert len(calls) == 2


def test_threads_are_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rate_network_spectrum(*problem("vanilla", 4, 2, 1, 1.0, 20))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
