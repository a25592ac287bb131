"""`diagnostics=[grad_h0]`: gradients of the whole loss and of the last step, and the step of Adam, of every engine."""

import math
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from problems import DOUBLE, TRAINED_CELLS
from torch import Tensor
from torch.nn import functional
from twins import unroll_twin

from floss.random import Stream
from floss.training import engines
from floss.training.engines import ENGINES
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

COLUMNS = ["grad_norm_h0", "grad_norm_h0_last", "adam_step_h0"]
NETWORKS = [Network(seed=4, d=2), Network(seed=5, d=4, episodes=(0, 2)), Network(seed=6, d=20)]
PROTOCOL = Protocol(n=7, epochs=6, steps=24, batch=3, dtype=DOUBLE, flossing_epochs=3)

GENERAL = tuple(name for name in ENGINES if name != "convolution")
"""The engines of networks that step through time."""


def training(engine: str, **how: Any) -> Training:
    protocol = replace(PROTOCOL, **how)
    networks = [replace(network, k=3, g=1.0 if protocol.arch == "vanilla" else 0.7) for network in NETWORKS]
    return Training(Ensemble(networks, protocol), ENGINES[engine], diagnostics=("grad_h0",))


def compiled(engine: str) -> None:
    if engine == "native" and engines.compiler() is None:
        pytest.skip("no C++ compiler")


def losses(task: str, y: Tensor, x: Tensor, d: int) -> Tensor:
    """Of each step t ≥ d, the mean over the batch: of outputs y [T, B] and inputs x [T, B, S]."""
    T = len(x)
    if task == "copy":
        return ((y[d:] - x[: T - d, :, 0]) ** 2).mean(1)
    if task == "spatial_xor":
        target = x[: T - d].sum(-1) % 2
    else:
        target = (x[: T - d, :, 0] != x[d // 2 : T - d // 2, :, 0]).to(x.dtype)
    return functional.binary_cross_entropy_with_logits(y[d:], target, reduction="none").mean(1)


@pytest.mark.parametrize(
    ("engine", "arch", "task"),
    [
        *(("torch", arch, "xor") for arch in TRAINED_CELLS),
        *((engine, "vanilla", task) for engine in GENERAL for task in ("xor", "copy", "spatial_xor")),
    ],
)
def test_norms_are_those_of_automatic_differentiation(engine, arch, task):
    """In float64, with flossing between the epochs; the step of Adam is the change of h0 itself."""
    compiled(engine)
    ours = training(engine, arch=arch, task=task)
    e, p = ours.ensemble, ours.ensemble.protocol
    for epoch in range(3):
        episode = ours.episode()
        while not episode.over:
            ours.floss_epochs(episode, 1)
        before = {name: value.clone() for name, value in e.parameters.items()}
        x = e.task.sample(e.seeds, Stream.TRAINING, epoch, steps=p.steps, batch=p.batch, dtype=p.dtype)
        watched = ours.train_epochs(1).diagnostics
        assert watched is not None
        assert list(watched) == COLUMNS
        for r, network in enumerate(NETWORKS):
            leaves = {name: value[r : r + 1].clone().requires_grad_() for name, value in before.items()}
            each = losses(task, unroll_twin(arch, leaves, x[r : r + 1])[0], x[r], network.d)
            assert len(each) == p.steps - network.d
            (whole,) = torch.autograd.grad(each.mean(), leaves["h0"], retain_graph=True)
            (last,) = torch.autograd.grad(each[-1], leaves["h0"])
            change = e.parameters["h0"][r] - before["h0"][r]
            wanted = [float(torch.linalg.vector_norm(value)) for value in (whole, last, change)]
            assert [float(watched[name][r]) for name in COLUMNS] == pytest.approx(wanted, rel=1e-8)
            assert wanted[0] != pytest.approx(wanted[1], rel=0.01)


@pytest.mark.parametrize("engine", GENERAL)
def test_the_norm_is_taken_before_clipping(engine):
    compiled(engine)
    ours, clipped = training(engine, clip=1e9), training(engine, clip=1e-9)
    first, second = (each.train_epochs(1).diagnostics for each in (ours, clipped))
    assert first is not None
    assert second is not None
    assert torch.equal(first["grad_norm_h0"], second["grad_norm_h0"])
    assert (first["grad_norm_h0"] > 1e-8).all()


@pytest.mark.parametrize("engine", GENERAL)
def test_single_precision_is_near_double_precision(engine):
    """The whole loss in the networks' own precision, the last step in float64, where a small gradient is no zero."""
    compiled(engine)
    single, double = (training(engine, dtype=dtype, steps=300, n=12) for dtype in (torch.float32, DOUBLE))
    for each in (single, double):
        for network in range(3):
            each.ensemble.parameters["W"][network] *= 0.5  # λ₁ < -0.6: after 300 steps nothing is left in float32
    for name, value in single.ensemble.parameters.items():
        double.ensemble.parameters[name].copy_(value)
    ours, wanted = (each.train_epochs(1).diagnostics for each in (single, double))
    assert ours is not None
    assert wanted is not None
    assert ours["grad_norm_h0"].double().tolist() == pytest.approx(wanted["grad_norm_h0"].tolist(), rel=1e-4)
    assert (wanted["grad_norm_h0_last"] > 0).all()
    assert (wanted["grad_norm_h0_last"] < torch.finfo(torch.float32).tiny).all()


@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_network_that_diverges_is_alone(engine, broken):
    compiled(engine)
    whole, spoilt = training(engine), training(engine)
    for each in (whole, spoilt):
        list(islice(each.run(), 4))
    spoilt.ensemble.parameters["W"][broken] = math.nan
    others = [r for r in range(3) if r != broken]
    for _ in range(2):
        healthy, rest = whole.train_epochs(1), spoilt.train_epochs(1)
        assert rest.networks.tolist() == others
        assert healthy.diagnostics is not None
        assert rest.diagnostics is not None
        for name in COLUMNS:
            assert rest.diagnostics[name].tolist() == pytest.approx(
                healthy.diagnostics[name][others].tolist(), rel=1e-9
            )
    spoilt.ensemble.parameters["W"][:] = math.nan
    assert spoilt.train_epochs(1).diagnostics == {}


def test_an_epoch_with_diagnostics_goes_alone():
    with pytest.raises(ValueError, match=r"^count=2: epoch 0 has diagnostics, and goes alone$"):
        training("torch").train_epochs(2)
