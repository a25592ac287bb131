"""The convolution engine against stepping through time, and the properties that every engine has."""

# pyright: reportOptionalSubscript=false, reportArgumentType=false

import dataclasses
import math

import pytest
import torch
from problems import DOUBLE

from floss.networks.linear_students import CELLS
from floss.random import Stream
from floss.tasks.linear_teachers import zero_student_loss
from floss.training.engines.convolution import ConvolutionEngine, autocorrelation
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble, Network, Protocol, Teacher
from floss.training.training import Training

STEPS, BATCH = 23, 5


def protocol(arch: str, **changes) -> Protocol:
    values = {
        **{"task": "teacher", "arch": arch, "n": 6, "bias": 0.0, "relaxation": 0, "epochs": 8, "steps": STEPS},
        **{"batch": BATCH, "lr": 1e-2, "schedule": "cosine", "clip": None, "dtype": DOUBLE, "flossing_epochs": 2},
    }
    return Protocol(**{**values, **changes})


def networks(seeds=(0, 0, 3), **changes) -> list[Network]:
    """Students with their own teachers, spectra and learning rates."""
    rates, nus, kinds = (1e-2, 3e-3, 1e-3), (0.9, 0.5, 0.8), ("authors", "seeded", "seeded")
    return [
        Network(seed, d=0, k=3, flossing_steps=20, lr=rate, teacher=Teacher(kind, nu, 2.0), nu=nu, theta=2.0, **changes)
        for seed, rate, nu, kind in zip(seeds, rates, nus, kinds, strict=True)
    ]


def trained(engine, members, arch="linear_lru", **changes) -> Training:
    training = Training(Ensemble(members, protocol(arch, **changes)), engine)
    for _ in training.run():
        pass
    return training


