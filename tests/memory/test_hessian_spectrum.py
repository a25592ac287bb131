"""Leading eigenvalues and vectors against the whole Hessian by automatic differentiation, and where they are known."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false

import re

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import Tensor, nn

import floss
from floss.memory import STUDENTS, hessian, impulse_response

EIGENVALUES = 1e-8
"""Relative to the largest, in float64."""
RESIDUALS = 1e-7
"""‖Hv - λv‖ relative to the largest eigenvalue, in float64; the tolerance asked for is 1e-10."""
SINGLE = 2e-4
"""Relative to the largest eigenvalue, in float32."""


def xor_network(n=5, T=14, d=4, dtype=DOUBLE):
    """Mean squared error of a vanilla tanh network on y[t] = x[t - d/2] ⊕ x[t - d], and its parameters."""
    parameters = {
        "W": 1.2 * gaussian(1, n, n) / n**0.5,
        "V": gaussian(2, n, 1),
        "b": 0.1 * gaussian(3, n),
        "U": gaussian(4, 1, n) / n**0.5,
    }
    parameters = {name: p.to(dtype).requires_grad_() for name, p in parameters.items()}
    x = (gaussian(5, T, 8, 1) > 0).to(dtype)
    target = (x[d // 2 : T - d // 2] - x[: T - d]).abs()

    def loss(p=parameters):
        h, outputs = torch.zeros(8, n, dtype=dtype), []
        for u in x:
            h = torch.tanh(h) @ p["W"].T + u @ p["V"].T + p["b"]
            outputs.append(torch.tanh(h) @ p["U"].T)
        return (torch.stack(outputs[d:]) - target).square().mean()

    return loss, parameters


def whole_hessian(loss, parameters: dict[str, Tensor]) -> Tensor:
    """[P, P] by reverse mode over reverse mode; `loss` takes the parameters by name."""
    names, sizes = [*parameters], [p.numel() for p in parameters.values()]
    flat = torch.cat([p.detach().reshape(-1) for p in parameters.values()])

    def of_vector(vector):
        pieces = vector.split(sizes)
        return loss({name: piece.reshape(parameters[name].shape) for name, piece in zip(names, pieces, strict=True)})

    return torch.func.jacrev(torch.func.jacrev(of_vector))(flat)


def leading(H: Tensor, k: int) -> Tensor:
    """The k eigenvalues of largest magnitude, descending by value."""
    values = torch.linalg.eigvalsh((H + H.mT) / 2)
    return values[values.abs().argsort(descending=True)[:k]].sort(descending=True).values


def assert_spectrum(found, H: Tensor, k: int):
    """Eigenvalues, and vectors by what they are: unit length, orthogonal to each other, and H v = λ v."""
    H = H.to(DOUBLE)
    k = min(k, len(H))
    scale = float(leading(H, 1).abs())
    double = found.eigenvalues.dtype == DOUBLE
    torch.testing.assert_close(
        found.eigenvalues.to(DOUBLE), leading(H, k), rtol=0, atol=scale * (EIGENVALUES if double else SINGLE)
    )
    V = torch.cat([v.reshape(k, -1) for v in found.vectors.values()], -1).to(DOUBLE)
    torch.testing.assert_close(V @ V.mT, torch.eye(k, dtype=DOUBLE), rtol=0, atol=1e-8 if double else 1e-4)
    residuals = torch.linalg.vector_norm(V @ H - found.eigenvalues.to(DOUBLE)[:, None] * V, dim=1)
    assert (residuals < scale * (RESIDUALS if double else SINGLE)).all()
    torch.testing.assert_close(found.residuals.to(DOUBLE), residuals, rtol=0, atol=scale * (1e-12 if double else 1e-5))


@pytest.mark.parametrize("k", [1, 4, 18, 40, 100])
def test_a_network_on_temporal_xor(k):
    loss, parameters = xor_network()
    found = floss.hessian_spectrum(loss, parameters, k)
    assert_spectrum(found, whole_hessian(loss, parameters), k)
    assert {name: v.shape[1:] for name, v in found.vectors.items()} == {n: p.shape for n, p in parameters.items()}
    assert found.products >= len(found.eigenvalues)
    again = floss.hessian_spectrum(loss, parameters, k)
    assert torch.equal(found.eigenvalues, again.eigenvalues)
    assert all(p.grad is None for p in parameters.values())


def test_single_precision():
    loss, parameters = xor_network()
    single, numbers = xor_network(dtype=torch.float32)
    found = floss.hessian_spectrum(single, numbers, 5)
    assert found.eigenvalues.dtype == found.vectors["W"].dtype == torch.float32
    assert_spectrum(found, whole_hessian(loss, parameters), 5)


@pytest.mark.parametrize("student", ["dense", "lru"])
def test_a_linear_student_at_its_optimum(student):
    """Its Hessian is known (`floss.memory.hessian`): rank 2n + 1 of 25 parameters, or 4n + 1 of 29."""
    n, T = 4, 30
    shapes = {"A": (1, n, n), "D": ()}
    parameters = {
        name: 0.4 * gaussian(i, *shapes.get(name, (n,)), 1)[..., 0] for i, name in enumerate(STUDENTS[student].dims)
    }
    parameters = {name: p.requires_grad_() for name, p in parameters.items()}
    optimum = impulse_response(student, parameters, T).detach()
    weights = 1.0 - torch.arange(T, dtype=DOUBLE) / T

    def loss():
        return 0.5 * (weights * (impulse_response(student, parameters, T) - optimum).square()).sum()

    exact = hessian(student, {name: p.detach() for name, p in parameters.items()}, T)
    for k in (1, 3, 10):
        found = floss.hessian_spectrum(loss, parameters, k)
        assert_spectrum(found, exact.matrix, k)
    rows = torch.cat([found.vectors[name].reshape(10, -1) for name in exact.rows], -1)
    overlap = (rows @ exact.eigenvectors(3)).square().sum(0)
    torch.testing.assert_close(overlap, torch.ones(3, dtype=DOUBLE), rtol=0, atol=1e-8)


def quadratic(values: Tensor):
    """L = ½ θᵀ Q diag(values) Qᵀ θ, and θ."""
    Q = torch.linalg.qr(gaussian(1, len(values), len(values)))[0]
    H = Q @ torch.diag(values) @ Q.mT
    theta = gaussian(2, len(values)).requires_grad_()
    return lambda: 0.5 * theta @ H @ theta, theta, H


@pytest.mark.parametrize(
    ("values", "k"),
    [
        (torch.tensor([3.0, 2.0, -1.0] + [0.0] * 97), 6),  # a rank below k
        (torch.cat((torch.tensor([5.0] * 4 + [-2.0] * 3), torch.linspace(-1, 1, 93))), 6),  # equal ones
        (torch.ones(60), 4),
        (torch.tensor([2.0, -2.0, 1.0, -1.0] + [0.1] * 56), 3),  # equal in magnitude, at the edge of k too
        (torch.tensor([7.0]), 1),
    ],
    ids=["rank", "equal", "identity", "signs", "one"],
)
def test_spectra_that_are_known(values, k):
    loss, theta, H = quadratic(values.to(DOUBLE))
    found = floss.hessian_spectrum(loss, [theta], k)
    assert found.vectors.keys() == {"0"}
    magnitudes = found.eigenvalues.abs().sort(descending=True).values
    torch.testing.assert_close(magnitudes, values.to(DOUBLE).abs().sort(descending=True).values[:k], rtol=0, atol=1e-8)
    V = found.vectors["0"]
    torch.testing.assert_close(V @ H, found.eigenvalues[:, None] * V, rtol=0, atol=1e-7)
    torch.testing.assert_close(V @ V.mT, torch.eye(k, dtype=DOUBLE), rtol=0, atol=1e-8)


@pytest.mark.parametrize("size", [3, 100])
def test_a_linear_loss_has_no_curvature(size):
    theta = gaussian(1, size).requires_grad_()
    for loss in (theta.sum, lambda: theta.sum() + 0.0 * theta.square().sum()):
        found = floss.hessian_spectrum(loss, [theta], 2)
        assert not found.eigenvalues.any()
        assert not found.residuals.any()
        torch.testing.assert_close(found.vectors["0"] @ found.vectors["0"].mT, torch.eye(2, dtype=DOUBLE))


def test_parameters_that_do_not_matter_and_those_of_another_precision():
    loss, parameters = xor_network()
    idle = torch.ones(30, dtype=torch.float32, requires_grad=True)
    linear = torch.ones(2, dtype=DOUBLE, requires_grad=True)
    found = floss.hessian_spectrum(lambda: loss() + linear.sum(), {"idle": idle, **parameters, "linear": linear}, 3)
    assert found.vectors["idle"].dtype == torch.float32
    assert not found.vectors["idle"].any()
    assert not found.vectors["linear"].any()
    alone = floss.hessian_spectrum(loss, parameters, 3).eigenvalues
    torch.testing.assert_close(found.eigenvalues, alone, rtol=EIGENVALUES, atol=0)


def test_a_module_with_dropout_needs_a_fixed_draw():
    model = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Dropout(0.5), nn.Linear(12, 1)).double()
    x, y = gaussian(1, 20, 3), gaussian(2, 20, 1)

    def loss():
        return (model(x) - y).square().mean()

    def fixed():
        with torch.random.fork_rng([]):
            torch.manual_seed(3)
            return loss()

    with pytest.raises(
        ValueError, match=r"^hessian_spectrum: loss\(\) must be deterministic, and gave .* in two calls"
    ):
        floss.hessian_spectrum(loss, model)
    found = floss.hessian_spectrum(fixed, model, 2)
    assert found.vectors["0.weight"].shape == (2, 12, 3)
    assert (found.residuals < RESIDUALS * found.eigenvalues.abs().max()).all()


def test_sharpness_along_the_gradient():
    loss, parameters = xor_network()
    H = whole_hessian(loss, parameters)
    g = torch.cat([v.reshape(-1) for v in torch.autograd.grad(loss(), [*parameters.values()])])
    found = floss.directional_sharpness(loss, parameters)
    torch.testing.assert_close(found, g @ H @ g / (g @ g), rtol=1e-12, atol=0)
    assert found <= floss.hessian_spectrum(loss, parameters, 1).eigenvalues.abs()


THETA = torch.ones(40, dtype=DOUBLE, requires_grad=True)
SCALES = torch.linspace(1.0, 2.0, 40, dtype=DOUBLE)


class Once(torch.autograd.Function):
    """A square whose gradient has no derivative."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return v.square().sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


