"""floss.lyapunov.flow: the exact derivative of the Runge-Kutta map, its order, and spectra of flows that are known."""

import mpmath
import pytest
import torch
from problems import DOUBLE, gaussian, lorenz, lorenz_field, lorenz_product, lorenz_starts, orthogonal

import floss
from floss.lyapunov.dimension import entropy_rate, kaplan_yorke_dimension
from floss.lyapunov.flow import stroboscopic_map
from floss.lyapunov.history import lyapunov_history

W = gaussian(1, 4, 4)


def network(h, x):
    """dh/dt = -h + W tanh(h) + x."""
    return -h + torch.tanh(h) @ W.mT + x


def network_product(h, q, x):
    return -q + W @ ((1.0 - torch.tanh(h) ** 2)[..., None] * q)


class ClosedForm:
    """A vector field that brings its own tangent."""

    def __call__(self, h, x):
        return network(h, x)

    def advance(self, h, q, x):
        return network(h, x), network_product(h, q, x)


# --- the tangent map ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "product"),
    [(network, None), (network, network_product), (ClosedForm(), None)],
    ids=["autodiff", "product", "own advance"],
)
@pytest.mark.parametrize("substeps", [1, 3])
def test_advance_is_the_derivative_of_the_map(field, product, substeps):
    step = stroboscopic_map(field, 0.7, substeps=substeps, jacobian_product=product)
    h, x, q = gaussian(2, 3, 4), gaussian(3, 3, 4), gaussian(4, 3, 4, 2)
    after, tangent = step.advance(h, q, x)
    assert torch.equal(after, step(h, x))
    for b in range(3):
        D = torch.func.jacrev(step)(h[b], x[b])
        torch.testing.assert_close(tangent[b], D @ q[b], rtol=1e-13, atol=1e-14)


