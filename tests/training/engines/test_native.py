"""The native engine computes what torch does: gradients, epochs, whole trainings; networks do not touch each other."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import DOUBLE
from torch import Tensor

from floss.random import Stream
from floss.tasks import TASKS
from floss.training import engines
from floss.training.engines.native import NativeEngine
from floss.training.engines.operators import NAMES, flossing_gradient, task_gradient
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.flossing import flossing_gradient as reference_flossing_gradient
from floss.training.training import Tick, Training

pytestmark = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")

SMALL = Protocol(n=11, epochs=9, steps=23, batch=5, evaluation_batches=2, flossing_epochs=4, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=11, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=1.2, episodes=(0, 2, 4), k=6, target=0.1, flossing_steps=20),
    Network(seed=5, d=22, g=1.5, episodes=(0, 8), k=1, flossing_steps=25),
)
ROUNDING = {torch.float64: 1e-11, torch.float32: 1e-5}
FLOSSING_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
"""The adjoint goes through R^{-1} at every step, which takes digits."""


def distance(ours: Tensor, reference: Tensor) -> float:
    """‖error‖ / ‖reference‖."""
    return float((ours.double() - reference).norm() / reference.norm())


def training(
    engine: type[TorchEngine], protocol: Protocol, networks: tuple[Network, ...] = NETWORKS, **how: Any
) -> Training:
    return Training(networks, protocol, engine=engine, **how)


def in_float64(ours: Training) -> tuple[Training, dict[str, Tensor]]:
    """The reference engine for the same networks, and their parameters, which float32 has rounded, in float64."""
    reference = training(TorchEngine, replace(ours.protocol, dtype=DOUBLE), ours.networks)
    return reference, {name: p.double() for name, p in ours.parameters.items()}


def check_task_gradient(ours: Training) -> None:
    p = ours.protocol
    x = ours.task.sample(ours.seeds, Stream.TRAINING, 3, steps=p.steps, batch=p.batch, dtype=p.dtype)
    reference, parameters = in_float64(ours)
    loss, accuracy, gradient = ours.engine.task_gradient(ours.parameters, x, ours.d)
    wanted_loss, wanted_accuracy, wanted = reference.engine.task_gradient(parameters, x.double(), ours.d)
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
    p = ours.protocol
    x = ours.task.sample(ours.seeds, Stream.FLOSSING, 1, steps=steps, batch=1, dtype=p.dtype)[:, :, 0]
    reference, parameters = in_float64(ours)
    how: dict[str, Any] = {"k": ours.k, "t_ons": t_ons, "transient": transient}
    loss, exponents, gradient = ours.engine.flossing_gradient(ours.parameters, x, ours.q0, target=ours.target, **how)
    wanted_loss, wanted_exponents, wanted = reference.engine.flossing_gradient(
        parameters, x.double(), ours.q0.double(), target=ours.target.double(), **how
    )
    assert distance(loss, wanted_loss) < ROUNDING[p.dtype]
    own = torch.arange(ours.q0.shape[-1]) < ours.k[:, None]
    assert torch.equal(exponents.isnan(), ~own)
    assert distance(exponents[own], wanted_exponents[own]) < 10 * ROUNDING[p.dtype]
    assert list(gradient) == list(wanted)
    for name, g in gradient.items():
        assert distance(g, wanted[name]) < FLOSSING_ROUNDING[p.dtype], name


# --- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("g", [0.5, 1.0, 1.5])
def test_gradients_of_the_reference_protocol(dtype, g):
    networks = tuple(Network(seed=s, d=40, g=g, k=75, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, Protocol(dtype=dtype), networks)
    check_task_gradient(ours)
    if dtype == DOUBLE:
        check_flossing_gradient(ours, steps=55, transient=16, t_ons=1)


@pytest.mark.parametrize("g", [0.5, 1.0, 1.5])
def test_flossing_gradients_of_the_reference_protocol_in_float32(g):
    """The chain is in float64, the adjoint in float32: more exact than torch's, which has float32 in the chain too."""
    networks = tuple(Network(seed=s, d=40, g=g, k=75, episodes=(0,)) for s in range(24))
    single, exact = Protocol(dtype=torch.float32), Protocol(dtype=DOUBLE)
    ours, torchs = training(NativeEngine, single, networks), training(TorchEngine, single, networks)
    x = ours.task.sample(ours.seeds, Stream.FLOSSING, 1, steps=55, batch=1)[:, :, 0]
    how: dict[str, Any] = {"k": ours.k, "t_ons": 1, "transient": 16}

    def gradient(of: Training, dtype: torch.dtype) -> Tensor:
        parameters = {name: p.to(dtype) for name, p in ours.parameters.items()}
        parts = of.engine.flossing_gradient(parameters, x.to(dtype), ours.q0.to(dtype), target=of.target, **how)[2]
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
    task=st.sampled_from(sorted(TASKS)),
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
    protocol = Protocol(task=data.draw(st.sampled_from(sorted(TASKS))), n=n, batch=2, steps=9, dtype=dtype)
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
    gc = task_gradient(parameters, torch.zeros(R, 1, 1, 1, dtype=dtype), torch.zeros(R, dtype=torch.int64), "copy")[6]
    wanted = 2.0 * torch.tanh(h.double())
    precision = torch.finfo(dtype).eps
    assert bool(((gc.double() - wanted).abs() <= 2 * precision * wanted.abs()).all())
    assert bool((gc.abs() <= 2).all())


