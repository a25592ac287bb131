"""Runs that fail say where and what helps; directions that a singular Jacobian annihilates, and long float32 runs."""

import math
from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian
from twins import relative

import floss
from floss.networks import CELLS

H0 = torch.ones(2, 3, dtype=DOUBLE)
GAINS = torch.tensor([2.0, 0.5, 0.25], dtype=DOUBLE)


class Product:
    """Tangent vectors times the matrices D [T, ..., n, n]; the inputs are the numbers of the steps."""

    def __init__(self, D: torch.Tensor) -> None:
        self.D = D

    def __call__(self, h, x):
        return 0.0 * h

    def advance(self, h, q, x):
        return 0.0 * h, self.D[int(x)] @ q


def deficient() -> torch.Tensor:
    """Jacobians of eight steps, the sixth of rank two; the first two of four axes are invariant."""
    D = gaussian(1, 8, 4, 4)
    D[:, 2:, :2], D[5, :, 2:] = 0.0, 0.0
    return D


STEPS, ZERO, BASIS = torch.arange(8.0), torch.zeros(4, dtype=DOUBLE), torch.eye(4, dtype=DOUBLE)

# --- where a run fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t_ons", [1, 3])
@pytest.mark.parametrize(
    "analysis", [floss.lyapunov_spectrum, floss.lyapunov_history, floss.covariant_lyapunov_vectors]
)
def test_divergence_names_the_step(analysis, t_ons):
    """h → h² from 10: above the largest float after the ninth step, with steps counted from one."""
    h0 = torch.tensor([[0.5], [10.0]], dtype=DOUBLE)
    message = (
        rf"^{analysis.__name__}: exponent 0 at batch index \(1,\) is not finite: the state is not finite after step 9"
    )
    with pytest.raises(ValueError, match=message + " of 12$"):
        analysis(lambda h: h * h, h0, steps=12, t_ons=t_ons)


def test_divergence_by_a_closed_form_names_the_step():
    parameters = CELLS["linear"].initial_parameters(
        torch.arange(2), torch.ones(2), n=3, inputs=1, batch=1, dtype=DOUBLE
    )
    parameters["W"][1] *= 1e80
    with pytest.raises(
        ValueError, match=r"batch index \(1,\) is not finite: the state is not finite after step 4 of 9$"
    ):
        floss.lyapunov_spectrum(CELLS["linear"].step(parameters), parameters["h0"][:, 0], steps=9)


def test_a_jacobian_that_is_not_finite_beside_states_that_are():
    D = deficient()
    D[3, 0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"the states are, but not the tangent vectors after step 4 of 8$"):
        floss.lyapunov_spectrum(Product(D), ZERO, STEPS, k=2)


@pytest.mark.parametrize(
    ("dtype", "arguments", "message"),
    [
        (torch.float64, {}, r"at step 6 of 8, with 2 of 4 directions: .*; k=2 or singular='-inf' may help$"),
        (torch.float64, {"t_ons": 4}, r"at step 8 of 8, with 2 of 4 directions: .* t_ons=4 is too long; k=2 or"),
        (torch.float32, {}, r"at step 6 of 8, .*; k=2 or float64 numbers or singular='-inf' may help$"),
        (torch.float64, {"transient": 7}, r"at step 6 of 8, with 2 of 4"),
    ],
)
@pytest.mark.parametrize("analysis", [floss.lyapunov_spectrum, floss.lyapunov_history])
def test_singular_jacobian_names_the_step(analysis, dtype, arguments, message):
    with pytest.raises(ValueError, match=f"^{analysis.__name__}: exponent 2 is lost to rank deficiency {message}"):
        analysis(Product(deficient().to(dtype)), ZERO.to(dtype), STEPS, q0=BASIS.to(dtype), **arguments)


def test_a_run_ends_soon_after_the_step_that_fails():
    seen = []

    def step(h, x):
        seen.append(float(x))
        return h * torch.where(x >= 5.0, torch.tensor([1.0, 1.0, 0.0]), 1.0)

    with pytest.raises(ValueError, match="lost to rank deficiency at step 6 of 1000"):
        floss.lyapunov_spectrum(step, H0, torch.arange(1000.0))
    assert max(seen) < 10.0


