"""The linear recurrent unit: its initial distribution, and exponents that are known in closed form."""

import math
import re

import pytest
import torch
from networks.distributions import SIGMAS, N, R, S, assert_normal, assert_uniform, draw
from problems import DOUBLE, GATED_CELLS, gaussian

import floss
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.iteration import qr_chain, run_exponents
from floss.networks import CELLS
from floss.networks.lru import LRUStep
from floss.training.flossing import FlossingObjective, flossing_gradient
from floss.training.schedule import FlossingRun

NEW_CELLS = (*GATED_CELLS, "lru")


# --- initial distributions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("g", [0.3, 1.0])
def test_lru_eigenvalues(g):
    """Uniform in the disc |λ| < g, and inputs normalised by √(1 - |λ|²)."""
    p = draw("lru", g=g)
    modulus = (-p["nu"].exp()).exp()
    assert_uniform(modulus**2, 0.0, g**2)
    assert_uniform(p["theta"].exp(), 0.0, 2.0 * math.pi)
    torch.testing.assert_close(p["gamma"].exp(), (1.0 - modulus**2).sqrt(), rtol=1e-9, atol=0)
    assert abs(float(torch.corrcoef(torch.stack((modulus.flatten(), p["theta"].exp().flatten())))[0, 1])) < SIGMAS / (
        (R * N) ** 0.5
    )


def test_lru_weights():
    """Complex B and C of variance 1/S and 1/N, half of it in each part for B."""
    p = draw("lru", bias=0.3)
    for part in range(2):
        assert_normal(p["B"][:, part], 0.0, (2 * S) ** -0.5)
        assert_normal(p["C"][:, part], 0.0, N**-0.5)
    assert_normal(p["D"], 0.0, 1.0)
    assert_uniform(p["b"], 0.0, 0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("g", [1e-3, 1.0])
def test_lru_numbers_are_finite_at_the_ends(g, dtype):
    p = draw("lru", g=g, dtype=dtype, relaxation=100)
    for name, value in p.items():
        assert bool(value.isfinite().all()), name


@pytest.mark.parametrize("g", [0.0, -0.5, 1.1, math.nan])
def test_lru_refuses_gains_that_no_modulus_has(g):
    message = f"g={g:g}: must be above 0 and at most 1 for arch=lru, where it is the largest |λ_j|"
    with pytest.raises(ValueError, match=re.escape(message)):
        CELLS["lru"].check(8, g, "gaussian", 0.0)


@pytest.mark.parametrize(("init", "mean"), [("orthogonal", 0.0), ("gaussian", 0.1)])
def test_lru_refuses_options_of_a_recurrent_matrix(init, mean):
    with pytest.raises(ValueError, match="init and mean: must be gaussian and 0 for arch=lru"):
        CELLS["lru"].check(8, 0.9, init, mean)


# --- exponents of the LRU ----------------------------------------------------------------------------------------


def lru_step(moduli: list[float]) -> LRUStep:
    """One unit for each modulus, turned by 1, 2, … radians."""
    nu = (-torch.tensor(moduli, dtype=DOUBLE).log()).log()
    theta = (1.0 + torch.arange(len(moduli), dtype=DOUBLE)).log()
    return LRUStep(nu, theta, torch.zeros_like(nu), gaussian(1, 2, len(moduli), 2))


def test_lru_exponents_are_known_and_come_in_pairs():
    step, h0 = lru_step([0.3, 0.9, 0.6]), gaussian(2, 6)
    logs = torch.tensor([0.9, 0.9, 0.6, 0.6, 0.3, 0.3], dtype=DOUBLE).log()
    for x in (gaussian(3, 9, 2), 100.0 * gaussian(4, 9, 2)):
        for k in (1, 3, 6):
            torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, x, k=k), logs[:k], rtol=1e-12, atol=0)
    torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, steps=1), logs, rtol=1e-12, atol=0)


def test_lru_closed_form_equals_the_qr_method():
    """After the tangent vectors have turned: (0.6 / 0.9)^(2 · 80) of the error is left, and the rest is rounding."""
    step, h0, x = lru_step([0.3, 0.9, 0.6]), gaussian(2, 6), gaussian(3, 160, 2)
    known = floss.lyapunov_spectrum(step, h0, x)
    by_qr = floss.lyapunov_spectrum(lambda h, u: step(h, u), h0, x, transient=80)
    torch.testing.assert_close(by_qr, known, rtol=0, atol=1e-6)
    assert float((by_qr - known).abs().max()) < 1e-12, "the Jacobian is normal: nothing else is left of the transient"


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)], ids=str)
def test_lru_exponents_of_a_batch(shape):
    """Each network's own, whatever the trajectory."""
    p = draw("lru", count=2)
    lam = floss.lyapunov_spectrum(CELLS["lru"].step(p), gaussian(5, *shape, 2 * N), steps=3, k=5)
    assert lam.shape == (*shape, 5)
    for r in range(2):
        own = (-p["nu"][r].exp()).sort(descending=True).values.repeat_interleave(2)[:5]
        torch.testing.assert_close(lam[r], own.expand(*shape[1:], 5), rtol=0, atol=0)


def test_lru_flossing_gradient_equals_finite_differences():
    cell, p, size = CELLS["lru"], draw("lru", count=3), 1e-6
    x, q0 = gaussian(6, 3, 25, S), initial_tangent(torch.arange(3), 2 * N, 15)
    k, target = torch.tensor([1, 8, 15]), torch.tensor([0.0, -1.0, -0.2], dtype=DOUBLE)

    def floss_of(parameters):
        return flossing_gradient(cell, parameters, x, FlossingObjective(q0, k, target, FlossingRun(25, 13), 1))

    loss, exponents, gradient = floss_of(p)
    assert gradient.keys() == {"nu"}
    assert exponents.shape == (3, 15)
    for r in range(3):
        own = (-p["nu"][r].exp()).sort(descending=True).values.repeat_interleave(2)[: k[r]]
        assert float(loss[r]) == pytest.approx(float(floss.flossing_loss(own, target[r])), rel=1e-12)
    direction = gaussian(7, 3, N)
    up, down = (floss_of({**p, "nu": p["nu"] + sign * size * direction})[0] for sign in (1.0, -1.0))
    # Truncation size² = 1e-12, rounding 1e-16 / size = 1e-10.
    torch.testing.assert_close((gradient["nu"] * direction).sum(-1), (up - down) / (2.0 * size), rtol=1e-7, atol=1e-8)


def test_lru_gradient_of_exponents_equals_automatic_differentiation():
    """Of a chain that the closed form equals from its first step on: its tangent vectors span the units' own planes."""
    p, steps = draw("lru", count=3), 6
    nu = p["nu"].clone().requires_grad_()
    step, h0 = CELLS["lru"].step({**p, "nu": nu}), gaussian(8, 3, 2 * N)
    order = nu.detach().argsort(-1)
    planes = torch.stack((order, order + N), -1).flatten(1)[:, :15]
    q0 = torch.nn.functional.one_hot(planes, 2 * N).double().mT
    chain = Chain(h0, q0, gaussian(9, steps, 3, S), steps, 2, 2)
    ours, slow = run_exponents(step, chain), qr_chain(step, chain, total=True)[0][0] / (steps - 2)
    torch.testing.assert_close(ours, slow, rtol=1e-10, atol=0)
    weight = gaussian(10, 3, 15)
    found, wanted = (torch.autograd.grad((lam * weight).sum(), nu)[0] for lam in (ours, slow))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
