"""Gradients of exponents of maps with operations of which torch's tangents have a wrong gradient: finite differences.

They are wrong by 0.1 to 300 % where forward mode is differentiated as it is.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalOperand=false

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn
from torch.nn import functional

import floss

N, K = 6, 3
W, H = 1.1 * gaussian(1, N, N) / N**0.5, 0.4 * gaussian(2, N)
EYE = torch.eye(N, dtype=DOUBLE)
GAIN = 1.0 + 0.2 * gaussian(3, N)


class NormedCell(nn.RNNCell):
    """A recurrent module with a layer norm in a forward of its own."""

    def forward(self, input, hx=None):
        return torch.tanh(functional.layer_norm(hx @ self.weight_hh.T + input @ self.weight_ih.T, (N,)))


def normed_cell(w):
    """Its step reads the parameters of the module, which are those of the test."""
    cell = NormedCell(1, N, dtype=DOUBLE)
    step, _ = floss.step_from_module(cell)
    del cell.weight_hh
    cell.weight_hh = w
    return step


def batch_norm(w):
    return lambda h: torch.tanh(functional.batch_norm((h @ w.T)[None, None], None, None, training=True)[0, 0])


def attention(w):
    layer = nn.MultiheadAttention(2, 1, batch_first=True, bias=False, dtype=DOUBLE)
    for i, p in enumerate(layer.parameters()):
        p.data, p.requires_grad = 0.5 * gaussian(5 + i, *p.shape), False

    def step(h):
        tokens = (h @ w.T).reshape(1, 3, 2)
        return torch.tanh(1.3 * tokens + layer(tokens, tokens, tokens, need_weights=False)[0]).reshape(h.shape)

    return step


MAPS = {
    "attention": attention,
    "gated linear unit": lambda w: (
        lambda h: torch.tanh(1.5 * functional.glu(torch.cat((h @ w.T, 2.0 * h), -1)) + 0.2 * h)
    ),
    "layer norm": lambda w: lambda h: torch.tanh(functional.layer_norm(h @ w.T, (N,), GAIN, eps=1e-2)) + 0.1 * h,
    "torch's layer norm": lambda w: lambda h: torch.tanh(torch.layer_norm(h @ w.T, (N,))) + 0.3 * h,
    "layer norm of a field": lambda w: floss.euler_map(lambda h: functional.layer_norm(h @ w.T, (N,)) - h, 0.3),
    "layer norm in a cell": normed_cell,
    "batch norm": batch_norm,
    "solve": lambda w: lambda h: torch.tanh(torch.linalg.solve(2 * EYE + 0.3 * w * h, 2.5 * h)),
    "det": lambda w: lambda h: torch.tanh(h @ w.T * (EYE + 0.2 * h[..., None] * w).det()),
    "slogdet": lambda w: lambda h: torch.tanh(h @ w.T + torch.linalg.slogdet(EYE + 0.2 * h[..., None] * w)[1]),
    "householder": lambda w: (
        lambda h: torch.tanh(torch.linalg.householder_product(w * (1.0 + 0.1 * h), 1.5 + 0.1 * h) @ (1.5 * h))
    ),
}


def weighted(w, make, steps=30, **how):
    lam = floss.lyapunov_spectrum(make(w), H, steps=steps, k=K, **how)
    return (lam * torch.tensor([1.0, -0.5, 0.3], dtype=DOUBLE)).sum()


def difference(function, v, e=1e-6):
    return (function(W + e * v) - function(W - e * v)) / (2 * e)


@pytest.mark.parametrize("steps", [5, 30])
@pytest.mark.parametrize("name", MAPS)
def test_gradients_are_finite_differences(name, steps):
    """Also of runs that are long enough to be replayed."""
    make, v, w = MAPS[name], gaussian(4, N, N), W.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(w, make, steps, transient=2), w)
    wanted = difference(lambda w: weighted(w, make, steps, transient=2).detach(), v)
    torch.testing.assert_close((gradient * v).sum(), wanted, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["layer norm", "solve", "det"])
def test_through_transforms_and_of_second_order(name):
    make, v, w = MAPS[name], gaussian(4, N, N), W.clone().requires_grad_()
    (plain,) = torch.autograd.grad(weighted(w, make, 5), w)
    torch.testing.assert_close(torch.func.grad(lambda w: weighted(w, make, 5))(W), plain, rtol=1e-9, atol=1e-10)
    _, curved = torch.autograd.functional.hvp(lambda w: weighted(w, make, 5), W, v)
    torch.testing.assert_close(
        curved, difference(lambda w: torch.func.grad(lambda w: weighted(w, make, 5))(w), v), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["layer norm", "det"])
def test_jacobians_and_histories(name):
    make, v, w = MAPS[name], gaussian(4, N, N), W.clone().requires_grad_()

    def sizes(w):
        history = floss.lyapunov_history(make(w), H, steps=5, k=K)
        return floss.one_step_jacobians(make(w), H, steps=3).square().sum() + history.growth.square().sum()

    (gradient,) = torch.autograd.grad(sizes(w), w)
    torch.testing.assert_close((gradient * v).sum(), difference(sizes, v), rtol=1e-6, atol=1e-7)


def test_numbers_are_those_of_torch():
    for name, make in MAPS.items():
        step, h = make(W), gaussian(5, 3, N) if name == "layer norm" else H
        D = floss.one_step_jacobians(step, h, steps=1)[0]
        with torch.no_grad():
            torch.testing.assert_close(floss.one_step_jacobians(step, h, steps=1)[0], D, rtol=1e-12, atol=1e-13)


def test_attention_is_fast_again_afterwards():
    """The fast forms have no derivative by forward mode; whether they are used is a setting of the whole process."""
    layer = nn.TransformerEncoderLayer(2, 1, 4, dropout=0.0, batch_first=True, dtype=DOUBLE).eval()
    with torch.no_grad():
        lam = floss.lyapunov_spectrum(lambda h: layer(h.reshape(1, 3, 2)).reshape(h.shape), H, steps=3, k=1)
    assert torch.isfinite(lam).all()
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(ValueError, match="cannot take"):
        floss.lyapunov_spectrum(lambda h: layer(h), H, steps=3)
    assert torch.backends.cuda.flash_sdp_enabled()
