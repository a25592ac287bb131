"""Curvature of the task loss and sensitivity of the states, against full Hessians and Jacobians in float64."""

import math

import pytest
import torch
from problems import DOUBLE, TRAINED_CELLS
from torch import Tensor
from torch.nn import functional
from twins import step_twin, unroll_twin

from floss import sensitivity
from floss.lyapunov.chain import initial_tangent
from floss.networks import Parameters
from floss.random import Stream
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.sharpness import sharpness, state_sensitivity

DELAYS = (2, 4)


def ensemble_of(arch: str, n: int, steps: int = 9, batch: int = 3) -> tuple[Ensemble, Tensor]:
    protocol = Protocol(arch=arch, n=n, epochs=2, steps=steps, batch=batch, dtype=DOUBLE)
    gain = 0.9 if arch == "lru" else 1.0
    ensemble = Ensemble([Network(seed=4 + r, d=d, g=gain) for r, d in enumerate(DELAYS)], protocol)
    x = ensemble.task.sample(ensemble.seeds, Stream.TRAINING, 0, steps=steps, batch=batch, dtype=DOUBLE)
    return ensemble, x


def loss_twin(arch: str, own: Parameters, x: Tensor, d: int) -> Tensor:
    """Of one network, stacked as an ensemble of one."""
    y = unroll_twin(arch, own, x[None])[0]
    bits = x[..., 0]
    target = (bits[: len(bits) - d] != bits[d // 2 : len(bits) - d // 2]).to(y.dtype)
    return functional.binary_cross_entropy_with_logits(y[d:], target)


def full_hessian(arch: str, own: Parameters, x: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """Hessian [P, P] of all parameters but h0, and the gradient [P]."""
    free = {name: p for name, p in own.items() if name != "h0"}
    sizes = [p.numel() for p in free.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = {name: part.view(p.shape) for (name, p), part in zip(free.items(), flat.split(sizes), strict=True)}
        return loss_twin(arch, {**parts, "h0": own["h0"]}, x, d)

    flat = torch.cat([p.flatten() for p in free.values()])
    hessian = torch.autograd.functional.hessian(loss, flat, vectorize=True)
    assert isinstance(hessian, Tensor)
    gradient = torch.autograd.functional.jacobian(loss, flat)
    assert isinstance(gradient, Tensor)
    return hessian, gradient


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_it_is_the_eigenvalue_of_largest_magnitude_and_the_curvature_along_the_gradient(arch):
    ensemble, x = ensemble_of(arch, 3)
    parameters = ensemble.parameters
    found, along = sharpness(ensemble.cell, ensemble.task, parameters, x, ensemble.d, iterations=150)
    for r, d in enumerate(DELAYS):
        hessian, g = full_hessian(arch, {name: p[r : r + 1] for name, p in parameters.items()}, x[r], d)
        eigenvalues = torch.linalg.eigvalsh(hessian)
        largest = eigenvalues[eigenvalues.abs().argmax()].item()
        assert found[r].item() == pytest.approx(largest, rel=1e-4)
        assert along[r].item() == pytest.approx((g @ hessian @ g / (g @ g)).item(), rel=1e-9)


def test_stacked_networks_are_those_alone_and_one_that_is_broken_disturbs_no_other():
    ensemble, x = ensemble_of("vanilla", 5)
    broken = {name: torch.cat([p, torch.full_like(p[:1], math.nan)]) for name, p in ensemble.parameters.items()}
    x3, d3 = torch.cat([x, x[:1]]), torch.cat([ensemble.d, ensemble.d[:1]])
    together = sharpness(ensemble.cell, ensemble.task, broken, x3, d3, iterations=7)
    assert all(bool(value[2].isnan()) for value in together)
    for r in range(2):
        one = {name: p[r : r + 1] for name, p in ensemble.parameters.items()}
        alone = sharpness(ensemble.cell, ensemble.task, one, x[r : r + 1], ensemble.d[r : r + 1], iterations=7)
        for value, own in zip(together, alone, strict=True):
            assert value[r].item() == pytest.approx(own.item(), rel=1e-10)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_the_sensitivity_is_that_of_the_last_state(arch):
    ensemble, x = ensemble_of(arch, 4)
    size = ensemble.cell.state_size(4)
    every = initial_tangent(ensemble.seeds, size, size, DOUBLE)
    found = state_sensitivity(ensemble.cell, ensemble.parameters, x, every)
    for r in range(2):
        own = {name: p[r] for name, p in ensemble.parameters.items()}
        theta = tuple(own[name] for name in ensemble.cell.flossed)
        squared = []
        for b in range(x.shape[2]):

            def last(*theta: Tensor, own: Parameters = own, r: int = r, b: int = b) -> Tensor:
                parameters = {**own, **dict(zip(ensemble.cell.flossed, theta, strict=True))}
                h = own["h0"][b]
                for now in x[r, :, b]:
                    h = step_twin(arch, parameters, h, now)
                return h

            jacobians = torch.autograd.functional.jacobian(last, theta, vectorize=True)
            squared.append(sum(j.square().sum().item() for j in jacobians))
        assert found[r].item() == pytest.approx(sum(squared) / len(squared), rel=1e-9)


def test_few_directions_are_right_on_average():
    ensemble, x = ensemble_of("vanilla", 12)
    every = initial_tangent(ensemble.seeds, 12, 12, DOUBLE)
    exact = state_sensitivity(ensemble.cell, ensemble.parameters, x, every)
    quarters = [state_sensitivity(ensemble.cell, ensemble.parameters, x, q) for q in every.split(3, -1)]
    torch.testing.assert_close(torch.stack(quarters).mean(0), exact, rtol=1e-10, atol=0)


def test_it_is_what_the_forward_sensitivity_of_a_users_map_has():
    ensemble, x = ensemble_of("vanilla", 6, steps=12)
    every = initial_tangent(ensemble.seeds, 6, 6, DOUBLE)
    found = state_sensitivity(ensemble.cell, ensemble.parameters, x, every)
    own = {name: p[0].clone().requires_grad_() for name, p in ensemble.parameters.items()}

    def step(h: Tensor, now: Tensor) -> Tensor:
        return torch.tanh(h) @ own["W"].T + now @ own["V"].T + own["b"]

    groups = {name: own[name] for name in ensemble.cell.flossed}
    forward = sensitivity(step, groups, own["h0"].detach(), x[0])
    total = sum(values[-1].item() for values in forward.mean.values())
    assert total == pytest.approx(found[0].item(), rel=1e-9)
