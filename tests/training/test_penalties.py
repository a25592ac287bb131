"""The penalties beside the exponents, against slow twins; stacked and looped; and with every engine."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from problems import DOUBLE, gaussian
from ticks import flossing_ticks
from twins import step_twin

from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS
from floss.training import engines
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.flossing import flossing_gradient
from floss.training.objective import FlossingObjective
from floss.training.penalties import PENALTIES
from floss.training.penalties.one_step import log_singular_values
from floss.training.penalties.spectral_radius import log_spectral_radius
from floss.training.schedule import FlossingRun
from floss.training.training import Training

CONTROLS = sorted(PENALTIES.keys() - {"exponents"})
N, STEPS, TRANSIENT = 6, 19, 11
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
"""Float64 sums in another order, through 19 steps and a decomposition of small matrices."""
K, TARGETS = (2, 5, 6), (0.0, -0.5, 0.3)
ROOTS = 3e-5
"""The twin's eigenvalues of DᵀD lose half of the digits; of an LSTM the smallest one is 1e-10 of the largest."""
RUN = FlossingRun(STEPS, TRANSIENT)


def ensemble(arch: str, n: int = N) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Parameters of three networks, and inputs [R, T, S]."""
    seeds = torch.arange(3)
    parameters = CELLS[arch].initial_parameters(seeds, torch.ones(3).double(), n=n, inputs=2, batch=2, dtype=DOUBLE)
    return parameters, gaussian(1, 3, STEPS, 2)


def objective(penalty: str, size: int = N, t_ons: int = 1) -> FlossingObjective:
    q0 = initial_tangent(torch.arange(3), size, size)
    return FlossingObjective(q0, torch.tensor(K), torch.tensor(TARGETS, dtype=DOUBLE), RUN, t_ons, penalty)


# --- spectral radius ----------------------------------------------------------------------------------------------


def test_the_spectral_radius_is_that_of_numpy_and_its_derivative_that_of_autograd():
    """Of matrices whose largest eigenvalue is real, or one of a complex pair, positive or negative."""
    W = gaussian(3, 40, 7, 7)
    ours, twin = W.clone().requires_grad_(), W.clone().requires_grad_()
    log_rho = log_spectral_radius(ours)
    spectra = [np.linalg.eigvals(matrix).tolist() for matrix in W.numpy()]
    largest = torch.tensor([max(spectrum, key=abs) for spectrum in spectra], dtype=torch.complex128)
    assert bool((largest.imag.abs() > 1e-6).any())
    assert bool(((largest.imag == 0) & (largest.real < 0)).any())
    assert bool(((largest.imag == 0) & (largest.real > 0)).any())
    torch.testing.assert_close(log_rho.detach(), largest.abs().log(), rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(log_rho.sum(), ours)
    (wanted,) = torch.autograd.grad(torch.linalg.eigvals(twin).abs().amax(-1).log().sum(), twin)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-10)
    assert torch.autograd.gradcheck(log_spectral_radius, (W[:5].clone().requires_grad_(),))


def test_matrices_without_a_spectral_radius_disturb_no_other():
    W = gaussian(4, 4, 5, 5)
    wanted = log_spectral_radius(W)[[0]]
    W[1], W[2], W[3] = torch.nan, 0.0, torch.triu(torch.ones(5, 5), 1)  # the last one is defective
    W.requires_grad_()
    log_rho = log_spectral_radius(W)
    assert torch.equal(log_rho[:1], wanted)
    assert bool(log_rho[1].isnan())
    assert not bool(torch.isfinite(log_rho[2:]).any())
    (gradient,) = torch.autograd.grad(log_rho.sum(), W)
    assert bool(torch.isfinite(gradient[0]).all())


@pytest.mark.parametrize("arch", ["vanilla", "relu", "linear"])
def test_the_loss_on_the_spectral_radius(arch):
    parameters, x = ensemble(arch)
    loss, exponents, gradient = flossing_gradient(CELLS[arch], parameters, x, objective("spectral_radius"))
    assert bool(exponents.isnan().all())
    for r in range(3):
        W = parameters["W"][r].clone().requires_grad_()
        wanted = (torch.linalg.eigvals(W).abs().max().log() - TARGETS[r]) ** 2
        torch.testing.assert_close(loss[r], wanted.detach(), **EXACT)
        torch.testing.assert_close(gradient["W"][r], torch.autograd.grad(wanted, W)[0], **EXACT)
    for name in ("V", "b"):
        assert torch.equal(gradient[name], torch.zeros_like(gradient[name]))


def test_the_gain_is_part_of_the_weights():
    parameters, x = ensemble("vanilla")
    twice = {**parameters, "W": 2.0 * parameters["W"]}
    losses = [
        flossing_gradient(CELLS["vanilla"], p, x, objective("spectral_radius"))[0].sqrt() for p in (parameters, twice)
    ]
    distance = torch.linalg.eigvals(parameters["W"]).abs().amax(-1).log() - torch.tensor(TARGETS, dtype=DOUBLE)
    torch.testing.assert_close(losses[0], distance.abs(), **EXACT)
    torch.testing.assert_close(losses[1], (distance + np.log(2.0)).abs(), **EXACT)


# --- one-step Jacobians -------------------------------------------------------------------------------------------


def slow_one_step(arch: str, p: dict[str, torch.Tensor], x: torch.Tensor, k: int, target: float, t_ons: int):
    """One network, Jacobians by reverse-mode differentiation, singular values as roots of eigenvalues of DᵀD."""
    h, losses = p["h0"][0], []
    counted = range(TRANSIENT, STEPS)
    ends = {min(start + t_ons, STEPS) - 1 for start in counted[::t_ons]}
    for s in range(STEPS):
        if s in ends:
            D = torch.autograd.functional.jacobian(lambda state: step_twin(arch, p, state, x[s]), h, create_graph=True)  # noqa: B023
            assert isinstance(D, torch.Tensor)
            largest = torch.linalg.eigvalsh(D.mT @ D).flip(-1)[:k]
            losses += [(0.5 * value.log() - target) ** 2 for value in largest]
        h = step_twin(arch, p, h, x[s])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("t_ons", [1, 3])
@pytest.mark.parametrize("arch", ["vanilla", "linear", "gru", "lstm"])
def test_the_loss_on_the_one_step_jacobians(arch, t_ons):
    cell = CELLS[arch]
    n = N if cell.state_size(N) == N else N // 2
    parameters, x = ensemble(arch, n)
    loss, exponents, gradient = flossing_gradient(cell, parameters, x, objective("one_step", t_ons=t_ons))
    assert bool(exponents.isnan().all())
    assert gradient.keys() == set(cell.flossed)
    for r in range(3):
        own = {name: value[r].clone() for name, value in parameters.items()}
        leaves = [own[name].requires_grad_() for name in cell.flossed]
        wanted = slow_one_step(arch, own, x[r], K[r], TARGETS[r], t_ons)
        torch.testing.assert_close(loss[r], wanted.detach(), rtol=ROOTS, atol=0.0)
        derivative = torch.autograd.grad(wanted, leaves, allow_unused=True, materialize_grads=True)
        for name, slow in zip(cell.flossed, derivative, strict=True):
            assert float((gradient[name][r] - slow).norm()) <= ROOTS * float(slow.norm()), name


@pytest.mark.parametrize("penalty", CONTROLS)
def test_gradients_are_finite_differences(penalty):
    """Along a random direction of all flossed parameters together."""
    parameters, x = ensemble("vanilla")
    cell, towards = CELLS["vanilla"], objective(penalty)
    gradient = flossing_gradient(cell, parameters, x, towards)[2]
    direction = {name: gaussian(7 + i, *parameters[name].shape) for i, name in enumerate(cell.flossed)}
    slope = sum((gradient[name] * v).flatten(1).sum(-1) for name, v in direction.items())
    e = 1e-5
    moved = [
        {**parameters, **{name: parameters[name] + sign * e * v for name, v in direction.items()}} for sign in (1, -1)
    ]
    above, below = (flossing_gradient(cell, p, x, towards)[0] for p in moved)
    torch.testing.assert_close((above - below) / (2 * e), slope, rtol=1e-6, atol=1e-7)


def test_singular_values_of_what_is_not_finite_or_does_not_respond():
    D = gaussian(5, 3, 4, 4)
    D[1, :, 0], D[2, 0, 0] = 0.0, torch.inf
    D.requires_grad_()
    log_sigma = log_singular_values(D)
    assert log_sigma[1].isneginf().tolist() == [False] * 3 + [True]
    assert bool(log_sigma[2].isnan().all())
    (gradient,) = torch.autograd.grad(log_sigma[:2].nan_to_num(neginf=0.0).sum(), D)
    assert bool(torch.isfinite(gradient[:2]).all())
    # Of equal singular values too: d(log det) / dD is the inverse transposed.
    turned = torch.linalg.qr(gaussian(6, 1, 4, 4))[0].requires_grad_()
    (gradient,) = torch.autograd.grad(log_singular_values(turned).sum(), turned)
    torch.testing.assert_close(gradient, turned.detach(), **EXACT)


def test_units_that_do_not_respond_are_left_out():
    parameters, x = ensemble("relu")
    parameters["b"][0, -1] = -50.0
    towards = replace(objective("one_step"), k=torch.full((3,), N))
    loss, _, gradient = flossing_gradient(CELLS["relu"], parameters, x, towards)
    assert bool(torch.isfinite(loss).all())
    assert all(bool(torch.isfinite(g).all()) for g in gradient.values())


# --- ensembles and engines ----------------------------------------------------------------------------------------

SMALL = Protocol(n=10, epochs=6, steps=14, batch=3, evaluation_batches=2, flossing_epochs=3, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=10, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=1.2, episodes=(0, 2, 4), k=6, target=0.1, flossing_steps=20),
)


def finished(networks: tuple[Network, ...], penalty: str, engine: str = "torch", **how: Any) -> Training:
    training = Training(Ensemble(networks, replace(SMALL, penalty=penalty)), engines.ENGINES[engine], **how)
    list(training.run())
    return training


def tensors(training: Training) -> dict[str, torch.Tensor]:
    return {name: value for name, value in training.state().items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("penalty", CONTROLS)
def test_stacked_equals_looped(penalty):
    together = tensors(finished(NETWORKS, penalty))
    for r, network in enumerate(NETWORKS):
        for name, value in tensors(finished((network,), penalty)).items():
            torch.testing.assert_close(together[name][r], value[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("penalty", CONTROLS)
@pytest.mark.parametrize("after", [0, 1, 8])  # before an episode, and within two
def test_a_diverging_network_is_alone(penalty, after):
    healthy, spoilt = (Training(Ensemble(NETWORKS, replace(SMALL, penalty=penalty))) for _ in range(2))
    list(islice(spoilt.run(), after))
    spoilt.ensemble.parameters["W"][2] = torch.nan
    list(healthy.run())
    list(spoilt.run())
    assert spoilt.ensemble.diverged_at.tolist()[:2] == [-1, -1]
    assert int(spoilt.ensemble.diverged_at[2]) >= 0
    for name, value in tensors(healthy).items():
        if name != "diverged_at":
            assert torch.equal(tensors(spoilt)[name][:2], value[:2]), name


@pytest.mark.parametrize("penalty", CONTROLS)
@pytest.mark.parametrize("engine", sorted(engines.ENGINES.keys() - {"torch", "convolution"}))
def test_every_engine_flosses_as_torch_does(penalty, engine):
    """Training is each engine's own; of the flossing epochs every bit is torch's, from the same parameters."""
    if engine == "native" and engines.compiler() is None:
        pytest.skip("no C++ compiler")
    before = (Network(seed=3, d=2, episodes=(0,), k=3, flossing_steps=20), Network(seed=4, d=6, episodes=(0,), k=7))
    ours, reference = (
        Training(Ensemble(before, replace(SMALL, penalty=penalty)), engines.ENGINES[name]) for name in (engine, "torch")
    )
    first, wanted = (list(islice(training.run(), SMALL.flossing_epochs)) for training in (ours, reference))
    assert len(flossing_ticks(first)) == len(flossing_ticks(wanted)) == SMALL.flossing_epochs
    for name, value in tensors(reference).items():
        assert torch.equal(tensors(ours)[name], value), name
    x = gaussian(2, 2, 20, 1)
    towards = ours.ensemble.flossed.select(torch.arange(2), FlossingRun(20, 12)).objective
    a, b = (t.engine.flossing_gradient(t.ensemble.parameters, x, towards) for t in (ours, reference))
    assert torch.equal(a[0], b[0])
    assert all(torch.equal(a[2][name], b[2][name]) for name in b[2])
    list(ours.run())
    list(reference.run())
    for name, value in tensors(reference).items():
        torch.testing.assert_close(tensors(ours)[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("penalty", CONTROLS)
def test_flossing_reaches_the_target_of_its_penalty(penalty):
    """Large steps, so that a short test tells; T_f of the protocol."""
    protocol = replace(SMALL, epochs=1, flossing_epochs=150, flossing_lr=1e-2, penalty=penalty)
    training = Training(Ensemble([Network(seed=s, d=2, g=0.5, episodes=(0,), k=5) for s in range(2)], protocol))
    losses = torch.stack([tick.loss for tick in flossing_ticks(list(training.run()))])
    assert bool((losses[-1] < 0.05 * losses[0]).all())