def test_advance_without_input():
    h, q = lorenz_starts(5, 2), gaussian(6, 2, 3, 3)
    automatic = stroboscopic_map(lorenz_field, 0.1, substeps=4)
    by_hand = stroboscopic_map(lorenz_field, 0.1, substeps=4, jacobian_product=lorenz_product)
    for a, b in zip(automatic.advance(h, q), by_hand.advance(h, q), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_input_is_constant_over_the_period():
    h, x = gaussian(7, 4), gaussian(8, 4)
    step = stroboscopic_map(lambda h, x: x - h, 1.5, substeps=200)
    exact = x + (h - x) * torch.tensor(-1.5, dtype=DOUBLE).exp()
    torch.testing.assert_close(step(h, x), exact, rtol=0, atol=1e-9)  # (1.5 / 200)^4


# --- order -------------------------------------------------------------------------------------------------------


def order(substeps, errors):
    """Minus the slope of the least-squares line in logarithms."""
    x, y = (torch.tensor(values, dtype=DOUBLE).log() for values in (substeps, errors))
    x, y = x - x.mean(), y - y.mean()
    return -float(x @ y / (x @ x))


def test_state_converges_with_order_four():
    """Lorenz over half a unit of time, against a Taylor series with 20 digits."""
    start, time = (1.0, 2.0, 20.0), 0.5
    with mpmath.workdps(20):

        def field(_, h):
            x, y, z = h
            return [10 * (y - x), x * (28 - z) - y, x * y - mpmath.mpf(8) / 3 * z]

        exact = torch.tensor([float(value) for value in mpmath.odefun(field, 0, list(start))(time)], dtype=DOUBLE)
    substeps = [100, 141, 200, 283, 400]
    h0 = torch.tensor(start, dtype=DOUBLE)
    errors = [float((stroboscopic_map(lorenz_field, time, substeps=s)(h0) - exact).norm()) for s in substeps]
    # The next order is dt = 0.5 / 100 times a rate of about 10 smaller.
    assert order(substeps, errors) == pytest.approx(4.0, abs=0.1)
    assert errors[-1] < 1e-7


def test_tangent_converges_with_order_four():
    """Of a linear flow, D = exp(A t)."""
    A = gaussian(9, 4, 4)
    exact = torch.linalg.matrix_exp(2.0 * A)
    substeps = [20, 40, 80]
    errors = []
    for s in substeps:
        step = stroboscopic_map(lambda h: h @ A.mT, 2.0, substeps=s)
        errors.append(float((step.advance(gaussian(10, 4), torch.eye(4, dtype=DOUBLE))[1] - exact).norm()))
    assert order(substeps, errors) == pytest.approx(4.0, abs=0.15)


# --- known spectra -----------------------------------------------------------------------------------------------


def test_exponents_of_a_linear_flow_are_the_real_parts():
    """A normal matrix with eigenvalues 0.3 ± 2i, -0.1, -0.5 ± i behind a rotation."""
    blocks = [torch.tensor([[a, -w], [w, a]], dtype=DOUBLE) for a, w in ((0.3, 2.0), (-0.5, 1.0))]
    basis = orthogonal(11, 5)
    A = basis @ torch.block_diag(blocks[0], torch.tensor([[-0.1]], dtype=DOUBLE), blocks[1]) @ basis.mT
    period, substeps = 0.25, 10
    step = stroboscopic_map(lambda h: h @ A.mT, period, substeps=substeps, jacobian_product=lambda _, q: A @ q)
    lam = floss.lyapunov_spectrum(step, gaussian(12, 5), steps=400, transient=300) / period
    exact = torch.tensor([0.3, 0.3, -0.1, -0.5, -0.5], dtype=DOUBLE)
    torch.testing.assert_close(lam, exact, rtol=0, atol=2e-6)  # dt⁴ · 2.02⁵ / 120 of the flow
    z = torch.linalg.eigvals(A) * (period / substeps)
    growth = 1.0 + z + z**2 / 2.0 + z**3 / 6.0 + z**4 / 24.0  # of the Runge-Kutta map
    numerical = growth.abs().log().sort(descending=True).values * (substeps / period)
    torch.testing.assert_close(lam, numerical, rtol=0, atol=1e-12)


def test_lorenz():
    """Sprott 2003: 0.9056, 0, -14.5723 per unit of time, dimension 2.06215."""
    period = 0.1
    problem = lorenz(period)
    history = lyapunov_history(problem.step, problem.h0, steps=problem.steps, transient=problem.transient)
    lam = history.exponents / period
    mean = lam.mean(0)
    torch.testing.assert_close(mean, problem.exponents / period, rtol=0, atol=problem.tolerance / period)
    # The divergence is constant, and the error that is left is that of the Runge-Kutta steps: 1.0e-4 at dt = 0.01.
    torch.testing.assert_close(lam.sum(-1), torch.full((400,), -41.0 / 3.0, dtype=DOUBLE), rtol=0, atol=1e-3)
    assert float(kaplan_yorke_dimension(mean * torch.tensor([1.0, 0.0, 1.0]))) == pytest.approx(2.06215, abs=1e-3)
    assert float(entropy_rate(mean)) == pytest.approx(0.9056, abs=0.01)


def test_volume_contraction_converges_with_order_four():
    """Σ λ = -(σ + 1 + β) of the flow; what the map differs by falls as dt⁴."""
    errors = []
    for substeps in (5, 10):
        problem = lorenz(0.1, substeps)
        lam = floss.lyapunov_spectrum(problem.step, lorenz_starts(13, 100), steps=150, transient=50)
        errors.append(float((lam.sum(-1) / 0.1 + 41.0 / 3.0).mean()))
    # The next order, and 100 runs of different trajectories.
    assert order([5, 10], errors) == pytest.approx(4.0, abs=0.25)


def test_gradient_of_an_exponent():
    """A continuous network, automatic against central differences."""
    x, h0, direction = gaussian(14, 12, 4), gaussian(15, 4), gaussian(16, 4, 4)

    def first(V):
        step = stroboscopic_map(lambda h, x: -h + torch.tanh(h) @ V.mT + x, 0.5, substeps=3)
        return floss.lyapunov_spectrum(step, h0, x, k=2, transient=2)[0]

    V = W.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(first(V), V)
    with torch.no_grad():
        central = (first(W + 1e-5 * direction) - first(W - 1e-5 * direction)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(central), rel=1e-6, abs=1e-8)


# --- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"period": 0.0}, "period=0.0 must be positive and finite"),
        ({"period": -1.0}, "period=-1.0 must be positive and finite"),
        ({"period": float("nan")}, "period=nan must be positive and finite"),
        ({"period": float("inf")}, "period=inf must be positive and finite"),
        ({"period": 1.0, "substeps": 0}, "substeps=0 must be at least 1"),
        ({"period": 1.0, "substeps": 2.5}, "substeps=2.5 must be a whole number, at least 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"stroboscopic_map: {message}"):
        stroboscopic_map(network, **arguments)
