"""Architectures of the native engine beside tanh networks: each trains as torch does, with the same guarantees."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from grids import grid
from hypothesis import given, settings
from hypothesis import strategies as st
from native_networks import (
    FLOSSING_ROUNDING,
    NETWORKS,
    ROUNDING,
    SMALL,
    as_dtype,
    check_flossing_gradient,
    check_task_gradient,
    check_training,
    distance,
    in_float64,
    objective_of,
    tensors,
    training,
)
from problems import DOUBLE

from floss.networks import CELLS
from floss.random import Stream
from floss.training import engines
from floss.training.engines.call_arguments import NAMES, TASK_NUMBERS
from floss.training.engines.native import NativeEngine
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.schedule import FlossingRun

pytestmark = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")

OTHERS = tuple(arch for arch in NAMES if arch != "vanilla")
CHAINS = tuple(arch for arch in OTHERS if arch != "lru")
"""Those whose exponents come from a chain of QR decompositions."""
GATED = ("lstm", "gru")


def networks_of(arch: str) -> tuple[Network, ...]:
    """NETWORKS, with gains that the architecture has, and with k up to its state size."""
    most = CELLS[arch].state_size(SMALL.n)
    ks = (3, most, 6, 1)
    if arch == "relu":  # about half of the units respond
        ks = (2, 3, 2, 1)
    return tuple(replace(network, g=min(network.g, 1.0), k=k) for network, k in zip(NETWORKS, ks, strict=True))


# --- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("arch", OTHERS)
def test_gradients_of_the_reference_protocol(arch, dtype):
    """Those of flossing in float32 within 1e-3, for the networks here; in float64 within rounding."""
    networks = tuple(Network(seed=s, d=40, k=30 if arch == "relu" else 75, episodes=(0,)) for s in range(2))
    ours = training(NativeEngine, Protocol(arch=arch, dtype=dtype, steps=100), networks)
    check_task_gradient(ours)
    if arch != "lru":
        check_flossing_gradient(ours, steps=55, transient=16, t_ons=1)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    arch=st.sampled_from(OTHERS),
    n=st.integers(1, 40),
    batch=st.integers(1, 37),
    steps=st.integers(3, 30),
    task=st.sampled_from(sorted(TASK_NUMBERS)),
    delays=st.lists(st.integers(1, 14), min_size=1, max_size=3),
    g=st.floats(0.1, 1.0),
    seed=st.integers(0, 2**62),
    dtype=st.sampled_from(list(ROUNDING)),
)
def test_task_gradients_at_any_size(arch, n, batch, steps, task, delays, g, seed, dtype):
    """Sizes that are no multiple of a vector, of a tile or of a chunk of steps."""
    g *= 0.6 if arch in ("relu", "linear") else 1.0  # their states are not bounded
    n = max(n, 3) if arch == "lru" else n  # where all units are saturated, 1 - f² has fewer digits, in torch as well
    networks = tuple(Network(seed=seed + i, d=min(2 * d, steps - 1) // 2 * 2, g=g) for i, d in enumerate(delays))
    protocol = Protocol(arch=arch, task=task, n=n, batch=batch, steps=steps, dtype=dtype)
    check_task_gradient(training(NativeEngine, protocol, networks))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    data=st.data(),
    arch=st.sampled_from(GATED),
    n=st.integers(1, 40),
    g=st.floats(0.3, 1.5),
    seed=st.integers(0, 2**62),
    target=st.floats(-1, 0.2),
)
def test_flossing_gradients_at_any_size(data, arch, n, g, seed, target):
    size = CELLS[arch].state_size(n)
    dtype = data.draw(st.sampled_from(list(ROUNDING)))
    most = size if dtype == DOUBLE else max(1, size // 2)  # the adjoint of the last exponents takes digits
    ks = data.draw(st.lists(st.integers(1, most), min_size=1, max_size=3))
    t_ons = data.draw(st.integers(1, 3)) if max(ks) <= 5 else 1
    steps, transient = data.draw(st.tuples(st.integers(12, 30), st.integers(0, 8)))
    networks = tuple(Network(seed=seed + i, d=2, g=g, k=k, target=target, episodes=(0,)) for i, k in enumerate(ks))
    task = data.draw(st.sampled_from(sorted(TASK_NUMBERS)))
    protocol = Protocol(arch=arch, task=task, n=n, batch=2, steps=9, dtype=dtype)
    check_flossing_gradient(training(NativeEngine, protocol, networks), steps, transient, t_ons)


@pytest.mark.parametrize("k", [1, 2, 7, 22])
def test_eigenvalues_of_linear_units_are_flossed(k):
    """Each is two exponents, of which an odd k has the last one alone."""
    networks = tuple(Network(seed=s, d=2, g=0.9, k=k, target=-0.3, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, replace(SMALL, arch="lru"), networks)
    check_flossing_gradient(ours, steps=12, transient=3, t_ons=1)


def test_directions_that_a_closed_gate_cuts_are_left_out():
    """Units whose cell is neither kept nor written to have a rank of zero; the others' gradient is right."""
    networks = tuple(Network(seed=s, d=2, k=16, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, replace(SMALL, arch="lstm", n=8), networks)
    ours.ensemble.parameters["b"][1, [2, 3, 10, 11]] = -1e3  # the gates i and f of two units
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.FLOSSING, 1, steps=20, batch=1, dtype=DOUBLE)[:, :, 0]
    objective = objective_of(ours, FlossingRun(20, 3))
    loss, exponents, gradient = ours.engine.flossing_gradient(ours.ensemble.parameters, x, objective)
    reference, parameters = in_float64(ours)
    wanted_loss, wanted_exponents, wanted = reference.engine.flossing_gradient(
        parameters, x, as_dtype(objective, DOUBLE)
    )
    lost = exponents.isneginf()
    assert torch.equal(lost, wanted_exponents.isneginf())
    assert int(lost[1].sum()) >= 4
    assert not bool(lost[[0, 2], :8].any())
    assert distance(exponents[~lost], wanted_exponents[~lost]) < 10 * ROUNDING[DOUBLE]
    assert distance(loss, wanted_loss) < 10 * ROUNDING[DOUBLE]
    for name, g in gradient.items():
        assert distance(g, wanted[name]) < FLOSSING_ROUNDING[DOUBLE], name


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1e-2, 1.0, 28.0])
def test_its_logistic_function(dtype, scale):
    """Relatively exact, however small: h' = o tanh(c') of a cell that is full, its other gates closed."""
    a = (scale * torch.linspace(-3.0, 3.0, 401, dtype=DOUBLE)).to(dtype).double()
    R = len(a)
    zero = torch.zeros(R, 4, 1, dtype=dtype)
    b = zero[..., 0].clone()
    b[:, 0], b[:, 1], b[:, 3] = -1e3, 1e3, a
    h0 = torch.tensor([0.0, 50.0], dtype=dtype).expand(R, 1, 2).contiguous()  # tanh(c) = 1
    one = torch.ones(R, 1, dtype=dtype)
    ours = training(NativeEngine, replace(SMALL, arch="lstm", task="copy", n=1, batch=1, dtype=dtype))
    parameters = {"W": zero, "V": zero, "b": b, "U": one, "c": 0 * one[:, 0], "h0": h0}
    x = torch.zeros(R, 1, 1, 1, dtype=dtype)
    # One network for each number, N = B = T = 1: the output is o, and its squared error has the gradient 2 o by c.
    gc = ours.engine.task_gradient(parameters, x, torch.zeros(R, dtype=torch.int64))[2]["c"]
    wanted = 2.0 * torch.sigmoid(a)
    assert bool(((gc.double() - wanted).abs() <= 3 * torch.finfo(dtype).eps * wanted).all())


