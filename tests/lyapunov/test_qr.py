"""floss.qr: the decomposition, its pullback, and what it refuses."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import gaussian, orthogonal
from torch.autograd import gradcheck, gradgradcheck

import floss
from floss.lyapunov.qr import qr_pullback

ROUNDING = {torch.float32: 2e-6, torch.float64: 1e-14}
"""Householder reflections are exact to a few roundings, times √n at the sizes used here."""


@pytest.mark.parametrize("shape", [(5, 3), (4, 4), (4, 1), (2, 5, 3), (2, 3, 3, 3)], ids=str)
def test_gradcheck(shape):
    assert gradcheck(floss.qr, gaussian(1, *shape).requires_grad_())


@pytest.mark.parametrize("shape", [(6, 4), (5, 5), (3, 6, 4)], ids=str)
def test_pullback_equals_torch(shape):
    """Up to the signs that torch leaves open; the upper triangle of R alone varies."""
    a = gaussian(2, *shape).requires_grad_()
    weight_q, weight_r = gaussian(3, *shape), gaussian(4, *shape[:-2], shape[-1], shape[-1])
    q, r = floss.qr(a)
    (ours,) = torch.autograd.grad((q * weight_q).sum() + (r * weight_r).sum(), a)
    q, r = torch.linalg.qr(a)
    sign = r.diagonal(dim1=-2, dim2=-1).sign().detach()
    q, r = q * sign[..., None, :], r * sign[..., :, None]
    (theirs,) = torch.autograd.grad((q * weight_q).sum() + (r * weight_r).sum(), a)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_lower_triangle_of_grad_r_does_not_count():
    q, r = floss.qr(gaussian(5, 6, 4))
    grad_q, grad_r = gaussian(6, 6, 4), gaussian(7, 4, 4)
    whole, upper = qr_pullback(q, r, grad_q, grad_r), qr_pullback(q, r, grad_q, grad_r.triu())
    assert torch.equal(whole, upper)
    assert not torch.equal(whole, qr_pullback(q, r, grad_q, grad_r.tril())), "the upper triangle does count"


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.integers(0, 3), max_size=2),
    st.integers(1, 9),
    st.integers(0, 6),
    st.integers(0, 10**6),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_decomposition(batch, k, taller, seed, dtype):
    a = gaussian(seed, *batch, k + taller, k).to(dtype)
    q, r = floss.qr(a)
    assert q.shape == a.shape
    assert r.shape == (*batch, k, k)
    assert bool((r.diagonal(dim1=-2, dim2=-1) > 0).all())
    assert torch.equal(r, r.triu())
    torch.testing.assert_close(q @ r, a, rtol=0, atol=10 * ROUNDING[dtype])
    torch.testing.assert_close(q.mT @ q, torch.eye(k, dtype=dtype).expand_as(r), rtol=0, atol=ROUNDING[dtype])


def test_ill_conditioned_stays_orthonormal():
    """One-step condition numbers of 1e5 are what networks show (design.md); Gram-Schmidt would lose 1e-2."""
    values = torch.logspace(0, -5, 75, dtype=torch.float64)
    a = orthogonal(8, 80)[:, :75] @ torch.diag(values) @ orthogonal(9, 75)
    q, r = floss.qr(a.float())
    assert float((q.mT @ q - torch.eye(75)).abs().max()) < ROUNDING[torch.float32]
    assert float((q @ r - a.float()).abs().max()) < ROUNDING[torch.float32]


def stack_with(bad: torch.Tensor) -> torch.Tensor:
    a = gaussian(10, 2, 3, 5, 3)
    a[1, 2] = bad
    return a


def dependent() -> torch.Tensor:
    a = gaussian(11, 5, 3)
    a[:, 2] = a[:, 0] - 2.0 * a[:, 1]
    return a


PLACE = re.escape("batch index (1, 2)")


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (stack_with(dependent()), f"column 2 .*{PLACE} depends linearly"),
        (stack_with(torch.zeros(5, 3).double()), f"column 0 .*{PLACE} depends linearly"),
        (stack_with(torch.full((5, 3), torch.nan).double()), f"{PLACE} has a value that is not finite"),
        (stack_with(torch.full((5, 3), torch.inf).double()), f"{PLACE} has a value that is not finite"),
        (dependent(), "the matrix depends linearly"),
        (gaussian(12, 2, 3, 4), r"n >= k >= 1, got \[2, 3, 4\]"),
        (gaussian(12, 4, 0), r"n >= k >= 1, got \[4, 0\]"),
        (gaussian(12, 4), r"n >= k >= 1, got \[4\]"),
        (torch.ones(4, 2, dtype=torch.int64), "a must be float32 or float64 of shape .* got torch.int64"),
    ],
    ids=["dependent", "zero", "nan", "inf", "single", "wide", "no columns", "vector", "integer"],
)
def test_refuses(a, message):
    with pytest.raises(ValueError, match=message):
        floss.qr(a)


def test_second_derivative():
    """The pullback is made of differentiable operations, and says so or works: never a silently wrong Hessian."""
    assert gradgradcheck(floss.qr, gaussian(13, 4, 3).requires_grad_())


def test_forward_mode():
    """Jacobian-vector products, and derivatives of them, against finite differences."""
    for shape in ((5, 3), (4, 4), (2, 5, 3)):
        assert gradcheck(floss.qr, gaussian(14, *shape).requires_grad_(), check_forward_ad=True)


@pytest.mark.parametrize("part", [0, 1], ids=["q", "r"])
def test_torch_func(part):
    """Jacobians by reverse and by forward mode are one, whole and mapped over a batch."""
    a = gaussian(15, 3, 5, 3)

    def decomposed(matrix):
        return floss.qr(matrix)[part]

    reverse = torch.stack([torch.autograd.functional.jacobian(decomposed, each) for each in a])
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(torch.func.vmap(jacobian(decomposed))(a), reverse, rtol=1e-10, atol=1e-12)
    mapped = torch.func.vmap(decomposed, in_dims=1)(a.movedim(0, 1))
    torch.testing.assert_close(mapped, decomposed(a), rtol=0, atol=0)


def test_torch_func_of_higher_order():
    a = gaussian(16, 4, 3)

    def weighted(matrix):
        q, r = floss.qr(matrix)
        return (q.sin() * r.sum(0)).sum()

    wanted = torch.autograd.functional.hessian(weighted, a)
    for hessian in (torch.func.hessian(weighted), torch.func.jacrev(torch.func.grad(weighted))):
        torch.testing.assert_close(hessian(a), wanted, rtol=1e-9, atol=1e-11)


def test_what_is_refused_under_torch_func():
    with pytest.raises(ValueError, match="column 2 of the matrix at batch index \\(1,\\) depends linearly"):
        torch.func.vmap(floss.qr)(torch.stack((gaussian(17, 5, 3), dependent())))
