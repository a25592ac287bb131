"""floss.finite_time_exponents: singular values of the Jacobians of t steps, however far apart they are."""

import mpmath
import pytest
import torch
from problems import DOUBLE, gaussian, orthogonal
from torch import nn

import floss

N, T = 5, 12
W = 1.3 * gaussian(1, N, N) / N**0.5


def step(h, x):
    return torch.tanh(h @ W.mT) + x


def test_the_singular_values_of_numeric_jacobians():
    """Of the t-fold map itself, by its derivative as a whole, for each trajectory."""
    h0, inputs = gaussian(2, 2, 3, N), 0.3 * gaussian(3, T, 2, 3, N)
    ours = floss.finite_time_exponents(step, h0, inputs)
    assert ours.shape == (T, 2, 3, N)

    def after(t, i, j):
        def iterated(h):
            for x in inputs[:t, i, j]:
                h = step(h, x)
            return h

        return torch.autograd.functional.jacobian(iterated, h0[i, j])

    for t in (1, 2, 5):  # a product of more steps has lost digits of its smallest singular value
        for i, j in ((0, 0), (1, 2)):
            exact = torch.linalg.svdvals(after(t, i, j)).log() / t
            torch.testing.assert_close(ours[t - 1, i, j], exact, rtol=1e-7, atol=1e-7)


def test_k_steps_and_modules():
    module = nn.GRU(3, 4, dtype=DOUBLE)
    own, n = floss.step_from_module(module)
    x = gaussian(4, T, 3)
    whole = floss.finite_time_exponents(own, gaussian(5, n), x)
    assert torch.equal(floss.finite_time_exponents(own, gaussian(5, n), x, steps=T, k=2), whole[:, :2])
    D = floss.one_step_jacobians(own, gaussian(5, n), x).detach()
    volume = D.det().abs().log().cumsum(0)
    torch.testing.assert_close(whole.sum(-1) * torch.arange(1, T + 1), volume, rtol=1e-9, atol=1e-9)
    single = floss.finite_time_exponents(lambda h: 0.5 * h, torch.zeros(2, 1), steps=3)
    torch.testing.assert_close(single, torch.full((3, 2, 1), 0.5).log())


def exact_log_singular_values(D: torch.Tensor, t: int) -> list[float]:
    """With six hundred digits."""
    with mpmath.workdps(600):
        product = mpmath.eye(D.shape[-1])
        for a in D[:t].tolist():
            product = mpmath.matrix(a) * product
        squares = mpmath.eigsy(product.T * product, eigvals_only=True)
        return sorted((float(mpmath.log(abs(s)) / 2) for s in squares), reverse=True)


@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_far_beyond_the_digits_of_a_float(spread):
    """A product whose singular values lie up to a thousand orders of magnitude apart, from random rotations."""
    n, steps = 4, 60
    scales = torch.exp(spread * torch.linspace(1, -2, n, dtype=DOUBLE))
    D = torch.stack([orthogonal(i, n) * scales @ orthogonal(99 + i, n) for i in range(steps)])
    number = iter(range(10**6))

    class Given:
        def __call__(self, h):
            return h

        def advance(self, h, q):
            return h, D[min(max(next(number) - 1, 0), steps - 1)] @ q  # the first call is that of the checks

    ours = floss.finite_time_exponents(Given(), torch.zeros(n, dtype=DOUBLE), steps=steps)
    for t in (1, 10, steps):
        exact = torch.tensor(exact_log_singular_values(D, t), dtype=DOUBLE) / t
        torch.testing.assert_close(ours[t - 1], exact, rtol=1e-9, atol=1e-9)


def test_equal_singular_values_and_lost_directions():
    A = 0.7 * orthogonal(1, 6)
    lam = floss.finite_time_exponents(lambda h: h @ A.mT, gaussian(2, 6), steps=300, k=4)
    torch.testing.assert_close(lam, torch.full((300, 4), 0.7, dtype=DOUBLE).log(), rtol=1e-11, atol=1e-12)
    singular = A.clone()
    singular[:, 2] = 0.0
    lam = floss.finite_time_exponents(lambda h: h @ singular.mT, gaussian(2, 6), steps=40)
    lost = torch.isinf(lam).sum(-1)
    assert (lost >= 1).all()
    exact = torch.linalg.svdvals(torch.linalg.matrix_power(singular, 10)).log() / 10
    torch.testing.assert_close(lam[9, :5], exact[:5], rtol=1e-9, atol=1e-9)
    nothing = floss.finite_time_exponents(lambda h: 0.0 * h, gaussian(2, 3), steps=3)
    assert (nothing == -torch.inf).all()


def test_single_precision_and_arguments():
    h0 = gaussian(3, N)
    ours = floss.finite_time_exponents(lambda h: torch.tanh(h @ W.to(h).mT), h0.float(), steps=T)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(
        ours.double(), floss.finite_time_exponents(lambda h: torch.tanh(h @ W.mT), h0, steps=T), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        floss.finite_time_exponents(lambda h: torch.tanh(h @ W.mT), h0.numpy(), steps=2),  # pyright: ignore
        floss.finite_time_exponents(lambda h: torch.tanh(h @ W.mT), h0, steps=2),
    )
    for settings, message in (
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({}, "an autonomous map needs steps="),
        ({"steps": 3, "k": 6}, "k=6 must be from 1 to the state size 5"),
        ({"steps": 3, "k": 1.0}, "k=1.0 must be a whole number, from 1 to the state size 5"),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            floss.finite_time_exponents(lambda h: h, h0, **settings)  # pyright: ignore
        assert str(caught.value) == f"finite_time_exponents: {message}"
    start = torch.tensor([[0.5], [1e300]], dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"^finite_time_exponents: the Jacobian of step 1 at batch index \(1,\) is no"):
        floss.finite_time_exponents(lambda h: h**2, start, steps=5)
    with pytest.raises(ValueError, match=r"^finite_time_exponents: has no derivatives"):
        torch.func.grad(lambda h: floss.finite_time_exponents(torch.tanh, h, steps=2).sum())(h0)
