"""Exponents of rate networks in closed form: accuracy in float32, and networks that are beyond help."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, RATE_CELLS, activation, gaussian

from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS
from floss.networks.rate.reduced_adjoint import rate_network_exponents
from floss.training.schedule import transient_steps

PAPER: dict[str, Any] = {"n": 80, "inputs": 1, "batch": 1}
K = 75


def paper_network(R: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return CELLS["vanilla"].initial_parameters(torch.arange(R), torch.ones(R, dtype=dtype), dtype=dtype, **PAPER)


def gradient_of_flossing(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    parameters = {name: p.to(dtype).requires_grad_() for name, p in paper_network(3).items()}
    x = torch.rand(55, 3, 1, generator=torch.Generator().manual_seed(7), dtype=DOUBLE).to(dtype)
    lam = rate_network_exponents(
        parameters["W"],
        parameters["V"],
        parameters["b"],
        parameters["h0"][:, 0],
        x,
        initial_tangent(torch.arange(3), 80, K, dtype),
        activation("vanilla"),
        transient=transient_steps(55),
    )
    return torch.autograd.grad(lam.square().mean(-1).sum(), [parameters[name] for name in ("W", "V", "b")])


def test_float32_gradient_of_the_reference_protocol():
    """At k = 75 of 80 the adjoint goes through R^{-1} of condition 1e3 to 1e5 at every step, and must not explode."""
    for single, double in zip(gradient_of_flossing(torch.float32), gradient_of_flossing(torch.float64), strict=True):
        for a, b in zip(single.double(), double, strict=True):
            assert float((a - b).norm() / b.norm()) < 1e-3


@pytest.mark.parametrize("when", [0, 3, -1])
@pytest.mark.parametrize("arch", RATE_CELLS)
def test_state_that_is_not_finite(arch, when):
    """Also in the transient, and in the last step, whose state enters no Jacobian."""
    parameters = CELLS[arch].initial_parameters(
        torch.arange(3), torch.ones(3, dtype=DOUBLE), n=6, inputs=1, batch=1, dtype=DOUBLE
    )
    healthy = gaussian(12, 8, 3, 1)
    x = healthy.clone()
    x[when, 1] = torch.nan

    def exponents(inputs):
        W, V, b, h0 = (parameters[name] for name in ("W", "V", "b", "h0"))
        q0 = initial_tangent(torch.arange(3), 6, 2)
        return rate_network_exponents(W, V, b, h0[:, 0], inputs, q0, activation(arch), transient=2)

    lam = exponents(x)
    assert bool(lam[1].isnan().all())
    assert torch.equal(lam[[0, 2]], exponents(healthy)[[0, 2]])


def test_lost_directions_leave_the_others_alone():
    """A unit that never responds makes the last of N exponents -inf, and the first N - 1 and their gradient are those
    of k = N - 1."""
    parameters = CELLS["relu"].initial_parameters(
        torch.arange(2), torch.ones(2, dtype=DOUBLE), n=6, inputs=1, batch=1, dtype=DOUBLE
    )
    parameters["b"] += 3.0
    parameters["W"][:, 2], parameters["V"][:, 2], parameters["b"][:, 2] = 0.0, 0.0, -1.0
    parameters["h0"][:, :, 2] = -1.0
    x, weight = gaussian(8, 12, 2, 1), gaussian(9, 2, 5)

    def five(k: int) -> tuple[torch.Tensor, torch.Tensor]:
        W = parameters["W"].detach().requires_grad_()
        lam = rate_network_exponents(
            W,
            parameters["V"],
            parameters["b"],
            parameters["h0"][:, 0],
            x,
            initial_tangent(torch.arange(2), 6, k),
            activation("relu"),
            transient=2,
        )
        assert bool(lam[:, 5:].isneginf().all())
        (gradient,) = torch.autograd.grad((lam[:, :5] * weight).sum(), W)
        return lam[:, :5].detach(), gradient

    (all_six, gradient_six), (first_five, gradient_five) = five(6), five(5)
    torch.testing.assert_close(all_six, first_five, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient_six, gradient_five, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_units_that_do_not_respond_lose_the_rest(dtype):
    """D = W diag(0 or 1) has the rank of its ones: every exponent after it is lost, though R_ii may not show it."""
    R, N = 100, 32
    W, q = gaussian(20, R, N, N).to(dtype), torch.linalg.qr(gaussian(21, R, N, N))[0].to(dtype)
    rank = torch.randint(8, 24, (R,), generator=torch.Generator().manual_seed(22))
    h0 = torch.where(torch.arange(N) < rank[:, None], 1.0, -1.0).to(dtype)
    zero = torch.zeros(R, N, 1, dtype=dtype)
    lam = rate_network_exponents(W, zero, zero[..., 0], h0, zero[None, :, 0], q, activation("relu"))
    assert torch.equal(lam.isneginf(), torch.arange(N) >= rank[:, None])