@pytest.mark.parametrize("arch", OTHERS)
def test_what_is_not_finite_stays_visible(arch):
    ours = training(NativeEngine, replace(SMALL, arch=arch), networks_of(arch))
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    for name in NAMES[arch]:
        spoilt = {key: p.clone() for key, p in ours.ensemble.parameters.items()}
        spoilt[name].view(4, -1)[2, 0] = torch.nan
        loss, _, gradient = ours.engine.task_gradient(spoilt, x, ours.ensemble.d)
        assert loss.isnan().tolist() == [False, False, True, False], name
        assert bool(gradient["U"][2].isnan().any())


# --- whole trainings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "task"), grid([(arch, "xor") for arch in OTHERS], OTHERS, ["xor", "copy", "spatial_xor"])
)
def test_a_training_is_that_of_torch(arch, task):
    """Data, clipping, both optimizers, schedules, episodes, evaluation; float64, so that paths do not part."""
    protocol = replace(SMALL, arch=arch, task=task)
    ours, reference = (training(engine, protocol, networks_of(arch)) for engine in (NativeEngine, TorchEngine))
    check_training(ours, reference)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("arch", OTHERS)
def test_the_same_bits_for_any_ensemble_and_number_of_threads(arch, dtype, threads):
    protocol = replace(SMALL, arch=arch, dtype=dtype)
    networks = networks_of(arch)
    threads(1)
    together, in_threads = (training(NativeEngine, protocol, networks) for _ in range(2))
    fresh = training(NativeEngine, protocol, networks).ensemble
    list(together.run())
    threads(3)
    list(in_threads.run())
    for name, value in tensors(together).items():
        assert torch.equal(value, tensors(in_threads)[name]), name
    for r, network in enumerate(networks):
        alone = training(NativeEngine, protocol, (network,))
        # torch draws, and may round the last bit differently in another ensemble
        alone.ensemble.flossed.q0 = fresh.flossed.q0[r : r + 1, :, : network.k].contiguous()
        for name, p in alone.ensemble.parameters.items():
            p.copy_(fresh.parameters[name][r : r + 1])
        list(alone.run())
        for name, value in tensors(together).items():
            assert torch.equal(value[r], tensors(alone)[name][0]), f"{name} of network {r}"


