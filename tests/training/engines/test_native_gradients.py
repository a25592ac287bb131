"""The native engine's gradients are those of torch, at any size, and what is not finite stays visible."""

from dataclasses import replace

import pytest
import torch
from grids import covered
from hypothesis import given, settings
from hypothesis import strategies as st
from native_networks import (
    FLOSSING_ROUNDING,
    ROUNDING,
    SMALL,
    as_dtype,
    check_flossing_gradient,
    check_task_gradient,
    distance,
    in_float64,
    objective_of,
    training,
)
from problems import DOUBLE
from torch import Tensor

from floss.random import Stream
from floss.training import engines
from floss.training.engines.call_arguments import NAMES, TASK_NUMBERS
from floss.training.engines.native import NativeEngine
from floss.training.engines.operators import flossing_gradient, task_gradient
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.flossing import flossing_gradient as reference_flossing_gradient
from floss.training.schedule import FlossingRun
from floss.training.training import Training

pytestmark = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")

# --- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("g", [0.5, 1.0, 1.5])
def test_gradients_of_the_reference_protocol(dtype, g):
    networks = tuple(Network(seed=s, d=40, g=g, k=75, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, Protocol(dtype=dtype), networks)
    check_task_gradient(ours)
    if dtype == DOUBLE:
        check_flossing_gradient(ours, steps=55, transient=16, t_ons=1)


@pytest.mark.parametrize("g", covered([0.5, 1.0, 1.5], [1.0]))
def test_flossing_gradients_of_the_reference_protocol_in_float32(g):
    """The chain is in float64, the adjoint in float32: more exact than torch's, which has float32 in the chain too."""
    networks = tuple(Network(seed=s, d=40, g=g, k=75, episodes=(0,)) for s in range(24))
    single, exact = Protocol(dtype=torch.float32), Protocol(dtype=DOUBLE)
    ours, torchs = training(NativeEngine, single, networks), training(TorchEngine, single, networks)
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.FLOSSING, 1, steps=55, batch=1)[:, :, 0]
    objective = objective_of(ours, FlossingRun(55, 16))

    def gradient(of: Training, dtype: torch.dtype) -> Tensor:
        parameters = {name: p.to(dtype) for name, p in ours.ensemble.parameters.items()}
        parts = of.engine.flossing_gradient(parameters, x.to(dtype), as_dtype(objective, dtype))[2]
        return torch.cat([part.flatten(1).double() for part in parts.values()], 1)

    reference = gradient(training(TorchEngine, exact, networks), DOUBLE)
    errors, theirs = (
        (gradient(of, torch.float32) - reference).norm(dim=1) / reference.norm(dim=1) for of in (ours, torchs)
    )
    assert float(errors.median()) < 2e-4
    assert float((errors < 1e-3).double().mean()) > 0.95
    assert float(errors.log().mean()) < float(theirs.log().mean()) - 0.5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 70),
    batch=st.integers(1, 37),
    steps=st.integers(3, 40),
    task=st.sampled_from(sorted(TASK_NUMBERS)),
    delays=st.lists(st.integers(1, 19), min_size=1, max_size=3),
    g=st.floats(0.1, 1.5),
    seed=st.integers(0, 2**62),
    dtype=st.sampled_from(list(ROUNDING)),
)
def test_task_gradients_at_any_size(n, batch, steps, task, delays, g, seed, dtype):
    """Sizes that are no multiple of a vector, of a tile or of a chunk of steps."""
    networks = tuple(Network(seed=seed + i, d=min(2 * d, steps - 1) // 2 * 2, g=g) for i, d in enumerate(delays))
    check_task_gradient(
        training(NativeEngine, Protocol(task=task, n=n, batch=batch, steps=steps, dtype=dtype), networks)
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    data=st.data(), n=st.integers(1, 70), g=st.floats(0.3, 1.5), seed=st.integers(0, 2**62), target=st.floats(-1, 0.2)
)
def test_flossing_gradients_at_any_size(data, n, g, seed, target):
    ks = data.draw(st.lists(st.integers(1, n), min_size=1, max_size=3))
    dtype = data.draw(st.sampled_from(list(ROUNDING)))
    t_ons = data.draw(st.integers(1, 4)) if max(ks) <= 20 else 1  # the condition of an interval grows with k and t_ons
    if dtype == torch.float32:  # the last exponents of a square chain take more digits in the adjoint than it has
        ks = [min(k, max(1, round(0.9 * n))) for k in ks]
    steps, transient = data.draw(st.tuples(st.integers(12, 30), st.integers(0, 8)))
    networks = tuple(Network(seed=seed + i, d=2, g=g, k=k, target=target, episodes=(0,)) for i, k in enumerate(ks))
    protocol = Protocol(task=data.draw(st.sampled_from(sorted(TASK_NUMBERS))), n=n, batch=2, steps=9, dtype=dtype)
    check_flossing_gradient(training(NativeEngine, protocol, networks), steps, transient, t_ons)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1e-2, 1.0, 30.0, 1e10])
