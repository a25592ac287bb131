"""Orthonormalisation that never raises: accuracy in float32, its gradient along a chain, and matrices beyond help."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian, orthogonal
from twins import relative

import floss
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.orthonormalisation import (
    CholeskyOrthonormaliser,
    orthonormalisation_times,
    orthonormalise,
)
from floss.lyapunov.step import advance
from floss.lyapunov.tangent_qr import TangentQR
from floss.networks import CELLS

K = 75
"""Exponents of the reference protocol, of 80."""
ORTHONORMAL = 1e-5
"""Largest entry of QᵀQ - I in float32: rounding leaves 1e-7, and a Gram matrix of condition number (1e5)² 1e-6."""


@pytest.mark.parametrize(("k", "t_ons"), [(K, 1), (40, 5), (8, 40)])
def test_orthonormal_after_500_steps_in_float32(k, t_ons):
    """The paper's networks: condition numbers of one interval up to some 1e5."""
    parameters = CELLS["vanilla"].initial_parameters(torch.arange(2), torch.ones(2), n=80, inputs=1, batch=1)
    step, h = CELLS["vanilla"].step(parameters), parameters["h0"][:, 0]
    q, worst = initial_tangent(torch.arange(2), 80, k).float(), 0.0
    for s in range(500):
        h, q = advance(step, h, q, gaussian(s, 2, 1).float())
        if (s + 1) % t_ons == 0:
            q, _, _ = orthonormalise(q)
            worst = max(worst, float((q.double().mT @ q.double() - torch.eye(k)).abs().max()))
    assert worst < ORTHONORMAL


def ill_conditioned(condition: float) -> torch.Tensor:
    """A float32 matrix [1, 80, 75] of this condition number."""
    values = torch.logspace(0, -torch.tensor(condition).log10().item(), K, dtype=DOUBLE)
    return (orthogonal(10, 80)[:, :K] @ torch.diag(values) @ orthogonal(11, K)).float()[None]


def test_condition_number_of_a_hundred_thousand():
    """What design.md asks for; a Gram matrix in float32 would have failed at 3e3."""
    z = ill_conditioned(1e5)
    q, log_r, _ = orthonormalise(z)
    assert float((q[0].double().mT @ q[0].double() - torch.eye(K)).abs().max()) < ORTHONORMAL
    exact = torch.linalg.qr(z.double()).R.diagonal(dim1=-2, dim2=-1).abs().log()
    torch.testing.assert_close(log_r.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e5])
def test_two_passes_of_cholesky_are_as_good_as_householder_reflections_in_float64(condition):
    z = ill_conditioned(condition).double()
    cholesky = CholeskyOrthonormaliser(len(z))
    (q, log_r, inverse), (wanted_q, wanted_log_r, _) = cholesky(z), orthonormalise(z)
    assert not cholesky.failed.any()
    assert float((q.mT @ q - torch.eye(K)).abs().max()) < 1e-14
    torch.testing.assert_close(log_r, wanted_log_r, rtol=0, atol=1e-15 * condition * K)
    torch.testing.assert_close(q, wanted_q, rtol=0, atol=1e-15 * condition * K)
    _, _, r = cholesky(z, inverse=False)
    assert torch.equal(r, r.triu())
    torch.testing.assert_close(q @ r, z, rtol=0, atol=1e-14)
    assert float((r @ inverse - torch.eye(K)).abs().max()) < 1e-15 * condition * K


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_a_chain_without_gradients_marks_what_no_cholesky_factor_is_good_enough_for(arch):
    """With all exponents of one interval of thirty steps, but not with one exponent."""
    parameters = CELLS[arch].initial_parameters(
        torch.arange(2), torch.ones(2), n=8, inputs=1, batch=1, dtype=torch.float64
    )
    step, h, x = CELLS[arch].step(parameters), parameters["h0"][:, 0], gaussian(1, 30, 2, 1)
    for k, marked in ((1, False), (8, True)):
        cholesky = CholeskyOrthonormaliser(2)
        q0 = initial_tangent(torch.arange(2), h.shape[-1], k)
        run_exponents(step, Chain(h, q0, x, 30, 30, 0, cholesky))
        assert cholesky.failed.tolist() == [marked] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_no_cholesky_factor_is_good_enough_for_is_marked(dtype):
    """And disturbs no other matrix: a large spread, a dependent column, a matrix that is not finite."""
    z = gaussian(1, 5, 80, K).to(dtype)
    z[1] = ill_conditioned(1e8)[0].to(dtype)
    z[2, :, 3] = z[2, :, 2]
    z[3, 0, 0] = torch.nan
    cholesky = CholeskyOrthonormaliser(len(z))
    results = cholesky(z)
    assert cholesky.failed.tolist() == [False, True, True, True, False]
    for result, alone in zip(results, CholeskyOrthonormaliser(2)(z[[0, 4]]), strict=True):
        assert torch.equal(result[[0, 4]], alone)
    cholesky(z[[0, 4, 0, 4, 0]])
    assert cholesky.failed.tolist() == [False, True, True, True, False]  # marks stay
    cholesky.reset()
    cholesky(z[[0, 4, 0, 4, 0]])
    assert not cholesky.failed.any()
    assert orthonormalise.failed is None  # it has another way


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthonormalise_is_a_qr_decomposition(dtype):
    z = gaussian(1, 3, 7, 5).to(dtype)
    q, log_r, inverse = orthonormalise(z)
    r = torch.linalg.inv(inverse.double())
    tolerance: dict[str, Any] = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 1e-13}
    torch.testing.assert_close(q.double() @ r, z.double(), **tolerance)
    torch.testing.assert_close(r.diagonal(dim1=-2, dim2=-1).log(), log_r.double(), **tolerance)
    torch.testing.assert_close(q.double().mT @ q.double(), torch.eye(5, dtype=DOUBLE).expand(3, 5, 5), **tolerance)