@pytest.mark.parametrize("arch", OTHERS)
def test_epochs_together_and_taken_up_again_have_the_same_bits(arch):
    """Stretches between logged epochs, and a training that goes on from its state in the middle of an episode."""
    protocol = replace(SMALL, arch=arch, epochs=20, flossing_epochs=9)
    one, many, resumed = (training(NativeEngine, protocol, networks_of(arch), every=every) for every in (1, 7, 7))
    list(one.run())
    first = training(NativeEngine, protocol, networks_of(arch), every=7)
    list(islice(first.run(), 2))
    assert (first.epoch, first.flossing_epoch) == (0, 8)
    resumed.load(first.state())
    for each in (many, resumed):
        assert len(list(each.run())) < 30
        for name, value in tensors(one).items():
            assert torch.equal(value, tensors(each)[name]), name


@pytest.mark.parametrize(
    ("arch", "value", "after"),
    grid([(arch, torch.nan, 2) for arch in OTHERS], OTHERS, [torch.nan, torch.inf], [0, 2, 12]),
)
def test_others_go_on_bit_for_bit(arch, value, after):
    healthy, spoilt = (training(NativeEngine, replace(SMALL, arch=arch), networks_of(arch), every=3) for _ in range(2))
    list(islice(spoilt.run(), after))
    spoilt.ensemble.parameters["nu" if arch == "lru" else "W"][2] = value
    frozen, due = tensors(spoilt), spoilt.epoch
    list(spoilt.run())
    list(healthy.run())
    others = [0, 1, 3]
    assert [spoilt.ensemble.diverged_at.tolist()[r] for r in others] == [-1, -1, -1]
    for name, mine in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(mine[others], tensors(healthy)[name][others]), name
    if value != value:  # infinite weights only close gates, and an infinite ν is an eigenvalue of 0
        assert int(spoilt.ensemble.diverged_at[2]) == due
        for name, mine in tensors(spoilt).items():
            if name != "diverged_at":
                assert torch.equal(mine[2].nan_to_num(), frozen[name][2].nan_to_num()), f"{name} of the frozen network"
