"""Second derivatives of exponents, through `torch.func` and in forward mode, against finite differences."""

# Functions of torch.autograd.functional return a tensor or several.
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from collections.abc import Callable

import pytest
import torch
from problems import DOUBLE, TRAINED_CELLS, gaussian
from torch import Tensor
from twins import relative

import floss
from floss.networks import CELLS

STEP = 1e-4
"""Of the differences of gradients, which are off by the fourth power of it, and by rounding of 1e-16 over it."""
AGREEMENT = 1e-6

N, S, T, R = 5, 2, 14, 2
EVERY_CELL = [arch for arch in TRAINED_CELLS if arch != "relu"]


def slope_at_zero(f: Callable[[float], Tensor]) -> Tensor:
    """The derivative, by differences of the fourth order."""
    near, far = (f(a) - f(-a) for a in (STEP, 2 * STEP))
    return (8.0 * near - far) / (12.0 * STEP)


class Loss:
    """A loss of the exponents of two networks, as a function of the weights that flossing changes, in one vector."""

    def __init__(self, arch: str, k: int = 3, *, by: str = "its own way", measure: Callable | None = None, **how: int):
        cell = CELLS[arch]
        gains = torch.full((R,), 0.9 if arch == "lru" else 1.3, dtype=DOUBLE)
        self.parameters = cell.initial_parameters(torch.arange(R), gains, n=N, inputs=S, batch=1, dtype=DOUBLE)
        self.cell, self.k, self.by, self.how = cell, k, by, how
        self.measure = measure or (lambda step, h0, x, **how: floss.lyapunov_spectrum(step, h0, x, **how))
        self.x = gaussian(1, T, R, S)
        self.start = torch.cat([self.parameters[name].flatten() for name in cell.flossed])

    def __call__(self, flat: Tensor, x: Tensor | None = None) -> Tensor:
        sizes = [self.parameters[name].numel() for name in self.cell.flossed]
        parts = zip(self.cell.flossed, flat.split(sizes), strict=True)
        step = self.cell.step(
            {**self.parameters, **{name: part.reshape(self.parameters[name].shape) for name, part in parts}}
        )
        f = step if self.by == "its own way" else (lambda h, u: step(h, u))
        lam = self.measure(f, self.parameters["h0"][:, 0], self.x if x is None else x, k=self.k, **self.how)
        return (floss.flossing_loss(lam, 0.3) * torch.tensor([1.0, -2.0])).sum() + (lam.exp() * 0.1).sum()

    def gradient(self, flat: Tensor) -> Tensor:
        flat = flat.clone().requires_grad_()
        return torch.autograd.grad(self(flat), flat)[0]

    def along(self, v: Tensor) -> Tensor:
        """The Hessian times v, by differences of plain gradients."""
        return slope_at_zero(lambda a: self.gradient(self.start + a * v))

    @property
    def direction(self) -> Tensor:
        return gaussian(2, len(self.start))


def history_exponents(step, h0, x, **how):
    return floss.lyapunov_history(step, h0, x, **how).exponents


def condition(step, h0, x, **how):
    return floss.condition_from_exponents(floss.lyapunov_spectrum(step, h0, x, **how), [5, 10])[..., None].movedim(0, 1)


def dimension(step, h0, x, **how):
    """Of exponents moved so that the dimension lies between two of them."""
    return floss.kaplan_yorke_dimension(floss.lyapunov_spectrum(step, h0, x, **how) + 0.55)[..., None]


@pytest.mark.parametrize("by", ["its own way", "forward mode"])
@pytest.mark.parametrize("arch", EVERY_CELL)
def test_second_derivative_of_every_architecture(arch, by):
    loss = Loss(arch, by=by)
    _, found = torch.autograd.functional.hvp(loss, loss.start, loss.direction)
    assert relative(found, loss.along(loss.direction)) < AGREEMENT


@pytest.mark.parametrize("how", [{"k": N}, {"k": 1}, {"t_ons": 3}, {"t_ons": 2, "transient": 5}], ids=str)
@pytest.mark.parametrize("by", ["its own way", "forward mode"])
def test_second_derivative_of_every_kind_of_chain(how, by):
    loss = Loss("vanilla", by=by, **how)
    _, found = torch.autograd.functional.hvp(loss, loss.start, loss.direction)
    assert relative(found, loss.along(loss.direction)) < AGREEMENT


@pytest.mark.parametrize("measure", [history_exponents, condition, dimension])
def test_second_derivative_of_what_follows_from_exponents(measure):
    loss = Loss("gru", measure=measure)
    _, found = torch.autograd.functional.hvp(loss, loss.start, loss.direction)
    assert relative(found, loss.along(loss.direction)) < AGREEMENT


