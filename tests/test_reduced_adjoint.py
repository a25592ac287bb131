"""The hot loop's orthonormalisation: accuracy in float32, and matrices that are beyond help among healthy ones."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian, orthogonal

from floss.cells import CELLS
from floss.lyapunov import initial_tangent
from floss.reduced_adjoint import orthonormalise, rate_network_exponents
from floss.schedule import transient_steps

PAPER: dict[str, Any] = {"n": 80, "inputs": 1, "batch": 1}
K = 75
ORTHONORMAL = 1e-5
"""Largest entry of QᵀQ - I in float32: rounding leaves 1e-7, and a Gram matrix of condition number (1e5)² 1e-6."""


def paper_network(R: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return CELLS["vanilla"].initial_parameters(torch.arange(R), torch.ones(R, dtype=dtype), dtype=dtype, **PAPER)


@pytest.mark.parametrize(("k", "t_ons"), [(K, 1), (40, 5), (8, 40)])
def test_orthonormal_after_500_steps_in_float32(k, t_ons):
    """The paper's networks: condition numbers of one interval up to some 1e5."""
    parameters = paper_network(2)
    step, h, q = (
        CELLS["vanilla"].step(parameters),
        parameters["h0"][:, 0],
        initial_tangent(torch.arange(2), 80, k).float(),
    )
    worst = 0.0
    for s in range(500):
        h, q = step(h, gaussian(s, 2, 1).float()), step.tangent(h, q)
        if (s + 1) % t_ons == 0:
            q, _, _ = orthonormalise(q)
            worst = max(worst, float((q.double().mT @ q.double() - torch.eye(k)).abs().max()))
    assert worst < ORTHONORMAL


def test_condition_number_of_a_hundred_thousand():
    """What design.md asks for; a Gram matrix in float32 would have failed at 3e3."""
    values = torch.logspace(0, -5, K, dtype=DOUBLE)
    z = (orthogonal(10, 80)[:, :K] @ torch.diag(values) @ orthogonal(11, K)).float()
    q, log_r, _ = orthonormalise(z[None])
    assert float((q.double().mT @ q.double() - torch.eye(K)).abs().max()) < ORTHONORMAL
    exact = torch.linalg.qr(z.double()).R.diagonal().abs().log()
    torch.testing.assert_close(log_r[0].double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthonormalise_is_a_qr_decomposition(dtype):
    z = gaussian(1, 3, 7, 5).to(dtype)
    q, log_r, inverse = orthonormalise(z)
    r = torch.linalg.inv(inverse.double())
    tolerance: dict[str, Any] = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 1e-13}
    torch.testing.assert_close(q.double() @ r, z.double(), **tolerance)
    torch.testing.assert_close(r.diagonal(dim1=-2, dim2=-1).log(), log_r.double(), **tolerance)
    torch.testing.assert_close(q.double().mT @ q.double(), torch.eye(5, dtype=DOUBLE).expand(3, 5, 5), **tolerance)


def bad_matrices() -> dict[str, tuple[torch.Tensor, list[float | None]]]:
    """A matrix [7, 5] and its log R_ii: None where it is an ordinary number."""
    rank_two = gaussian(2, 7, 5)
    rank_two[:, 2:] = rank_two[:, :1] + rank_two[:, 1:2]
    zero_column, one_nan, one_inf = gaussian(3, 7, 5), gaussian(4, 7, 5), gaussian(5, 7, 5)
    zero_column[:, 3], one_nan[6, 4], one_inf[0, 0] = 0.0, torch.nan, torch.inf
    lost, undefined = float("-inf"), float("nan")
    return {
        "rank two": (rank_two, [None, None, lost, lost, lost]),
        "zero column": (zero_column, [None, None, None, lost, lost]),
        "zero": (torch.zeros(7, 5, dtype=DOUBLE), [lost] * 5),
        "one NaN": (one_nan, [undefined] * 5),
        "one inf": (one_inf, [undefined] * 5),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", bad_matrices())
def test_bad_matrix_among_healthy_ones(name, dtype):
    matrix, expected = bad_matrices()[name]
    healthy = gaussian(6, 4, 7, 5).to(dtype)
    stack = healthy.clone()
    stack[1] = matrix
    results = orthonormalise(stack)
    for ours, alone in zip(results, orthonormalise(healthy), strict=True):
        others = [0, 2, 3]
        assert torch.equal(ours[others], alone[others]), "a healthy network changed"
    q, log_r, inverse = (part[1] for part in results)
    for value, wanted in zip(log_r, expected, strict=True):
        if wanted is None:
            assert bool(value.isfinite())
        else:
            torch.testing.assert_close(float(value), wanted, equal_nan=True)
    assert bool(q.isfinite().all())
    assert bool(inverse.isfinite().all())


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
        CELLS["vanilla"].activation,
        transient=transient_steps(55),
    )
    return torch.autograd.grad(lam.square().mean(-1).sum(), [parameters[name] for name in ("W", "V", "b")])


def test_float32_gradient_of_the_reference_protocol():
    """At k = 75 of 80 the adjoint goes through R^{-1} of condition 1e3 to 1e5 at every step, and must not explode."""
    for single, double in zip(gradient_of_flossing(torch.float32), gradient_of_flossing(torch.float64), strict=True):
        for a, b in zip(single.double(), double, strict=True):
            assert float((a - b).norm() / b.norm()) < 1e-3


@pytest.mark.parametrize("when", [0, 3, -1])
@pytest.mark.parametrize("arch", CELLS)
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
        return rate_network_exponents(W, V, b, h0[:, 0], inputs, q0, CELLS[arch].activation, transient=2)

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
            CELLS["relu"].activation,
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
    lam = rate_network_exponents(W, zero, zero[..., 0], h0, zero[None, :, 0], q, CELLS["relu"].activation)
    assert torch.equal(lam.isneginf(), torch.arange(N) >= rank[:, None])
