"""Epochs replayed as CUDA graphs are those that torch runs one operation after the other, and those of the CPU."""

import gc
import warnings
from typing import Any

import pytest
import torch

from floss import random
from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.networks import CELLS
from floss.networks.linear_students import CELLS as LINEAR_STUDENTS
from floss.random import Stream
from floss.training.ensemble import Network
from floss.training.ticks import TrainingTick
from floss.training.training import Training

pytestmark = pytest.mark.gpu

ARCHITECTURES = tuple(name for name in CELLS if name not in LINEAR_STUDENTS)
"""Those that learn tasks with a delay; linear students learn from a teacher, by an engine of their own."""
DTYPES = (torch.float32, torch.float64)
BOUNDS = {torch.float32: 1e-3, torch.float64: 1e-9}
"""Relative difference of norms: room for other orders of summation, after tens of steps of Adam."""
ONE_EPOCH = 1e-8
"""Of float64 on two devices: logarithms and hyperbolic tangents differ in their last digit."""


def run(training: Training) -> Training:
    """To its end."""
    for _ in training.run():
        pass
    return training


def measured(training: Training) -> list[tuple[Any, ...]]:
    """What a run measures, of the epochs that have a tick of their own with every engine."""
    measured_ticks = []
    for tick in training.run():
        if isinstance(tick, TrainingTick):
            place, columns = ("train", tick.epoch), (tick.networks, tick.loss, tick.accuracy)
        else:
            place, columns = ("floss", tick.within), (tick.networks, tick.life, tick.loss, tick.lambda_1, tick.lambda_k)
        if place[1] % training.every == 0:
            measured_ticks.append((*place, *(column.cpu() for column in columns if column is not None)))
    return measured_ticks


def assert_close(ours: Training, theirs: Training, bound: float) -> None:
    """Parameters, both moments of both optimizers (running means of the gradients), and where networks diverged."""
    for name, tensor in ours.ensemble.tensors().items():
        other = theirs.ensemble.tensors()[name].cpu().double()
        assert float((tensor.cpu().double() - other).norm()) <= bound * float(other.norm()), name


def assert_same(ours: Training, theirs: Training) -> None:
    for name, tensor in ours.ensemble.tensors().items():
        assert torch.equal(tensor.cpu(), theirs.ensemble.tensors()[name].cpu()), name


# --- the graph engine against the torch engine -----------------------------------------------------------------------