@pytest.mark.parametrize(
    "z",
    [gaussian(1, 3, 7, 5), gaussian(1, 3, 7, 5).float(), ill_conditioned(1e5), ill_conditioned(1e6)],
    ids=["float64", "float32", "float32, condition 1e5", "float32, condition 1e6"],
)
def test_without_the_inverse_r_comes_third(z):
    """By the Gram matrix as well as by Householder reflections; Q and log R_ii are the same either way."""
    (q, log_r, inverse), (same_q, same_log_r, r) = orthonormalise(z), orthonormalise(z, inverse=False)
    assert torch.equal(q, same_q)
    assert torch.equal(log_r, same_log_r)
    assert torch.equal(r, r.triu())
    tolerance = 2e-6 if z.dtype == torch.float32 else 1e-14  # a few roundings of numbers of size 1
    torch.testing.assert_close(q @ r, z, rtol=0, atol=tolerance)
    torch.testing.assert_close(r.diagonal(dim1=-2, dim2=-1).log(), log_r, rtol=0, atol=tolerance)
    identity = torch.eye(z.shape[-1]).expand_as(r).to(z.dtype)
    off = float((r @ inverse - identity).abs().max())
    condition = float(torch.linalg.cond(z.double()).max())
    assert off < tolerance * condition


# --- the gradient along a chain ----------------------------------------------------------------------------------


def growth(decompose, D, q, t_ons, transient=0):
    """log R_ii of each counted interval of the chain q ← D_s q, [M, ..., k]."""
    intervals, counted = dict(orthonormalisation_times(len(D), t_ons, transient)), []
    for s in range(len(D)):
        q = D[s] @ q
        if s + 1 in intervals:
            q, log_r = decompose(q)
            if intervals[s + 1]:
                counted.append(log_r)
    return torch.stack(counted)


def general_qr(z):
    q, r = floss.qr(z)
    return q, r.diagonal(dim1=-2, dim2=-1).log()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2)], ids=str)
