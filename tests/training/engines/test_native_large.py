"""Networks larger than a cache: gradients at any size, and the same bits for any number of threads that share one."""

import ctypes
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_networks import ROUNDING, check_flossing_gradient, check_task_gradient, distance, tensors, training
from problems import DOUBLE
from torch import Tensor

from floss.random import Stream
from floss.training import engines
from floss.training.engines.call_arguments import NAMES, TASK_NUMBERS
from floss.training.engines.calls import FlossCall, TrainCall
from floss.training.engines.native import NativeEngine
from floss.training.engines.operators import task_gradient
from floss.training.engines.shared_library import library
from floss.training.ensemble import Network, Protocol
from floss.training.state import State

pytestmark = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")

SHARED = {"vanilla": 301, "lstm": 151, "gru": 173}
"""A size of each architecture of which a step is worth the meetings of five threads; no multiple of a vector."""


def team(loop: str, arch: str, threads: int, **sizes: int) -> int:
    """How many of so many threads share a network."""
    call = TrainCall(**sizes) if loop == "train" else FlossCall(**sizes)
    of = getattr(library(arch), f"floss_{loop}_team")
    of.restype = ctypes.c_int64
    return of(ctypes.byref(call), ctypes.c_int64(threads))


def large(arch: str, dtype: torch.dtype) -> Protocol:
    return Protocol(
        arch=arch,
        n=SHARED[arch],
        epochs=2,
        steps=6,
        batch=16,
        evaluation_batches=1,
        flossing_epochs=2,
        dtype=dtype,
        relaxation=0,
    )


def networks(count: int) -> tuple[Network, ...]:
    return tuple(Network(seed=s, d=2, g=0.9, episodes=(0,), k=21 + s, flossing_steps=14) for s in range(count))


# --- gradients -------------------------------------------------------------------------------------------------------


def outputs(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    """y [T, B] of one tanh network for inputs x [T, B, S], step by step."""
    h, out = parameters["h0"], []
    for inputs in x:
        drive = inputs @ parameters["V"].mT / x.shape[-1]
        h = torch.tanh(h) @ parameters["W"].mT + drive + parameters["b"]
        out.append(h @ parameters["U"] + parameters["c"])
    return torch.stack(out)


@pytest.mark.parametrize(("n", "batch", "steps"), [(129, 16, 9), (203, 3, 12), (301, 21, 7)])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_task_gradients_are_those_of_automatic_differentiation(n, batch, steps, dtype, threads):
    """Of the squared error of copying, two steps late; two threads share the largest."""
    threads(2)
    generator = torch.Generator().manual_seed(n)
    shapes = {"W": (n, n), "V": (n, 1), "b": (n,), "U": (n,), "c": (), "h0": (batch, n)}
    ours = {name: torch.randn(shape, generator=generator, dtype=DOUBLE) / n**0.5 for name, shape in shapes.items()}
    parameters = {name: p.to(dtype) for name, p in ours.items()}
    x = torch.rand(steps, batch, 1, generator=generator, dtype=DOUBLE).to(dtype)
    exact = {name: p.double().clone().requires_grad_() for name, p in parameters.items()}
    loss = (outputs(exact, x.double())[2:] - x.double()[:-2, :, 0]).square().mean()
    wanted = torch.autograd.grad(loss, [exact[name] for name in NAMES["vanilla"]])
    stacked = [parameters[name][None] for name in NAMES["vanilla"]]
    got = task_gradient("vanilla", stacked, x[None], torch.tensor([2]), "copy")
    assert distance(got[0], loss.detach()[None]) < ROUNDING[dtype]
    for name, mine, reference in zip(NAMES["vanilla"], got[2:], wanted, strict=True):
        assert distance(mine[0], reference) < ROUNDING[dtype], name


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    n=st.integers(129, 420),
    batch=st.integers(1, 33),
    steps=st.integers(3, 12),
    task=st.sampled_from(sorted(TASK_NUMBERS)),
    seed=st.integers(0, 2**62),
    dtype=st.sampled_from(list(ROUNDING)),
)
def test_task_gradients_at_any_large_size(n, batch, steps, task, seed, dtype):
    protocol = Protocol(task=task, n=n, batch=batch, steps=steps, dtype=dtype)
    check_task_gradient(training(NativeEngine, protocol, (Network(seed=seed, d=2),)))


