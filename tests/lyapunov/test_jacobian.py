"""One-step Jacobians of any map, by forward-mode differentiation or by the map's own method."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, TRAINED_CELLS, gaussian
from torch.func import jacrev

import floss
from floss.networks import CELLS

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}
"""The same float64 products in another order."""


def slow_jacobians(step, h, inputs):
    """Along one trajectory, by reverse-mode differentiation."""
    found = []
    for x in inputs:
        found.append(jacrev(lambda state: step(state, x))(h))  # noqa: B023
        h = step(h, x)
    return torch.stack(found)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_jacobians_along_a_trajectory(arch, own):
    """D[s] is that of the step from h[s] to h[s+1], also where it is rank-deficient."""
    cell = CELLS[arch]
    parameters = cell.initial_parameters(
        torch.arange(2), torch.full((2,), 0.9).double(), n=4, inputs=2, batch=1, dtype=DOUBLE
    )
    step, x = cell.step(parameters), gaussian(1, 5, 2, 2)
    n = cell.state_size(4)
    h0 = gaussian(2, 2, n)
    D = floss.one_step_jacobians(step if own else lambda h, u: step(h, u), h0, x)
    assert D.shape == (5, 2, n, n)
    for r in range(2):
        single = cell.step({name: p[r] for name, p in parameters.items()})
        torch.testing.assert_close(D[:, r], slow_jacobians(single, h0[r], x[:, r]), **EXACT)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)], ids=str)
def test_leading_axes_are_independent_trajectories(shape):
    W = gaussian(3, 3, 3)

    def step(h, x):
        return torch.tanh(h @ W.mT) + x * h

    h0, x = gaussian(4, *shape), gaussian(5, 6, *shape)
    D = floss.one_step_jacobians(step, h0, x)
    assert D.shape == (6, *shape, 3)
    for at in torch.ones(shape[:-1]).nonzero().tolist():
        place = (slice(None), *at)
        torch.testing.assert_close(D[place], slow_jacobians(step, h0[tuple(at)], x[place]), **EXACT)


def test_autonomous_map():
    """Hénon's map: D = [[-2.8 x, 1], [0.3, 0]]."""

    def step(h):
        x, y = h.unbind(-1)
        return torch.stack((1.0 - 1.4 * x**2 + y, 0.3 * x), -1)

    h = torch.tensor([0.1, 0.2], dtype=DOUBLE)
    D = floss.one_step_jacobians(step, h, steps=4)
    for s in range(4):
        torch.testing.assert_close(D[s], torch.tensor([[-2.8 * float(h[0]), 1.0], [0.3, 0.0]], dtype=DOUBLE), **EXACT)
        h = step(h)


def test_their_product_is_the_jacobian_of_all_steps():
    """The long-term Jacobian D[T-1] ⋯ D[0], and the sum of the exponents is its log determinant per step."""
    W, x, h0 = gaussian(6, 4, 4) / 2.0, gaussian(7, 6, 4), gaussian(8, 4)

    def step(h, u):
        return torch.tanh(h @ W.mT) + u

    def all_steps(h):
        for u in x:
            h = step(h, u)
        return h

    D = floss.one_step_jacobians(step, h0, x)
    product = torch.linalg.multi_dot(list(D.flip(0)))
    torch.testing.assert_close(product, jacrev(all_steps)(h0), **EXACT)
    lam = floss.lyapunov_spectrum(step, h0, x)
    assert float(lam.sum()) == pytest.approx(float(torch.linalg.slogdet(product).logabsdet) / 6, abs=1e-10)


@pytest.mark.parametrize("own", [True, False])
def test_differentiable(own):
    """With respect to what the map, the state and the inputs depend on."""
    parameters = CELLS["gru"].initial_parameters(torch.arange(1), torch.ones(1), n=3, inputs=2, batch=1, dtype=DOUBLE)

    def of(W, h0, x):
        step = CELLS["gru"].step({**parameters, "W": W})
        return floss.one_step_jacobians(step if own else lambda h, u: step(h, u), h0, x)

    leaves = (parameters["W"], gaussian(9, 1, 3), gaussian(10, 2, 1, 2))
    assert torch.autograd.gradcheck(of, tuple(leaf.requires_grad_() for leaf in leaves))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one_step_jacobians: an autonomous map needs steps="),
        ({"steps": 0}, "one_step_jacobians: steps=0 must be at least 1"),
        ({"inputs": gaussian(12, 6, 3), "steps": 5}, "one_step_jacobians: steps=5 but there are 6 inputs"),
    ],
    ids=["no length", "no steps", "two lengths"],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        floss.one_step_jacobians(lambda h, x=0.0: h + x, torch.ones(3), **arguments)
