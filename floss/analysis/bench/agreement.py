"""Before anything is timed: engines and peers compute the same gradients and the same exponents, in float64."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.analysis.bench import jax_cells, jax_peer, own_step, spectrum, torch_cells, torch_single
from floss.analysis.bench.contenders import TANH, Contender, contender
from floss.analysis.bench.loops import training_of
from floss.jobs.bench import BenchJob
from floss.training.schedule import FlossingRun
from floss.training.training import Training

_BOUNDS = {"gradients": 1e-8, "exponents": 1e-6}
"""Largest relative difference of two computations of the same in float64; a run adds up many rounding errors."""


@dataclass(frozen=True)
class Agreement:
    """How far two implementations differ in float64."""

    quantity: str
    """`gradients` or `exponents`."""
    problem: str
    """The loop, with the name of a gated cell, or the sizes of the spectrum."""
    engine: str
    reference: str
    difference: float
    """Relative, the largest over parameters or exponents; NaN where a number is."""

    def __str__(self) -> str:
        return (
            f"{self.quantity} of {self.problem}: {self.engine} and {self.reference} differ by "
            f"{self.difference:.1e} (float64)"
        )


def checked_agreements(job: BenchJob, device: str, engines: Sequence[str], peers: Sequence[str]) -> list[Agreement]:
    """The gradients of both loops and the exponents of all sizes, engine by engine.

    Raises:
        RuntimeError: two of them differ by more than rounding errors.
    """
    agreements = [*gradient_agreements(job, device, engines, peers), own_step_agreement(job, device)]
    for arch in job.cells:
        agreements += cell_agreements(job, arch, device, engines, peers)
    agreements += exponent_agreements(job, device, peers)
    for agreement in agreements:
        if not agreement.difference <= _BOUNDS[agreement.quantity]:
            raise RuntimeError(f"not the same {agreement}")
    return agreements


def gradient_agreements(job: BenchJob, device: str, engines: Sequence[str], peers: Sequence[str]) -> list[Agreement]:
    """Of the gradients of both loops with those of the plain loop."""
    return [
        Agreement("gradients", loop, engine, "torch-single", difference(contender(job, engine, loop, 2), device))
        for engine in (*(peer for peer in peers if peer == "jax"), *engines)
        for loop, difference in (("train", _task_difference), ("floss", _flossing_difference))
    ]


def cell_agreements(
    job: BenchJob, arch: str, device: str, engines: Sequence[str], peers: Sequence[str]
) -> list[Agreement]:
    """Of the gradients of a gated cell: in training with those of torch's module, in flossing with the torch engine's.

    The latter has no peer; its own tests compare it with automatic differentiation.
    """

    def of(engine: str, loop: str) -> Contender:
        return dataclasses.replace(contender(job, engine, loop, 2), arch=arch)

    agreements = [
        Agreement("gradients", f"train {arch}", engine, "torch-single", _task_difference(of(engine, "train"), device))
        for engine in (*(peer for peer in peers if peer == "jax"), *engines)
    ]
    others = [engine for engine in engines if engine != "torch"]
    first, *found = (_flossing_gradients(of(engine, "floss"), device) for engine in ("torch", *others))
    for engine, gradients in zip(others, found, strict=True):
        agreements.append(Agreement("gradients", f"floss {arch}", engine, "torch", _largest(gradients, first)))
    return agreements


def own_step_agreement(job: BenchJob, device: str) -> Agreement:
    """Of the flossing gradient of a user's step with that of the plain loop, along two trajectories."""
    run = FlossingRun.of_length(job.flossing_steps)
    ensemble = training_of(contender(job, spectrum.OWN_STEP, "floss", 1), device, torch.float64).ensemble
    first, q = {name: p[0] for name, p in ensemble.parameters.items()}, ensemble.flossed.q0[0]
    x = torch.randint(0, 2, (job.flossing_steps, 2, 1), device=device).double()
    gradients: list[dict[str, Tensor]] = []
    for loss in (own_step.own_loss, torch_single.flossing_loss):
        leaves = {name: p.clone().requires_grad_(name != "h0") for name, p in first.items()}
        flossed = {name: leaves[name] for name in ensemble.cell.flossed}
        gradient = torch.autograd.grad(loss(leaves, x, q, run.transient), list(flossed.values()))
        gradients.append(dict(zip(flossed, gradient, strict=True)))
    return Agreement("gradients", "floss", spectrum.OWN_STEP, "torch-single", _largest(*gradients))