@pytest.mark.parametrize(("arch", "n"), [("vanilla", 203), ("lstm", 101), ("gru", 131)])
def test_flossing_gradients_of_a_large_network(arch, n, threads):
    threads(1)
    protocol = Protocol(arch=arch, n=n, batch=2, steps=9, relaxation=0, dtype=torch.float32)
    ours = training(NativeEngine, protocol, (Network(seed=1, d=2, k=37, target=-0.1, episodes=(0,)),))
    check_flossing_gradient(ours, steps=16, transient=3, t_ons=2)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(n=st.integers(129, 420), k=st.integers(1, 90), seed=st.integers(0, 2**62), dtype=st.sampled_from(list(ROUNDING)))
def test_flossing_gradients_at_any_large_size(n, k, seed, dtype):
    protocol = Protocol(n=n, batch=2, steps=9, dtype=dtype)
    ours = training(NativeEngine, protocol, (Network(seed=seed, d=2, k=k, target=-0.1, episodes=(0,)),))
    check_flossing_gradient(ours, steps=14, transient=2, t_ons=1)


# --- teams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", SHARED)
def test_the_largest_teams_are_those_of_few_large_networks(arch):
    sizes = {"n": SHARED[arch], "batch": 16, "inputs": 1, "steps": 9, "columns": 21}
    training = {name: size for name, size in sizes.items() if name != "columns"}
    for loop, of in (("train", training), ("floss", sizes)):
        assert team(loop, arch, 1, networks=1, **of) == 1
        assert team(loop, arch, 2, networks=1, **of) == 2
        assert team(loop, arch, 2, networks=2, **of) == 1
        assert team(loop, arch, 2, networks=3, **of) == 2  # one and a half rounds instead of two
        assert team(loop, arch, 4, networks=2, **of) == 2
        assert team(loop, arch, 8, networks=1, **{**of, "n": 20}) == 1  # not worth a meeting


@pytest.mark.parametrize("arch", SHARED)
@pytest.mark.parametrize("dtype", ROUNDING)
def test_the_same_bits_for_any_team(arch, dtype, threads):
    """Training, flossing and evaluation of one network and of two, with two steps of each optimizer."""

    def trained(start: State, count: int, number: int) -> tuple[dict[str, Tensor], Tensor]:
        threads(1)  # torch itself rounds differently with another number of them
        ours = training(NativeEngine, large(arch, dtype), networks(count))
        ours.load(start)
        threads(number)
        ours.engine.train(0, 2)
        ours.floss_epochs(ours.episode(), 2)
        return tensors(ours), ours.evaluate()[0]

    for count, numbers in ((1, (2, 3, 5)), (2, (5,))):
        threads(1)
        start = training(NativeEngine, large(arch, dtype), networks(count)).state()
        alone, judged = trained(start, count, 1)
        for number in numbers:
            shared, again = trained(start, count, number)
            assert torch.equal(judged, again)
            for name, value in alone.items():
                assert torch.equal(value, shared[name]), f"{name} of {count} networks, {number} threads"


@pytest.mark.parametrize("loop", ["train", "floss"])
def test_one_of_a_team_that_diverges_leaves_the_others_alone(loop, threads):
    """Three networks, which two threads share one by one."""
    threads(1)
    healthy, spoilt = (training(NativeEngine, large("vanilla", torch.float32), networks(3)) for _ in range(2))
    for name, p in spoilt.ensemble.parameters.items():
        p.copy_(healthy.ensemble.parameters[name])
    threads(2)
    for one in (healthy, spoilt):
        if loop == "train":
            if one is spoilt:
                one.ensemble.parameters["c"][1] = torch.nan
            one.engine.train(0, 2)
        else:
            if one is spoilt:
                one.ensemble.flossed.target[1] = torch.nan
            one.floss_epochs(one.episode(), 2)
    assert spoilt.ensemble.diverged_at.tolist() == [-1, 0, -1]
    for name, value in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(value[[0, 2]], tensors(healthy)[name][[0, 2]]), name


@pytest.mark.slow
def test_many_threads_on_few_cores_come_to_an_end(threads: Callable[[int], None]):
    """Eight that share a network, whatever cores there are: who waits leaves the core to the others."""
    threads(8)
    protocol = Protocol(n=600, batch=16, steps=20, epochs=3)
    ours = training(NativeEngine, protocol, networks(1))
    x = ours.ensemble.task.sample(ours.ensemble.seeds, Stream.TRAINING, 0, steps=20, batch=16)
    many = ours.engine.task_gradient(ours.ensemble.parameters, x, ours.ensemble.d)[2]
    threads(1)
    one = ours.engine.task_gradient(ours.ensemble.parameters, x, ours.ensemble.d)[2]
    assert all(torch.equal(g, one[name]) for name, g in many.items())