def test_what_is_not_finite_stays_visible():
    """NaN and infinite states come out as NaN or as what torch makes of them, never as plausible numbers."""
    ours = training(NativeEngine, SMALL)
    x = ours.task.sample(ours.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    for name in NAMES:
        spoilt = {key: p.clone() for key, p in ours.parameters.items()}
        spoilt[name].view(4, -1)[2, 0] = torch.nan
        loss, _, gradient = ours.engine.task_gradient(spoilt, x, ours.d)
        assert loss.isnan().tolist() == [False, False, True, False], name
        assert bool(gradient["W"][2].isnan().any())


def test_strided_tensors_are_taken_as_they_are():
    ours = training(NativeEngine, SMALL)
    x = ours.task.sample(ours.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    plain = ours.engine.task_gradient(ours.parameters, x, ours.d)
    strided = {name: p.mT.contiguous().mT if p.ndim > 2 else p for name, p in ours.parameters.items()}
    again = ours.engine.task_gradient(strided, x.transpose(1, 2).contiguous().transpose(1, 2), ours.d)
    for name, g in plain[2].items():
        assert torch.equal(g, again[2][name]), name


def test_the_operators_are_what_torch_expects():
    """Schemas and mutation, by torch's own test of custom operators."""
    ours = training(NativeEngine, SMALL)
    parameters = [ours.parameters[name] for name in NAMES]
    x = ours.task.sample(ours.seeds, Stream.TRAINING, 0, steps=23, batch=5, dtype=DOUBLE)
    torch.library.opcheck(task_gradient, (parameters, x, ours.d, "xor"), test_utils=("test_schema",))
    torch.library.opcheck(
        flossing_gradient,
        (parameters, x[:, :, 0], ours.q0, ours.k, ours.target, 1, 4),
        test_utils=("test_schema",),
    )


# --- directions that are lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
def test_lost_directions_are_left_out(dtype):
    """Saturated units have φ' = 0: as many of the last exponents are -inf, and the others' gradient is right."""
    networks = tuple(Network(seed=s, d=2, k=8, episodes=(0,)) for s in range(3))
    ours = training(NativeEngine, replace(SMALL, n=8, dtype=dtype), networks)
    ours.parameters["b"][1, 2:5] = 1e3  # tanh is 1 at every step but the first
    ours.parameters["h0"][1, :, 2:5] = 1e3
    x = ours.task.sample(ours.seeds, Stream.FLOSSING, 1, steps=20, batch=1, dtype=dtype)[:, :, 0]
    how: dict[str, Any] = {"k": ours.k, "t_ons": 1, "transient": 3}
    loss, exponents, gradient = ours.engine.flossing_gradient(ours.parameters, x, ours.q0, target=ours.target, **how)
    _, parameters = in_float64(ours)
    wanted_loss, wanted_exponents, wanted = reference_flossing_gradient(
        ours.cell, parameters, x.double(), ours.q0.double(), target=ours.target.double(), **how
    )
    assert torch.equal(exponents.isneginf(), torch.tensor([[False] * 8, [False] * 5 + [True] * 3, [False] * 8]))
    assert torch.equal(exponents.isneginf(), wanted_exponents.isneginf())
    finite = ~exponents.isneginf()
    assert distance(exponents[finite], wanted_exponents[finite]) < 10 * ROUNDING[dtype]
    assert distance(loss, wanted_loss) < 10 * ROUNDING[dtype]
    for name, g in gradient.items():
        assert distance(g, wanted[name]) < FLOSSING_ROUNDING[dtype], name


# --- whole epochs ------------------------------------------------------------------------------------------------


def tensors(ours: Training) -> dict[str, Tensor]:
    return {name: value for name, value in ours.state().items() if isinstance(value, Tensor)}


def finished(ours: Training) -> list[Any]:
    return list(ours.run())


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_training_is_that_of_torch(task):
    """Data, clipping, both optimizers, schedules, episodes, evaluation; float64, so that paths do not part."""
    networks = NETWORKS[:3] if task == "xor_continuous" else NETWORKS
    protocol = replace(SMALL, task=task)
    ours, reference = training(NativeEngine, protocol, networks), training(TorchEngine, protocol, networks)
    for tick, wanted in zip(finished(ours), finished(reference), strict=True):
        assert (tick.phase, tick.within, tick.epochs) == (wanted.phase, wanted.within, wanted.epochs)
        assert torch.equal(tick.networks, wanted.networks)
        assert torch.equal(tick.epoch, wanted.epoch)
        torch.testing.assert_close(tick.loss, wanted.loss, rtol=1e-7, atol=1e-9)
        for name in ("accuracy", "lambda_1"):
            mine, theirs = getattr(tick, name), getattr(wanted, name)
            assert (mine is None) == (theirs is None)
            if mine is not None:
                torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)
    for name, value in tensors(ours).items():
        torch.testing.assert_close(value, tensors(reference)[name], rtol=1e-6, atol=1e-9, msg=name)
    for mine, theirs in zip(ours.evaluate(), reference.evaluate(), strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", ROUNDING)
def test_the_same_bits_for_any_ensemble_and_number_of_threads(dtype, threads):
    protocol = replace(SMALL, dtype=dtype)
    threads(1)
    together = training(NativeEngine, protocol)
    finished(together)
    loss, accuracy = together.evaluate()
    assert accuracy is not None
    threads(3)
    in_threads = training(NativeEngine, protocol)
    finished(in_threads)
    for name, value in tensors(together).items():
        assert torch.equal(value, tensors(in_threads)[name]), name
    for r, network in enumerate(NETWORKS):
        alone = training(NativeEngine, protocol, (network,))
        fresh = training(
            NativeEngine, protocol
        )  # torch draws, and may round the last bit differently in another ensemble
        alone.q0 = fresh.q0[r : r + 1, :, : network.k].contiguous()
        for name, p in alone.parameters.items():
            p.copy_(fresh.parameters[name][r : r + 1])
        finished(alone)
        for name, value in tensors(together).items():
            assert torch.equal(value[r], tensors(alone)[name][0]), f"{name} of network {r}"
        own = alone.evaluate()
        assert own[1] is not None
        assert (float(loss[r]), float(accuracy[r])) == (float(own[0]), float(own[1]))


def test_another_seed_gives_other_bits():
    """Or else the equalities would say nothing."""
    ours = training(NativeEngine, SMALL)
    other = training(NativeEngine, SMALL, (replace(NETWORKS[0], seed=4), *NETWORKS[1:]))
    finished(ours)
    finished(other)
    same = [torch.equal(a, b) for a, b in zip(ours.parameters["W"], other.parameters["W"], strict=True)]
    assert same == [False, True, True, True]


def test_epochs_together_are_epochs_one_by_one():
    """Stretches between logged epochs change no bits, and the ticks of logged epochs are the same."""
    protocol = replace(SMALL, epochs=40, flossing_epochs=17)
    one, many = training(NativeEngine, protocol), training(NativeEngine, protocol, every=7)
    single, stretched = finished(one), finished(many)
    assert len(stretched) < len(single) / 2
    assert sum(tick.epochs for tick in stretched) == len(single) == sum(tick.epochs for tick in single)
    for name, value in tensors(one).items():
        assert torch.equal(value, tensors(many)[name]), name

    def key(tick: Tick) -> tuple[Any, ...]:
        return tick.phase, tick.within, *tick.networks.tolist(), *tick.epoch.tolist()

    own = {key(tick): tick for tick in single}
    for tick in stretched:
        assert torch.equal(tick.loss, own[key(tick)].loss)
    assert {0, 7, 14, 21, 28, 35, 39} <= {tick.within for tick in stretched if tick.phase == "train"}
    flossed = [tick.within for tick in stretched if tick.phase == "floss"]
    assert [flossed.count(epoch) for epoch in (0, 7, 14, 16)] == [4, 4, 4, 4]  # four episodes


def test_diagnostics_change_no_bits():
    plain = training(NativeEngine, SMALL, every=3)
    watched = training(NativeEngine, SMALL, every=3, diagnostics=("grad_h0", "svd", "lyapunov"))
    finished(plain)
    ticks = [tick for tick in finished(watched) if tick.phase == "train"]
    for name, value in tensors(plain).items():
        assert torch.equal(value, tensors(watched)[name]), name
    assert [tick.within for tick in ticks if tick.diagnostics] == [0, 3, 6, 8]
    reference = training(TorchEngine, SMALL, every=3, diagnostics=("grad_h0", "svd", "lyapunov"))
    wanted = [tick for tick in finished(reference) if tick.phase == "train" and tick.diagnostics]
    for ours, theirs in zip([tick for tick in ticks if tick.diagnostics], wanted, strict=True):
        for column, values in ours.diagnostics.items():
            torch.testing.assert_close(values, theirs.diagnostics[column], rtol=1e-6, atol=1e-9)


# --- networks that diverge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e36])
@pytest.mark.parametrize("after", [0, 2, 12])
def test_others_go_on_bit_for_bit(dtype, value, after):
    healthy, spoilt = (training(NativeEngine, replace(SMALL, dtype=dtype), every=3) for _ in range(2))
    list(islice(spoilt.run(), after))
    spoilt.parameters["W"][2] = value
    frozen, due = tensors(spoilt), spoilt.epoch
    finished(spoilt)
    finished(healthy)
    others = [0, 1, 3]
    assert [spoilt.diverged_at.tolist()[r] for r in others] == [-1, -1, -1]
    for name, mine in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(mine[others], tensors(healthy)[name][others]), name
    if value != 1e36:  # large, but finite: saturated units may well go on
        assert int(spoilt.diverged_at[2]) == due
        for name, mine in tensors(spoilt).items():
            if name != "diverged_at":
                assert torch.equal(mine[2].nan_to_num(), frozen[name][2].nan_to_num()), f"{name} of the frozen network"
    loss, _ = spoilt.evaluate()
    assert torch.equal(loss[others], healthy.evaluate()[0][others])


@pytest.mark.parametrize("engine", [TorchEngine, NativeEngine])
def test_a_network_that_diverges_in_flossing_is_not_trained_on(engine):
    ours = training(engine, SMALL)
    ours.target[2] = torch.nan  # its task loss stays finite
    finished(ours)
    untouched = training(engine, SMALL)
    assert ours.diverged_at.tolist() == [-1, -1, 0, -1]
    for name, value in tensors(ours).items():
        if name != "diverged_at":
            assert torch.equal(value[2], tensors(untouched)[name][2]), name


@pytest.mark.parametrize("engine", [TorchEngine, NativeEngine])
def test_finite_loss_with_a_gradient_that_overflows(engine):
    """From rest a network is quiet whatever its weights; its gradient with respect to h0 is a product of them."""
    ours = training(engine, SMALL, tuple(replace(network, episodes=()) for network in NETWORKS))
    ours.parameters["W"][1] = 1e160
    for name in ("V", "b", "h0"):
        ours.parameters[name][1] = 0.0
    before = tensors(ours)
    tick = ours.train_epochs(5)
    assert ours.diverged_at.tolist() == [-1, 0, -1, -1]
    assert tick.networks.tolist() == [0, 2, 3]
    for name, value in tensors(ours).items():
        if name != "diverged_at":
            assert torch.equal(value[1], before[name][1]), name


@pytest.mark.parametrize("scale", [1e12, 1e-30])
def test_gradients_whose_squares_leave_the_range_of_float32(scale):
    """The norm is taken again in other units: clipping still gives a step, as in torch."""
    protocol = replace(SMALL, task="copy", dtype=torch.float32)
    ours, reference = training(NativeEngine, protocol), training(TorchEngine, protocol)
    for each in (ours, reference):
        each.parameters["U"] *= scale if scale > 1 else 1.0
        each.parameters["c"] *= scale
    ticks = [each.train_epochs(1) for each in (ours, reference)]
    assert [tick.networks.tolist() for tick in ticks] == [[0, 1, 2, 3]] * 2
    for name, value in ours.parameters.items():
        torch.testing.assert_close(value, reference.parameters[name], rtol=1e-3, atol=1e-6, msg=name)
    # The first step of Adam does not depend on the length of the gradient; its mean does.
    for name, value in ours.task_adam.mean.items():
        wanted = reference.task_adam.mean[name]
        assert distance(value, wanted.double()) < 1e-3 or float(wanted.norm()) == 0, name


# --- as a whole --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_both_engines_train_alike():
    """Twenty networks on XOR over 20 steps: which learn, and how well, is the same distribution (Mann-Whitney)."""
    accuracies = []
    for engine, first in ((NativeEngine, 0), (TorchEngine, 0)):
        networks = tuple(Network(seed=first + s, d=20, episodes=(0,)) for s in range(20))
        ours = training(engine, Protocol(epochs=600, flossing_epochs=200), networks, every=100)
        finished(ours)
        accuracy = ours.evaluate()[1]
        assert accuracy is not None
        accuracies.append(accuracy.double())
    ours, reference = accuracies
    assert float(ours.median()) > 0.55, "at chance there is nothing to compare"
    larger = (ours[:, None] > reference).double() + 0.5 * (ours[:, None] == reference)
    u, spread = float(larger.sum()), (20 * 20 * 41 / 12) ** 0.5
    assert abs(u - 200) < 2.6 * spread  # one in a hundred