@pytest.mark.parametrize("by", ["its own way", "forward mode"])
def test_gradient_penalty_by_backward_with_inputs(by):
    """‖∂L/∂θ‖², whose gradient is 2 H g; a plain backward pass of a new chain afterwards is what it was."""
    loss = Loss("vanilla", by=by)
    flat = loss.start.clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(flat), flat, create_graph=True)
    g.square().sum().backward(inputs=[flat])
    assert flat.grad is not None
    assert relative(flat.grad, 2 * loss.along(g.detach())) < AGREEMENT
    assert torch.equal(loss.gradient(loss.start), loss.gradient(loss.start))


@pytest.mark.parametrize("by", ["its own way", "forward mode"])
def test_second_derivative_whose_first_pass_sees_a_part_of_the_chain(by):
    """∂²L/∂x[9]∂θ: the recorded pass stops at step 9, the other one goes on to the start of the chain."""
    loss = Loss("gru", by=by)
    v = gaussian(3, R, S)

    def along_input(flat: Tensor, record: bool) -> Tensor:
        late = loss.x[9].clone().requires_grad_()
        x = torch.stack([*loss.x[:9], late, *loss.x[10:]])
        return (torch.autograd.grad(loss(flat, x), late, create_graph=record)[0] * v).sum()

    flat = loss.start.clone().requires_grad_()
    (found,) = torch.autograd.grad(along_input(flat, True), flat)
    u = loss.direction
    wanted = slope_at_zero(lambda a: along_input(loss.start + a * u, False))
    assert float((found * u).sum()) == pytest.approx(float(wanted), rel=AGREEMENT)


def test_third_derivative():
    loss = Loss("vanilla", k=2)
    u = loss.direction / loss.direction.norm()

    def second(a: float, record: bool) -> Tensor:
        at = torch.tensor(a, dtype=DOUBLE, requires_grad=True)
        (first,) = torch.autograd.grad(loss(loss.start + at * u), at, create_graph=True)
        (found,) = torch.autograd.grad(first, at, create_graph=record)
        return torch.autograd.grad(found, at)[0] if record else found

    wanted = slope_at_zero(lambda a: second(a, False))
    assert float(second(0.0, True)) == pytest.approx(float(wanted), rel=AGREEMENT)


def test_second_derivative_keeps_its_digits_over_a_long_chain():
    """Exponents down to three nats below the first: what grew backwards by their distance would be lost after 15."""
    loss = Loss("vanilla", k=N, by="forward mode")
    loss.x = gaussian(4, 80, R, S)
    v = 0.01 * loss.direction  # chaos makes the loss as steep as the run is long
    _, found = torch.autograd.functional.hvp(loss, loss.start, v)
    assert relative(found, loss.along(v)) < 1e-4


def test_lost_directions_have_no_part_in_second_derivatives():
    """A Jacobian of rank three: the finite exponents' Hessian is that of a chain of three."""
    D = gaussian(5, 6, 4, 4)
    D[..., 3:, :3], D[3, :, 3:] = 0.0, 0.0
    q0 = torch.eye(4, dtype=DOUBLE)

    class Product:
        def __init__(self, D: Tensor):
            self.D = D

        def __call__(self, h, x):
            return 0.0 * h

        def advance(self, h, q, x):
            return 0.0 * h, self.D[int(x)] @ q

    def curved(k: int) -> Tensor:
        def loss(D: Tensor) -> Tensor:
            lam = floss.lyapunov_spectrum(
                Product(D), torch.zeros(4, dtype=DOUBLE), torch.arange(6.0), q0=q0[:, :k], **how[k]
            )
            return lam[:3].square().sum()

        return torch.autograd.functional.hvp(loss, D, gaussian(6, 6, 4, 4))[1]

    how = {3: {}, 4: {"singular": "-inf"}}
    torch.testing.assert_close(curved(4), curved(3), rtol=1e-9, atol=1e-11)


# --- torch.func --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["its own way", "forward mode"])
@pytest.mark.parametrize("arch", ["vanilla", "lstm", "lru"])
def test_transforms_agree_with_backward(arch, by):
    loss = Loss(arch, by=by)
    v, wanted = loss.direction, loss.gradient(loss.start)
    assert relative(torch.func.grad(loss)(loss.start), wanted) < 1e-11
    slope = torch.func.jvp(loss, (loss.start,), (v,))[1]
    assert float(slope) == pytest.approx(float(wanted @ v), rel=1e-9)
    turned = torch.func.jvp(torch.func.grad(loss), (loss.start,), (v,))[1]
    assert relative(turned, loss.along(v)) < AGREEMENT