def test_closed_form_names_the_step():
    """Of three relu units one stops responding in the third step."""
    parameters = CELLS["relu"].initial_parameters(torch.arange(1), torch.ones(1), n=3, inputs=1, batch=1, dtype=DOUBLE)
    parameters["W"], parameters["V"] = torch.eye(3, dtype=DOUBLE)[None], torch.tensor([[[0.0], [0.0], [1.0]]])
    parameters = {name: value.double() for name, value in parameters.items()}
    x = torch.tensor([0.0, -9.0, 0.0, 0.0, 0.0], dtype=DOUBLE)[:, None, None]
    h0 = torch.ones(1, 3, dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"exponent 2 at batch index \(0,\) is lost to rank deficiency at step 3 of 5"):
        floss.lyapunov_spectrum(CELLS["relu"].step(parameters), h0, x)
    lam = floss.lyapunov_spectrum(CELLS["relu"].step(parameters), h0, x, singular="-inf")
    assert lam[0, :2].isfinite().all()
    assert lam[0, 2].isneginf()


# --- exponents of -inf -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"t_ons": 4}, {"t_ons": "adaptive"}, {"transient": 7}], ids=str)
def test_lost_directions_leave_the_others_alone(arguments):
    """Values and gradients are those of a run with two vectors."""
    found = []
    for k in (2, 4):
        D = deficient().requires_grad_()
        lam = floss.lyapunov_spectrum(Product(D), ZERO, STEPS, q0=BASIS[:, :k], singular="-inf", **arguments)
        assert lam[2:].isneginf().all()
        found.append((lam[:2].detach(), torch.autograd.grad(lam[:2].square().sum(), D)[0]))
    if "adaptive" not in arguments.values():  # two vectors alone have a longer interval
        torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)
    else:
        assert relative(found[1][1], found[0][1]) < 1e-6


def test_history_of_a_lost_direction():
    history = floss.lyapunov_history(Product(deficient()), ZERO, STEPS, q0=BASIS, singular="-inf")
    lam = floss.lyapunov_spectrum(Product(deficient()), ZERO, STEPS, q0=BASIS, singular="-inf")
    torch.testing.assert_close(history.exponents, lam)
    assert history.growth[5, 2:].isneginf().all()
    assert history.growth[:5].isfinite().all()
    assert history.standard_error(4)[:2].isfinite().all()
    assert history.standard_error(4)[2:].isnan().all()


def test_networks_of_units_that_do_not_respond():
    """An LSTM without recurrent weights has the exponents of its cells alone; the outputs depend on nothing else."""
    module = torch.nn.LSTM(2, 6, dtype=DOUBLE)
    torch.nn.init.zeros_(module.get_parameter("weight_hh_l0"))
    step, n = floss.step_from_module(module)
    lam = floss.lyapunov_spectrum(step, torch.zeros(n, dtype=DOUBLE), gaussian(3, 20, 2), singular="-inf")
    assert lam[:6].isfinite().all()
    assert lam[6:].isneginf().all()


# --- sums in float64 ---------------------------------------------------------------------------------------------

LONG = 4_000


class Doubling:
    """Every vector is twice as long after each step."""

    def __call__(self, h):
        return h

    def advance(self, h, q):
        return h, 2.0 * q


@pytest.mark.parametrize("of", [lambda *a, **b: floss.lyapunov_history(*a, **b).exponents, floss.lyapunov_spectrum])
def test_long_float32_runs_keep_the_digits_of_a_step(of):
    """A sum in float32 is off by several 1e-6 after so many steps."""
    lam = of(Doubling(), torch.zeros(2), steps=LONG)
    assert lam.dtype == torch.float32
    torch.testing.assert_close(lam, torch.full((2,), math.log(2)), rtol=2e-7, atol=0)


def test_closed_form_adds_up_in_float64():
    parameters = CELLS["linear"].initial_parameters(torch.arange(1), torch.ones(1), n=2, inputs=1, batch=1)
    parameters["W"][:] = 0.7 * torch.eye(2)
    parameters["b"].zero_()
    h0: Any = parameters["h0"][:, 0]
    lam = floss.lyapunov_spectrum(CELLS["linear"].step(parameters), h0, steps=LONG)
    torch.testing.assert_close(lam, torch.full((1, 2), math.log(0.7)), rtol=3e-7, atol=0)


@pytest.mark.parametrize("steps", [3, 40])
def test_a_map_that_writes_into_its_state_fails_without_touching_that_of_the_caller(steps):
    h0 = torch.full((3,), 2.0, dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"the state is not finite after step 3 of \d+$"):
        floss.lyapunov_spectrum(lambda h: h.mul_(1e120), h0, steps=steps, k=1)
    assert torch.equal(h0, torch.full((3,), 2.0, dtype=DOUBLE))