def square():
    return 0.5 * (SCALES * THETA.square()).sum()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: floss.hessian_spectrum(square(), [THETA]), "loss=torch.float64 [] must be a function loss() -> L"),
        (
            lambda: floss.hessian_spectrum(lambda: THETA, [THETA]),
            "loss() must return one real number in a tensor, got torc",
        ),
        (
            lambda: floss.hessian_spectrum(lambda: 1.0, [THETA]),
            "loss() must return one real number in a tensor, got 1.0",
        ),
        (lambda: floss.hessian_spectrum(lambda: square() * torch.nan, [THETA]), "loss() must be finite, got nan"),
        (
            lambda: floss.hessian_spectrum(lambda: square().detach(), [THETA]),
            "the loss depends on none of the parameters 0",
        ),
        (
            lambda: floss.hessian_spectrum(lambda: SCALES.sum() + W.sum(), [THETA]),
            "the loss depends on none of the param",
        ),
        (
            lambda: floss.hessian_spectrum(lambda: Once.apply(THETA), [THETA]),
            "the loss has no second derivative: an oper",
        ),
        (
            lambda: floss.hessian_spectrum(lambda: (THETA - 1).norm(), [THETA]),
            "a product of the Hessian with a vector is ",
        ),
        (
            lambda: floss.hessian_spectrum(square, THETA),
            "parameters=torch.float64 [40] must be a torch module, or a map",
        ),
        (lambda: floss.hessian_spectrum(square, []), "parameters={} has no tensor that requires gradients"),
        (lambda: floss.hessian_spectrum(square, {"a": [THETA, W]}), "parameters['a'] must be one tensor, got 2"),
        (lambda: floss.hessian_spectrum(square, [THETA.detach()]), "parameters['0'] must require gradients"),
        (
            lambda: floss.hessian_spectrum(square, [THETA, THETA]),
            "parameters['1'] has a tensor that parameters['0'] has",
        ),
        (
            lambda: floss.hessian_spectrum(square, [THETA * 1j]),
            "parameters['0'] must be float32 or float64, got torch.com",
        ),
        (lambda: floss.hessian_spectrum(square, [THETA], 0), "k=0 must be at least 1"),
        (lambda: floss.hessian_spectrum(square, [THETA], 1.0), "k=1.0 must be a whole number, at least 1"),
        (lambda: floss.hessian_spectrum(square, [THETA], tolerance=0), "tolerance=0 must be between 0 and 1"),
        (
            lambda: floss.hessian_spectrum(square, [THETA], 3, max_products=9),
            "no convergence of k=3 within max_products=9",
        ),
    ],
)
def test_what_cannot_be_asked(call, message):
    with pytest.raises(ValueError, match=f"^hessian_spectrum: {re.escape(message)}[^\n]*$"):
        call()


W = torch.ones(2, dtype=DOUBLE, requires_grad=True)


def test_no_direction_without_a_gradient():
    with pytest.raises(ValueError, match=r"^directional_sharpness: the gradient is zero, and has no direction$"):
        floss.directional_sharpness(lambda: (THETA - 1).square().sum(), [THETA])
    with torch.inference_mode(), pytest.raises(ValueError, match="cannot take derivatives within"):
        floss.directional_sharpness(square, [THETA])
    with torch.no_grad():
        assert float(floss.directional_sharpness(square, [THETA])) > 1
