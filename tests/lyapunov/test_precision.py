"""Analyses within torch's mixed precision, and of tensors of its inference mode: the numbers are those without."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from problems import gaussian
from torch import Tensor, nn

import floss

N, T = 6, 40
H0, X = 0.3 * gaussian(1, N).float(), gaussian(2, T, N).float()
W = (1.3 * gaussian(3, N, N) / N**0.5).float().requires_grad_()


def step(h, x):
    return torch.tanh(h) @ W.mT + x


FUNCTIONS: dict[str, Callable[[], Any]] = {
    "spectrum": lambda: floss.lyapunov_spectrum(step, H0, X, k=3),
    "history": lambda: floss.lyapunov_history(step, H0, X, k=3).growth,
    "interval": lambda: torch.tensor(floss.adaptive_t_ons(step, H0, X, k=3)),
    "conditional": lambda: floss.conditional_exponents(step, H0, X),
    "jacobians": lambda: floss.one_step_jacobians(step, H0, X),
    "condition": lambda: floss.condition_number(step, H0, X[:10]),
    "finite time": lambda: floss.finite_time_exponents(step, H0, X[:10]),
    "covariant": lambda: floss.covariant_lyapunov_vectors(step, H0, X, k=2).vectors,
    "angle": lambda: floss.subspace_angle(W, 2),
    "fixed points": lambda: floss.fixed_points(step, H0, 0.1 * X[0]).points,
    "sensitivity": lambda: floss.sensitivity(step, {"W": W}, H0, X[:5]).mean["W"],
    "qr": lambda: floss.qr(W)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mixed_precision_around_an_analysis(name):
    with torch.autocast("cpu", torch.bfloat16):
        found = FUNCTIONS[name]()
        assert torch.is_autocast_enabled("cpu")
    wanted = FUNCTIONS[name]()
    assert torch.equal(found, wanted)
    if found.requires_grad:  # backward passes, as torch recommends, outside of mixed precision
        assert torch.equal(*(torch.autograd.grad(lam.sum(), W)[0] for lam in (found, wanted)))


def test_a_map_may_round_by_itself():
    def rounding(h, x):
        with torch.autocast("cpu", torch.bfloat16):
            return step(h, x)

    with torch.no_grad():
        found = floss.lyapunov_spectrum(rounding, H0, X, k=2)
        wanted = floss.lyapunov_spectrum(step, H0, X, k=2)
    assert not torch.equal(found, wanted)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.05)  # eight bits


def test_tensors_of_inference_mode_have_gradients_by_their_copies():
    with torch.inference_mode():
        h0, x = H0.clone(), X.clone()
    found, wanted = (floss.lyapunov_spectrum(step, *pair, k=2) for pair in ((h0, x), (H0, X)))
    assert torch.equal(found, wanted)
    gradients: list[Tensor] = [torch.autograd.grad(lam.sum(), W)[0] for lam in (found, wanted)]
    assert torch.equal(*gradients)


def test_a_diagnosis_in_either():
    module, batch = nn.GRU(3, N), gaussian(4, T, 2, 3).float()
    wanted = floss.diagnose(module, batch)
    with torch.inference_mode():
        assert torch.equal(floss.diagnose(module, batch.clone()).exponents, wanted.exponents)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(floss.diagnose(module, batch).gradient_norms, wanted.gradient_norms)