def test_the_autocorrelation_is_the_sum_over_steps_and_sequences():
    x = torch.randn(2, 7, 3, dtype=DOUBLE)
    G = torch.zeros(2, 7, 7, dtype=DOUBLE)
    for i in range(7):
        for j in range(7):
            for t in range(max(i, j), 7):
                G[:, i, j] += (x[:, t - i] * x[:, t - j]).sum(-1)
    torch.testing.assert_close(autocorrelation(x), G / 21, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("arch", CELLS)
def test_loss_and_gradients_are_those_of_the_time_loop(arch, heads):
    if heads > 1 and arch != "linear_dense":
        pytest.skip("it has no heads")
    ensemble = Ensemble(networks(), protocol(arch, heads=heads))
    x = ensemble.task.sample(ensemble.seeds, Stream.TRAINING, 0, steps=STEPS, batch=BATCH, dtype=DOUBLE)
    fast, _, gradient = ConvolutionEngine(ensemble).task_gradient(ensemble.parameters, x, ensemble.d)
    slow, _, expected = TorchEngine(ensemble).task_gradient(ensemble.parameters, x, ensemble.d)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    expected.pop("h0")  # which is not trained
    assert gradient.keys() == expected.keys() == CELLS[arch].student.dims.keys()
    for name, value in expected.items():
        torch.testing.assert_close(gradient[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("arch", ["linear_dense", "linear_lru"])
def test_single_precision_is_close(arch):
    x = {}
    for dtype in (torch.float32, DOUBLE):
        ensemble = Ensemble(networks(), protocol(arch, dtype=dtype))
        loss, _, gradient = ConvolutionEngine(ensemble).task_gradient(
            ensemble.parameters,
            ensemble.task.sample(ensemble.seeds, Stream.TRAINING, 0, steps=STEPS, batch=BATCH, dtype=dtype),
            ensemble.d,
        )
        x[dtype] = {"loss": loss, **gradient}
    for name, value in x[DOUBLE].items():
        scale = float(value.abs().max())
        torch.testing.assert_close(x[torch.float32][name].double(), value, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("arch", CELLS)
def test_whole_trainings_with_flossing_are_those_of_the_time_loop(arch):
    fast, slow = (trained(engine, networks(episodes=(0, 4)), arch) for engine in (ConvolutionEngine, TorchEngine))
    for name, value in slow.ensemble.parameters.items():
        torch.testing.assert_close(fast.ensemble.parameters[name], value, rtol=1e-7, atol=1e-9)
    assert not fast.ensemble.parameters["h0"].any()


@pytest.mark.parametrize("arch", ["linear_dense", "linear_lru", "linear_s4"])
def test_stacked_is_looped_bit_for_bit(arch):
    members = [dataclasses.replace(n, seed=seed) for seed in (0, 1, 2, 5) for n in networks(episodes=(0,))]
    stacked = trained(ConvolutionEngine, members, arch, dtype=torch.float32, n=32, steps=100)
    for row in (0, 4, 11):
        alone = trained(ConvolutionEngine, [members[row]], arch, dtype=torch.float32, n=32, steps=100)
        for name, value in alone.ensemble.parameters.items():
            assert torch.equal(stacked.ensemble.parameters[name][row], value[0]), name
        assert torch.equal(stacked.evaluate()[0][row], alone.evaluate()[0][0])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_number_of_threads_changes_no_bits(count, threads):
    """Neither where threads have seeds of their own, nor where several share the networks of one."""
    members = [dataclasses.replace(n, lr=1e-3 * i) for i in range(1, 7) for n in networks(episodes=(0,))]
    threads(1)
    alone = trained(ConvolutionEngine, members, dtype=torch.float32, n=32, steps=100)
    threads(count)
    together = trained(ConvolutionEngine, members, dtype=torch.float32, n=32, steps=100)
    assert torch.get_num_threads() == count
    for name, value in alone.ensemble.parameters.items():
        assert torch.equal(together.ensemble.parameters[name], value), name


def test_the_final_loss_is_the_expected_one():
    """The mean over many fresh sequences, within their noise."""
    training = trained(ConvolutionEngine, networks(), evaluation_batches=200)
    expected = training.evaluate()[0]
    sampled = TorchEngine(training.ensemble).evaluate()[0]
    torch.testing.assert_close(sampled, expected, rtol=0.15, atol=0)


def test_a_network_that_diverges_stays_alone():
    members = networks()
    members[1] = dataclasses.replace(members[1], lr=1e30)
    training = trained(ConvolutionEngine, members, "linear_diagonal", dtype=torch.float32, epochs=20)
    assert (training.ensemble.diverged_at >= 0).tolist() == [False, True, False]
    alone = trained(ConvolutionEngine, members[2:], "linear_diagonal", dtype=torch.float32, epochs=20)
    for name, value in alone.ensemble.parameters.items():
        assert torch.equal(training.ensemble.parameters[name][2], value[0])


def test_resumed_is_uninterrupted():
    whole = trained(ConvolutionEngine, networks(episodes=(0, 4)))
    first = Training(Ensemble(networks(episodes=(0, 4)), protocol("linear_lru")), ConvolutionEngine)
    ticks = first.run()
    for _ in range(3):
        next(ticks)
    second = Training(Ensemble(networks(episodes=(0, 4)), protocol("linear_lru")), ConvolutionEngine)
    second.load(first.state())
    for _ in second.run():
        pass
    for name, value in whole.ensemble.parameters.items():
        assert torch.equal(second.ensemble.parameters[name], value)


def test_training_lowers_the_loss_below_that_of_the_zero_student():
    members = [Network(seed, d=0, teacher=Teacher("authors", 0.5), nu=0.5, lr=1e-2) for seed in range(2)]
    training = trained(ConvolutionEngine, members, epochs=300, steps=100, batch=32, n=16)
    zero = zero_student_loss(training.ensemble.task.kernels)  # pyright: ignore[reportAttributeAccessIssue]
    assert (training.evaluate()[0] < 0.1 * zero).all()


def test_other_networks_are_refused():
    with pytest.raises(TypeError, match="vanilla on teacher"):
        ConvolutionEngine(Ensemble([Network(0, d=0)], protocol("vanilla")))


def test_any_architecture_may_learn_from_a_teacher():
    training = trained(TorchEngine, networks(), "vanilla", epochs=2)
    assert torch.isfinite(training.evaluate()[0]).all()


@pytest.mark.parametrize("arch", ["linear_dense", "linear_diagonal", "linear_lru", "linear_s4"])
def test_initial_spectra(arch):
    """Magnitudes and angles lie where the keys say; a real negative one of a dense student is turned to |λ| cos θ₀."""
    spectrum = [Network(s, d=0, nu=0.9, theta=1.0, teacher=Teacher(nu=0.9, theta=1.0)) for s in range(40)]
    ensemble = Ensemble(spectrum, protocol(arch, n=32))
    lam = CELLS[arch].student.eigenvalues(ensemble.parameters)
    lam = lam[~((lam.imag.abs() < 1e-9) & (lam.real < 0.9))] if arch == "linear_dense" else lam.flatten()
    assert len(lam) > 0.85 * 40 * 32
    assert float(lam.abs().min()) >= 0.9 - 1e-6
    assert float(lam.abs().max()) < 1.0
    assert float(lam.angle().abs().max()) <= 1.0 + 1e-9
    if arch != "linear_dense":
        assert float((lam.abs() ** 2).mean()) == pytest.approx((0.81 + 1.0) / 2, abs=0.005)


def test_a_seeded_teacher_is_the_same_wherever_it_stands():
    tasks = [Ensemble(members, protocol("linear_lru")).task for members in (networks(), networks()[1:2] * 3)]
    assert torch.equal(tasks[0].kernels[1], tasks[1].kernels[2])  # pyright: ignore[reportAttributeAccessIssue]


def test_effective_rates_are_those_of_the_next_step():
    """√10 lr where gradients were negligible; and the change that a gradient of ones would make."""
    training = trained(ConvolutionEngine, networks(), "linear_dense", schedule="constant")
    adam = training.ensemble.task_adam
    expected = adam.effective_rate("A")
    before = {name: value.clone() for name, value in training.ensemble.parameters.items()}
    ones = {name: torch.ones_like(value) for name, value in before.items() if name != "h0"}
    adam.step(training.ensemble.parameters, ones, torch.ones(3, dtype=torch.bool), torch.arange(3))
    torch.testing.assert_close(before["A"] - training.ensemble.parameters["A"], expected, rtol=1e-9, atol=1e-12)
    assert math.isfinite(float(expected.sum()))