@pytest.mark.parametrize("arch", ["vanilla", "gru"])
def test_tangents_of_forward_mode(arch):
    """Of steps that bring their derivative; torch does not nest its forward modes."""
    loss = Loss(arch)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(loss.start, loss.direction)
        tangent = torch.autograd.forward_ad.unpack_dual(loss(dual)).tangent
    wanted = loss.gradient(loss.start) @ loss.direction
    assert tangent is not None
    assert float(tangent) == pytest.approx(float(wanted), rel=1e-9)


def test_hessian_of_a_small_chain():
    loss = Loss("vanilla", k=2)
    H = torch.func.hessian(loss)(loss.start)
    torch.testing.assert_close(H, H.mT, rtol=0, atol=1e-9)
    assert relative(H @ loss.direction, loss.along(loss.direction)) < AGREEMENT


@pytest.mark.parametrize("measure", [floss.lyapunov_spectrum, history_exponents])
def test_vmap_over_states_inputs_and_weights(measure):
    W, h0, x = gaussian(7, 3, N, N) / N**0.5, gaussian(8, 3, N), gaussian(9, 3, T, N)

    def exponents(W, h0, x):
        return measure(lambda h, u: torch.tanh(h) @ W.mT + u, h0, x, k=2)

    found = torch.func.vmap(exponents)(W, h0, x)
    wanted = torch.stack([exponents(*each) for each in zip(W, h0, x, strict=True)])
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    by_grad = torch.func.vmap(torch.func.grad(lambda *each: exponents(*each).sum()))(W, h0, x)
    looped = torch.stack(
        [torch.func.grad(lambda *each: exponents(*each).sum())(*each) for each in zip(W, h0, x, strict=True)]
    )
    torch.testing.assert_close(by_grad, looped, rtol=1e-10, atol=1e-10)


def test_vmap_meets_a_bad_state_with_the_error_of_the_call():
    h0 = torch.tensor([[0.0, 1.0], [torch.nan, 1.0]], dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"^lyapunov_spectrum: h0 .*not finite.*$"):
        torch.func.vmap(lambda h: floss.lyapunov_spectrum(torch.tanh, h, steps=3))(h0)


@pytest.mark.parametrize("steps", [5, 30])
def test_several_gradients_at_once(steps):
    W = gaussian(1, N, N)

    def lam(w):
        return floss.lyapunov_spectrum(lambda h: torch.tanh(h @ w.T), gaussian(2, N), steps=steps, k=2)

    found, wanted = (torch.autograd.functional.jacobian(lam, W, vectorize=at_once) for at_once in (True, False))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_functional_call():
    module = torch.nn.Linear(N, N, dtype=DOUBLE)
    weights = {name: p.detach() for name, p in module.named_parameters()}

    def loss(weights):
        step = lambda h: torch.func.functional_call(module, weights, torch.tanh(h))  # noqa: E731
        return floss.flossing_loss(floss.lyapunov_spectrum(step, gaussian(10, N), steps=9, k=2))

    found = torch.func.grad(loss)(weights)
    leaves = {name: p.clone().requires_grad_() for name, p in weights.items()}
    wanted = torch.autograd.grad(loss(leaves), list(leaves.values()))
    for a, b in zip(found.values(), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("derivative", [torch.func.grad, torch.func.hessian])
def test_what_has_no_derivatives_says_so_under_transforms(derivative):
    """Instead of a zero."""
    x, h0 = gaussian(11, 6, N), torch.zeros(N, dtype=DOUBLE)
    W = gaussian(12, N, N)

    def step(W):
        return lambda h, u: torch.tanh(h) @ W.mT + u

    with pytest.raises(ValueError, match=r"^condition_number: has no derivatives.*$"):
        derivative(lambda W: floss.condition_number(floss.one_step_jacobians(step(W), h0, x)))(W)
    with pytest.raises(ValueError, match=r"^covariant_lyapunov_vectors: has no derivatives.*$"):
        derivative(lambda W: floss.covariant_lyapunov_vectors(step(W), h0, x).local.sum())(W)


def test_random_numbers_are_shared_by_all_tangents_under_transforms():
    """A factor that is drawn at every step stretches all directions alike, and the state with them."""

    def exponents(w):
        def step(h):
            return w * (0.5 + torch.rand((), dtype=DOUBLE)) * h

        return floss.lyapunov_spectrum(step, torch.ones(3, dtype=DOUBLE), steps=20)

    lam, pullback = torch.func.vjp(exponents, torch.tensor(1.5, dtype=DOUBLE))[:2]
    torch.testing.assert_close(lam, lam[:1].expand(3), rtol=0, atol=1e-14)
    (slope,) = pullback(torch.ones(3, dtype=DOUBLE))
    assert float(slope) == pytest.approx(3 / 1.5)