@pytest.mark.parametrize(("t_ons", "transient"), [(1, 0), (3, 0), (3, 4), (1, 5)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_gradient_along_a_chain_is_that_of_the_general_pullback(shape, t_ons, transient, k):
    """Eight steps; every interval's every log R_ii with a weight of its own."""
    D, q = (gaussian(1, 8, *shape, 5, 5) / 5**0.5).requires_grad_(), gaussian(2, *shape, 5, k).requires_grad_()
    ours, general = (growth(decompose, D, q, t_ons, transient) for decompose in (TangentQR(), general_qr))
    torch.testing.assert_close(ours, general, rtol=1e-12, atol=1e-12)
    weight = gaussian(3, *general.shape)
    by_reduction, wanted = (torch.autograd.grad((log_r * weight).sum(), [D, q]) for log_r in (ours, general))
    for a, b in zip(by_reduction, wanted, strict=True):
        assert relative(a, b) < 1e-11


def test_gradient_by_two_passes_of_cholesky_is_that_of_the_general_pullback():
    D, q = (gaussian(1, 8, 2, 5, 5) / 5**0.5).requires_grad_(), gaussian(2, 2, 5, 4).requires_grad_()
    cholesky = CholeskyOrthonormaliser(2)
    ours = growth(TangentQR(cholesky), D, q, 2)
    general = growth(general_qr, D, q, 2)
    weight = gaussian(3, *general.shape)
    by_reduction, wanted = (torch.autograd.grad((log_r * weight).sum(), [D, q]) for log_r in (ours, general))
    assert not cholesky.failed.any()
    for a, b in zip(by_reduction, wanted, strict=True):
        assert relative(a, b) < 1e-11


@pytest.mark.parametrize("shape", [(5, 3), (4, 5, 3), (2, 3, 5, 3)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_values_with_and_without_a_gradient(shape, dtype):
    z = gaussian(4, *shape).to(dtype)
    with_gradient, without = TangentQR()(z.clone().requires_grad_()), TangentQR()(z)
    for a, b in zip(with_gradient, without, strict=True):
        assert torch.equal(a.detach(), b)
    assert with_gradient[0].shape == shape
    assert with_gradient[1].shape == (*shape[:-2], 3)
    q, r = floss.qr(z)
    tolerance: dict[str, Any] = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 1e-13}
    torch.testing.assert_close(without[0], q, **tolerance)
    torch.testing.assert_close(without[1], r.diagonal(dim1=-2, dim2=-1).log(), **tolerance)


# --- matrices that are beyond help -------------------------------------------------------------------------------


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


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("name", bad_matrices())
def test_bad_matrix_without_the_inverse(name, inverse):
    matrix, expected = bad_matrices()[name]
    q, log_r, _ = orthonormalise(matrix[None], inverse=inverse)
    lost = torch.tensor([float("nan") if value is None else value for value in expected], dtype=DOUBLE)
    known = torch.tensor([value is not None for value in expected])
    torch.testing.assert_close(log_r[0, known], lost[known], equal_nan=True)
    assert bool(log_r[0, ~known].isfinite().all())
    assert bool(q.isfinite().all())


def gradients(D: torch.Tensor, q: torch.Tensor, t_ons: int) -> tuple[torch.Tensor, ...]:
    """Of a loss of all finite log R_ii, with respect to the Jacobians [T, R, n, n] and the initial vectors."""
    D, q = D.clone().requires_grad_(), q.clone().requires_grad_()
    log_r = growth(TangentQR(), D, q, t_ons)
    loss = torch.where(log_r.isfinite(), log_r * gaussian(6, *log_r.shape), 0.0).square().sum()
    return torch.autograd.grad(loss, [D, q])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t_ons", [1, 3])
def test_bad_chains_leave_the_gradient_of_healthy_ones_alone(t_ons, dtype):
    """Bit for bit: of four chains one meets a NaN and one a Jacobian of rank two, in the middle."""
    healthy, q = gaussian(4, 8, 4, 5, 5).to(dtype), gaussian(5, 4, 5, 3).to(dtype)
    spoilt = healthy.clone()
    spoilt[4, 1, 2, 2] = torch.nan
    spoilt[4, 2, :, 2:] = 0.0
    (D_bar, q_bar), (wanted_D, wanted_q) = gradients(spoilt, q, t_ons), gradients(healthy, q, t_ons)
    others = [0, 3]
    assert torch.equal(D_bar[:, others], wanted_D[:, others])
    assert torch.equal(q_bar[others], wanted_q[others])
    assert bool(D_bar[:, 2].isfinite().all()), "the chain of deficient rank"


@pytest.mark.parametrize("t_ons", [1, 3])
def test_lost_columns_leave_those_before_them_alone(t_ons):
    """With a Jacobian of rank two, the gradient of the first two columns is that of a chain of two.

    The first two axes are an invariant subspace, in which the first two columns lie: then the Jacobian annihilates the
    other columns exactly. In general, rounding leaves some R_ii of 1e-14, which may or may not be seen as lost.
    """
    D, q = gaussian(7, 8, 2, 5, 5), gaussian(8, 2, 5, 4)
    D[..., 2:, :2], q[:, 2:, :2] = 0.0, 0.0
    D[5, :, :, 2:] = 0.0
    weight = gaussian(9, 2, 2)
    found = []
    for k in (2, 4):
        leaves = D.clone().requires_grad_(), q[..., :k].clone().requires_grad_()
        total = growth(TangentQR(), *leaves, t_ons).sum(0)
        assert bool(total[:, 2:].isneginf().all())
        D_bar, q_bar = torch.autograd.grad((total[:, :2] * weight).sum(), leaves)
        found.append((total[:, :2].detach(), D_bar, q_bar[..., :2]))
        torch.testing.assert_close(q_bar[..., 2:], torch.zeros_like(q_bar[..., 2:]), rtol=0, atol=1e-12)
    for two, four in zip(*found, strict=True):
        torch.testing.assert_close(four, two, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lost_log_r_has_no_gradient(dtype):
    """Whatever the loss makes of -inf: here the sum of all."""
    z = gaussian(10, 2, 5, 4).to(dtype)
    z[..., 2:] = 0.0
    whole, two = z.clone().requires_grad_(), z[..., :2].clone().requires_grad_()
    log_r = TangentQR()(whole)[1]
    assert bool(log_r[:, 2:].isneginf().all())
    (gradient,) = torch.autograd.grad(log_r.sum(), whole)
    (wanted,) = torch.autograd.grad(TangentQR()(two)[1].sum(), two)
    torch.testing.assert_close(gradient[..., :2], wanted, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0)
    assert torch.equal(gradient[..., 2:], torch.zeros_like(gradient[..., 2:]))