@pytest.mark.usefixtures("no_complaint")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_values_and_gradients_are_those_of_the_torch_engine(arch, dtype, training):
    ours, theirs = (run(training(engine, arch=arch, dtype=dtype)) for engine in ("graph", "torch"))
    assert_close(ours, theirs, BOUNDS[dtype])
    assert ours.ensemble.alive.all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_losses_accuracies_and_exponents_are_those_of_the_torch_engine(arch, dtype, training):
    ours, theirs = (measured(training(engine, arch=arch, dtype=dtype, every=3)) for engine in ("graph", "torch"))
    assert [tick[:2] for tick in ours] == [tick[:2] for tick in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        for left, right in zip(mine[2:], other[2:], strict=True):
            torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("task", ["xor", "xor_continuous", "copy", "spatial_xor"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_replay_has_the_bits_of_what_was_captured(arch, task, training):
    ours, theirs = (run(training(engine, arch=arch, task=task)) for engine in ("graph", "torch"))
    assert_same(ours, theirs)


@pytest.mark.usefixtures("no_complaint")
@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_a_single_network_is_captured_too(arch, training):
    """Libraries have other routines for one matrix than for many."""
    single = [Network(seed=5, d=4, episodes=(0, 3), k=5, flossing_steps=25)]
    ours, theirs = (run(training(engine, single, arch=arch)) for engine in ("graph", "torch"))
    assert_close(ours, theirs, BOUNDS[torch.float32])


@pytest.mark.parametrize("arch", ["vanilla", "relu"])
def test_networks_whose_tangent_vectors_need_reflections_keep_up(arch, training):
    """After six steps without orthonormalisation no Cholesky factor is good enough for all directions."""
    ours, theirs = (run(training(engine, arch=arch, t_ons=6)) for engine in ("graph", "torch"))
    assert_close(ours, theirs, BOUNDS[torch.float32])


def test_a_network_that_explodes_is_marked_and_disturbs_no_other(training):
    networks = [
        *training("torch").ensemble.networks,
        Network(seed=5, d=4, g=1e30, episodes=(0,), k=4, flossing_steps=20),
    ]
    ours, theirs = (run(training(engine, networks, arch="linear")) for engine in ("graph", "torch"))
    assert ours.ensemble.diverged_at.tolist() == theirs.ensemble.diverged_at.tolist() == [-1, -1, -1, 0]
    for name, p in run(training("graph", arch="linear")).ensemble.parameters.items():
        assert float((ours.ensemble.parameters[name][:3] - p).norm()) <= BOUNDS[torch.float32] * float(p.norm())


# --- the card against the CPU ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["train", "floss"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_gradients_are_those_of_the_cpu(arch, loop, training):
    """One epoch: the optimizers' first moments are a tenth of the gradient."""
    ours, theirs = (
        training("graph", arch=arch, dtype=torch.float64),
        training("torch", arch=arch, dtype=torch.float64, on="cpu"),
    )
    for each in (ours, theirs):
        each.train_epochs(1) if loop == "train" else each.floss_epochs(each.episode(each.ensemble.alive), 1)
    assert_close(ours, theirs, ONE_EPOCH)
    optimizer = "task_adam" if loop == "train" else "flossing_adam"
    assert (ours.ensemble.tensors()[f"{optimizer}.mean.{ours.ensemble.cell.flossed[0]}"] != 0).any()


def test_random_bits_are_those_of_the_cpu(device):
    seeds, epochs = torch.tensor([0, 3, 2**63 - 1]), torch.tensor([0, 7, 2**31])
    for draw in (random.uniform, random.bits, random.normal):
        for dtype in DTYPES:
            ours = draw(seeds.to(device), Stream.TRAINING, 1001, epoch=epochs.to(device), part=2, dtype=dtype)
            assert torch.equal(ours.cpu(), draw(seeds, Stream.TRAINING, 1001, epoch=epochs, part=2, dtype=dtype))


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if arch != "relu"])  # of which few units respond
def test_spectra_are_those_of_the_cpu(arch, training):
    def spectrum(networks: Training) -> torch.Tensor:
        step, h0 = networks.ensemble.cell.step(networks.ensemble.parameters), networks.ensemble.parameters["h0"][:, 0]
        q0 = torch.eye(h0.shape[-1], 3, dtype=h0.dtype, device=h0.device).expand(*h0.shape, 3)
        return lyapunov_spectrum(step, h0, steps=40, k=3, q0=q0).cpu()

    sizes = {"arch": arch, "dtype": torch.float64}
    ours, theirs = spectrum(training("torch", **sizes)), spectrum(training("torch", **sizes, on="cpu"))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


def test_a_training_learns_to_remember(training):
    """One step of delay, 300 epochs: far above chance, with flossing in between."""
    networks = [Network(seed=seed, d=1, episodes=(0, 100), k=4, flossing_steps=20) for seed in range(4)]
    sizes = {"task": "spatial_xor", "n": 32, "epochs": 300, "batch": 16, "lr": 1e-2}
    _, accuracy = run(training("graph", networks, every=50, **sizes)).evaluate()
    assert accuracy is not None
    assert float(accuracy.mean()) > 0.6


# --- interrupted -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["vanilla", "gru"])
@pytest.mark.parametrize("stop", [1, 4, 8, 13])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(arch, stop, training):
    first = training("graph", arch=arch)
    for count, _ in enumerate(first.run(), 1):
        if count == stop:
            break
    second = training("graph", arch=arch)
    second.load(first.state())
    assert_same(run(second), run(training("graph", arch=arch)))


# --- precision and memory --------------------------------------------------------------------------------------------


def test_products_have_all_digits(device):
    a, b = torch.randn(2, 256, 256, device=device).unbind()
    exact = a.double() @ b.double()
    error = float((a @ b - exact).norm() / exact.norm())
    batched = torch.bmm(a.expand(3, -1, -1), b.expand(3, -1, -1))
    assert error < 1e-6  # TF32 has 3e-4
    assert float((batched - exact).norm() / exact.norm() / 3**0.5) < 1e-6


def test_nothing_warns(training):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(training("graph"))
        run(training("graph", arch="lstm", dtype=torch.float64))


def test_ensembles_that_are_done_leave_the_memory(card, training):
    """Graphs and their memory too."""

    def taken() -> tuple[int, int]:
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    sizes = {"n": 80, "steps": 200, "batch": 16, "flossing_epochs": 5, "epochs": 6}
    networks = [Network(seed=seed, d=4, episodes=(0,), k=40) for seed in range(16)]
    run(training("graph", networks, **sizes))
    before = taken()
    for _ in range(3):
        run(training("graph", networks, **sizes))
    after = taken()
    assert after[0] - before[0] < 2**20
    assert after[1] - before[1] <= 2**22