def exponent_agreements(job: BenchJob, device: str, peers: Sequence[str]) -> list[Agreement]:
    """Of the peers' exponents with ours."""
    return [
        Agreement(
            "exponents",
            f"N = {n}, k = {k}",
            peer,
            "floss",
            spectrum.exponent_difference(peer, n, k, job.spectrum_steps, device),
        )
        for peer in spectrum.PEERS
        if peer in peers
        for n, k in job.spectrum_sizes
    ]


def _task_difference(contender: Contender, device: str) -> float:
    training = training_of(contender, device, torch.float64)
    ensemble, d = training.ensemble, contender.d
    p = ensemble.parameters
    x = torch.randint(0, 2, (2, contender.t, contender.batch, 1), device=device).double()
    if contender.engine == "jax":
        gradient = jax_peer.gradients(jax_cells.loss_of(contender.arch), p, x, last=d)
    else:
        gradient = training.engine.task_gradient(p, x, ensemble.d)[2]
    if contender.arch != TANH:
        module = torch_cells.module_of(contender.arch, _second(p))
        torch_cells.task_loss(module, x[1], d).backward()
        return _largest(_second(gradient), module.gradients())
    return _difference(gradient, p, lambda network: torch_single.task_loss(network, x[1], d))


def _flossing_gradients(contender: Contender, device: str) -> dict[str, Tensor]:
    """Of both networks, along inputs that are the same for every engine."""
    x = (torch.arange(2 * contender.t, device=device).double().sin() > 0.0).double()
    return _engine_flossing(training_of(contender, device, torch.float64), x.reshape(2, -1, 1))


def _engine_flossing(training: Training, x: Tensor) -> dict[str, Tensor]:
    ensemble = training.ensemble
    every = torch.arange(len(x), device=x.device)
    objective = ensemble.flossed.select(every, FlossingRun.of_length(x.shape[1])).objective
    return training.engine.flossing_gradient(ensemble.parameters, x, objective)[2]


def _flossing_difference(contender: Contender, device: str) -> float:
    training = training_of(contender, device, torch.float64)
    ensemble = training.ensemble
    p, q0, transient = ensemble.parameters, ensemble.flossed.q0, FlossingRun.of_length(contender.t).transient
    x = torch.randint(0, 2, (2, contender.t, 1), device=device).double()
    if contender.engine == "jax":
        gradient = jax_peer.gradients(jax_peer.flossing_loss, p, x, q0, last=transient)
        gradient = {name: gradient[name] for name in ensemble.cell.flossed}
    else:
        gradient = _engine_flossing(training, x)
    return _difference(gradient, p, lambda network: torch_single.flossing_loss(network, x[1], q0[1], transient))


def _difference(
    gradient: dict[str, Tensor], parameters: dict[str, Tensor], loss: Callable[[dict[str, Tensor]], Tensor]
) -> float:
    """Of the gradient of the second network from that of its `loss`; NaN where that is what it holds."""
    leaves = {name: value.clone().requires_grad_() for name, value in _second(parameters).items()}
    expected = torch.autograd.grad(loss(leaves), [leaves[name] for name in gradient])
    return _largest(_second(gradient), dict(zip(gradient, expected, strict=True)))


def _second(stacked: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the second network."""
    return {name: value[1] for name, value in stacked.items()}


def _largest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest relative difference of any tensor; NaN where one is, and 0 where both tensors are nothing but zeros."""
    assert found.keys() == expected.keys()
    tiny = torch.finfo(torch.float64).tiny
    relative = [(g - expected[name]).norm() / expected[name].norm().clamp_min(tiny) for name, g in found.items()]
    return float(torch.stack(relative).max())
