"""Small networks for tests of the native engine, unlike in all that may differ within an ensemble, and its twin."""

from dataclasses import replace
from typing import Any

import torch
from problems import DOUBLE
from ticks import life, measurements, place
from torch import Tensor

from floss.random import Stream
from floss.training.engine import Engine
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.objective import FlossingObjective
from floss.training.schedule import FlossingRun
from floss.training.training import Training

SMALL = Protocol(n=11, epochs=9, steps=23, batch=5, evaluation_batches=2, flossing_epochs=4, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=11, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=1.2, episodes=(0, 2, 4), k=6, target=0.1, flossing_steps=20),
    Network(seed=5, d=22, g=1.5, episodes=(0, 8), k=1, flossing_steps=25),
)


def distance(ours: Tensor, reference: Tensor) -> float:
    """‖error‖ / ‖reference‖; of a reference that is exactly zero, ‖error‖."""
    return float((ours.double() - reference).norm()) / (float(reference.norm()) or 1.0)


def training(
    engine: type[Engine], protocol: Protocol, networks: tuple[Network, ...] = NETWORKS, **how: Any
) -> Training:
    return Training(Ensemble(networks, protocol), engine, **how)


def tensors(ours: Training) -> dict[str, Tensor]:
    """All that training changes."""
    return {name: value for name, value in ours.state().items() if isinstance(value, Tensor)}


def check_training(ours: Training, reference: Training) -> None:
    """Both run to the end and are the same in all that they measure and change, up to rounding in float64."""
    for tick, wanted in zip(ours.run(), reference.run(), strict=True):
        assert (place(tick), tick.epochs) == (place(wanted), wanted.epochs)
        assert torch.equal(tick.networks, wanted.networks)
        assert torch.equal(life(tick), life(wanted))
        torch.testing.assert_close(measurements(tick), measurements(wanted), rtol=1e-7, atol=1e-9)
    for name, value in tensors(ours).items():
        torch.testing.assert_close(value, tensors(reference)[name], rtol=1e-6, atol=1e-9, msg=name)
    for mine, theirs in zip(ours.evaluate(), reference.evaluate(), strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


# --- against the reference in float64 --------------------------------------------------------------------------------

ROUNDING = {torch.float64: 1e-11, torch.float32: 1e-5}
FLOSSING_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
"""The adjoint goes through R^{-1} at every step, which takes digits."""


def in_float64(ours: Training) -> tuple[Training, dict[str, Tensor]]:
    """The reference engine for the same networks, and their parameters, which float32 has rounded, in float64."""
    reference = training(TorchEngine, replace(ours.ensemble.protocol, dtype=DOUBLE), ours.ensemble.networks)
    return reference, {name: p.double() for name, p in ours.ensemble.parameters.items()}


def objective_of(ours: Training, run: FlossingRun, t_ons: int = 1) -> FlossingObjective:
    """Of all networks, along another run than theirs."""
    flossed = ours.ensemble.flossed
    return FlossingObjective(flossed.q0, flossed.k, flossed.target, run, t_ons)


def as_dtype(objective: FlossingObjective, dtype: torch.dtype) -> FlossingObjective:
    return replace(objective, q0=objective.q0.to(dtype), target=objective.target.to(dtype))


def check_task_gradient(ours: Training) -> None:
    p = ours.ensemble.protocol
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 3, steps=p.steps, batch=p.batch, dtype=p.dtype)
    reference, parameters = in_float64(ours)
    loss, accuracy, gradient = ours.engine.task_gradient(ours.ensemble.parameters, x, ours.ensemble.d)
    wanted_loss, wanted_accuracy, wanted = reference.engine.task_gradient(parameters, x.double(), ours.ensemble.d)
    assert distance(loss, wanted_loss) < ROUNDING[p.dtype]
    assert list(gradient) == list(wanted)
    for name, g in gradient.items():
        assert g.dtype == p.dtype
        assert distance(g, wanted[name]) < ROUNDING[p.dtype], name
    if accuracy is None or wanted_accuracy is None:
        assert accuracy is wanted_accuracy
    else:  # an output within rounding of the threshold may fall on the other side
        assert float((accuracy - wanted_accuracy).abs().max()) <= (
            0 if p.dtype == DOUBLE else 2.0 / (p.batch * p.steps)
        )


def check_flossing_gradient(ours: Training, steps: int, transient: int, t_ons: int) -> None:
    p = ours.ensemble.protocol
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.FLOSSING, 1, steps=steps, batch=1, dtype=p.dtype)[:, :, 0]
    reference, parameters = in_float64(ours)
    objective = objective_of(ours, FlossingRun(steps, transient), t_ons)
    loss, exponents, gradient = ours.engine.flossing_gradient(ours.ensemble.parameters, x, objective)
    wanted_loss, wanted_exponents, wanted = reference.engine.flossing_gradient(
        parameters, x.double(), as_dtype(objective, DOUBLE)
    )
    assert distance(loss, wanted_loss) < ROUNDING[p.dtype]
    own = torch.arange(ours.ensemble.flossed.q0.shape[-1]) < ours.ensemble.flossed.k[:, None]
    assert torch.equal(exponents.isnan(), ~own)
    assert torch.equal(exponents.isneginf(), own & wanted_exponents.isneginf())
    kept = own & ~exponents.isneginf()
    assert distance(exponents[kept], wanted_exponents[kept]) < 10 * ROUNDING[p.dtype]
    assert list(gradient) == list(wanted)
    for name, g in gradient.items():
        assert distance(g, wanted[name]) < FLOSSING_ROUNDING[p.dtype], name