def test_its_tanh(dtype, scale):
    """From the linear part to saturation: y = tanh(h) for a network of one step without drive, whose readout is W r."""
    h = scale * torch.linspace(-3.0, 3.0, 401, dtype=DOUBLE)
    h = torch.cat((h, torch.tensor([0.0, -0.0, 9.0, -9.2, 19.1, -300.0], dtype=DOUBLE))).to(dtype)
    R = len(h)
    one, zero = torch.ones(R, 1, 1, dtype=dtype), torch.zeros(R, 1, 1, dtype=dtype)
    parameters = [one, zero, zero[:, 0], one[:, 0], zero[:, 0, 0], h[:, None, None]]
    # One network for each number, N = B = T = 1: the output is r, and its squared error has the gradient 2 r by c.
    gc = task_gradient(
        "vanilla", parameters, torch.zeros(R, 1, 1, 1, dtype=dtype), torch.zeros(R, dtype=torch.int64), "copy"
    )[6]
    wanted = 2.0 * torch.tanh(h.double())
    precision = torch.finfo(dtype).eps
    assert bool(((gc.double() - wanted).abs() <= 2 * precision * wanted.abs()).all())
    assert bool((gc.abs() <= 2).all())


def test_what_is_not_finite_stays_visible():
    """NaN and infinite states come out as NaN or as what torch makes of them, never as plausible numbers."""
    ours = training(NativeEngine, SMALL)
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    for name in NAMES["vanilla"]:
        spoilt = {key: p.clone() for key, p in ours.ensemble.parameters.items()}
        spoilt[name].view(4, -1)[2, 0] = torch.nan
        loss, _, gradient = ours.engine.task_gradient(spoilt, x, ours.ensemble.d)
        assert loss.isnan().tolist() == [False, False, True, False], name
        assert bool(gradient["W"][2].isnan().any())


def test_strided_tensors_are_taken_as_they_are():
    ours = training(NativeEngine, SMALL)
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    plain = ours.engine.task_gradient(ours.ensemble.parameters, x, ours.ensemble.d)
    strided = {name: p.mT.contiguous().mT if p.ndim > 2 else p for name, p in ours.ensemble.parameters.items()}
    again = ours.engine.task_gradient(strided, x.transpose(1, 2).contiguous().transpose(1, 2), ours.ensemble.d)
    for name, g in plain[2].items():
        assert torch.equal(g, again[2][name]), name


def test_the_operators_are_what_torch_expects():
    """Schemas and mutation, by torch's own test of custom operators."""
    ours = training(NativeEngine, SMALL)
    parameters, flossed = [ours.ensemble.parameters[name] for name in NAMES["vanilla"]], ours.ensemble.flossed
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    torch.library.opcheck(
        task_gradient, ("vanilla", parameters, x, ours.ensemble.d, "xor"), test_utils=("test_schema",)
    )
    torch.library.opcheck(
        flossing_gradient,
        ("vanilla", parameters, x[:, :, 0], flossed.q0, flossed.k, flossed.target, 1, 4),
        test_utils=("test_schema",),
    )


# --- directions that are lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
def test_lost_directions_are_left_out(dtype):
    """Saturated units have φ' = 0: as many of the last exponents are -inf, and the others' gradient is right."""
    networks = tuple(Network(seed=s, d=2, k=8, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, replace(SMALL, n=8, dtype=dtype), networks)
    ours.ensemble.parameters["b"][1, 2:5] = 1e3  # tanh is 1 at every step but the first
    ours.ensemble.parameters["h0"][1, :, 2:5] = 1e3
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.FLOSSING, 1, steps=20, batch=1, dtype=dtype)[:, :, 0]
    objective = objective_of(ours, FlossingRun(20, 3))
    loss, exponents, gradient = ours.engine.flossing_gradient(ours.ensemble.parameters, x, objective)
    _, parameters = in_float64(ours)
    wanted_loss, wanted_exponents, wanted = reference_flossing_gradient(
        ours.ensemble.cell, parameters, x.double(), as_dtype(objective, DOUBLE)
    )
    assert torch.equal(exponents.isneginf(), torch.tensor([[False] * 8, [False] * 5 + [True] * 3, [False] * 8]))
    assert torch.equal(exponents.isneginf(), wanted_exponents.isneginf())
    finite = ~exponents.isneginf()
    assert distance(exponents[finite], wanted_exponents[finite]) < 10 * ROUNDING[dtype]
    assert distance(loss, wanted_loss) < 10 * ROUNDING[dtype]
    for name, g in gradient.items():
        assert distance(g, wanted[name]) < FLOSSING_ROUNDING[dtype], name
