"""LSTM, GRU and LRU: how they are drawn, their exponents, flossing and training.

What holds for every architecture (one-step map, Jacobian, time loop) is in test_cells.py and test_lyapunov.py.
"""

import math
import re
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from problems import DOUBLE, GATED_CELLS, gaussian
from twins import exponents_twin, relative

import floss
from floss.lyapunov.chain import Chain, initial_tangent, run_exponents
from floss.networks import CELLS
from floss.networks.lru import LRUStep
from floss.tasks import TASKS
from floss.training.ensemble import Network, Protocol
from floss.training.flossing import flossing_gradient
from floss.training.training import Tick, Training

NEW_CELLS = (*GATED_CELLS, "lru")
SIGMAS = 5.0
"""Tolerance of moments in standard errors."""
R, N, S = 300, 20, 3


def draw(arch, *, g=0.9, count=R, dtype=DOUBLE, relaxation=0, **options):
    gains = torch.full((count,), g, dtype=dtype)
    return CELLS[arch].initial_parameters(
        torch.arange(count), gains, n=N, inputs=S, batch=1, dtype=dtype, relaxation=relaxation, **options
    )


def assert_uniform(sample: torch.Tensor, low: float, high: float) -> None:
    """Kolmogorov-Smirnov at 5·10⁻⁵, and no number outside."""
    x = ((sample.flatten() - low) / (high - low)).sort().values
    assert float(x[0]) >= 0.0
    assert float(x[-1]) < 1.0
    rank = torch.arange(len(x) + 1, dtype=DOUBLE) / len(x)
    distance = torch.maximum((rank[1:] - x).abs().max(), (x - rank[:-1]).abs().max())
    assert float(distance) < math.sqrt(-0.5 * math.log(0.5 * 5e-5) / len(x))


def assert_normal(sample: torch.Tensor, mean: float, deviation: float) -> None:
    """First, second and fourth moment."""
    x = (sample.flatten() - mean) / deviation
    error = SIGMAS / len(x) ** 0.5
    assert abs(float(x.mean())) < error
    assert abs(float(x.square().mean()) - 1.0) < error * 2.0**0.5
    assert abs(float(x.square().square().mean()) - 3.0) < error * 96.0**0.5


def rms(sample: torch.Tensor) -> torch.Tensor:
    """Of each network's numbers."""
    return sample.flatten(1).square().mean(-1).sqrt()


# --- initial distributions ---------------------------------------------------------------------------------------


def test_shapes():
    shapes = {arch: {name: tuple(p.shape) for name, p in draw(arch, count=2).items()} for arch in NEW_CELLS}
    rest = {"U": (2, 20), "c": (2,)}
    lstm = {"W": (2, 80, 20), "V": (2, 80, 3), "b": (2, 80), "h0": (2, 1, 40)}
    gru = {"W": (2, 60, 20), "V": (2, 60, 3), "b": (2, 60), "b_h": (2, 20), "h0": (2, 1, 20)}
    lru = {"nu": (2, 20), "theta": (2, 20), "gamma": (2, 20), "h0": (2, 1, 40)}
    lru |= {"B": (2, 2, 20, 3), "C": (2, 2, 20, 20), "D": (2, 20, 3), "b": (2, 20)}
    assert shapes == {"lstm": lstm | rest, "gru": gru | rest, "lru": lru | rest}


def test_lstm_recurrent_weights():
    """Gains of i, g, o uniform in [0, 1) and times arch.g, one for each network and gate; that of f is 0."""
    gates = draw("lstm", g=1.5)["W"].unflatten(1, (4, N))
    assert torch.equal(gates[:, 1], torch.zeros(R, N, N, dtype=DOUBLE))
    # Of 400 numbers the root mean square is the deviation up to 4 %.
    gains = torch.stack([rms(gates[:, gate]) * N**0.5 / 1.5 for gate in (0, 2, 3)], -1)
    for j, gate in enumerate((0, 2, 3)):
        assert float(gains[:, j].mean()) == pytest.approx(0.5, abs=SIGMAS / (12 * R) ** 0.5)
        assert float(gains[:, j].var()) == pytest.approx(1 / 12, rel=SIGMAS * (0.8 / R) ** 0.5)
        assert float(gains[:, j].max()) < 1.15
        assert_normal(gates[:, gate] / rms(gates[:, gate])[:, None, None], 0.0, 1.0)
    correlation = torch.corrcoef(gains.T)
    assert float((correlation - torch.eye(3)).abs().max()) < SIGMAS / R**0.5, "one gain for each gate"


def test_lstm_input_weights():
    """Gains of all gates' inputs uniform in [0, 1), whatever arch.g."""
    V = draw("lstm")["V"].unflatten(1, (4, N))
    assert torch.equal(V.flatten(1, 2), draw("lstm", g=0.1)["V"])
    gains = rms(V.flatten(0, 1)).reshape(R, 4)
    for gate in range(4):
        # Of 60 numbers the root mean square is the deviation up to 9 %, which adds 0.003 to the variance.
        assert float(gains[:, gate].mean()) == pytest.approx(0.5, abs=0.01 + SIGMAS / (12 * R) ** 0.5)
        assert float(gains[:, gate].var()) == pytest.approx(1 / 12 + 0.003, rel=SIGMAS * (0.8 / R) ** 0.5)
        assert float(gains[:, gate].max()) < 1.4
    assert float((torch.corrcoef(gains.T) - torch.eye(4)).abs().max()) < SIGMAS / R**0.5


@pytest.mark.parametrize("bias", [0.1, 1.0])
def test_lstm_biases(bias):
    """One uniform number for the forget gates of each network; 0 elsewhere."""
    b = draw("lstm", bias=bias)["b"].unflatten(1, (4, N))
    assert torch.equal(b[:, [0, 2, 3]], torch.zeros(R, 3, N, dtype=DOUBLE))
    assert torch.equal(b[:, 1], b[:, 1, :1].expand(R, N))
    assert_uniform(b[:, 1, 0], 0.0, bias)


def test_lstm_gain_of_each_network():
    gains = torch.tensor([0.5, 2.0], dtype=DOUBLE)
    p = CELLS["lstm"].initial_parameters(torch.tensor([7, 7]), gains, n=N, inputs=S, batch=1, dtype=DOUBLE)
    torch.testing.assert_close(4.0 * p["W"][0], p["W"][1], rtol=1e-14, atol=0)
    for name in ("V", "b", "U", "c"):
        assert torch.equal(p[name][0], p[name][1])


def test_lstm_options():
    """`mean` is that of all four recurrent matrices; `orthogonal` makes each of them gain times orthogonal."""
    shift = draw("lstm", mean=-0.1)["W"] - draw("lstm")["W"]
    torch.testing.assert_close(shift, torch.full_like(shift, -0.1), rtol=0, atol=1e-15)
    W = draw("lstm", count=5, init="orthogonal")["W"].unflatten(1, (4, N))
    gram = W.mT @ W
    scale = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    torch.testing.assert_close(gram, scale[..., None, None] * torch.eye(N, dtype=DOUBLE), rtol=0, atol=1e-13)
    assert torch.equal(scale[:, 1], torch.zeros(5, dtype=DOUBLE))
    assert bool((scale[:, [0, 2, 3]] < 0.9**2).all())


def test_gru():
    """As the rate network has them: W ~ N(mean, g²/N) for each gate, V ~ N(0, 1), all biases uniform in [0, bias)."""
    p = draw("gru", g=1.5, mean=-0.05, bias=0.3)
    for W in p["W"].unflatten(1, (3, N)).unbind(1):
        assert_normal(W, -0.05, 1.5 / N**0.5)
    for V in p["V"].unflatten(1, (3, N)).unbind(1):
        assert_normal(V, 0.0, 1.0)
    for b in (*p["b"].unflatten(1, (3, N)).unbind(1), p["b_h"]):
        assert_uniform(b, 0.0, 0.3)
    W = draw("gru", count=5, g=1.5, init="orthogonal")["W"].unflatten(1, (3, N))
    torch.testing.assert_close(W.mT @ W, 1.5**2 * torch.eye(N, dtype=DOUBLE).expand_as(W), rtol=0, atol=1e-13)
    assert float((W[:, 0] - W[:, 1]).abs().max()) > 0.1, "another matrix for each gate"


@pytest.mark.parametrize("g", [0.3, 1.0])
def test_lru_eigenvalues(g):
    """Uniform in the disc |λ| < g, and inputs normalised by √(1 - |λ|²)."""
    p = draw("lru", g=g)
    modulus = (-p["nu"].exp()).exp()
    assert_uniform(modulus**2, 0.0, g**2)
    assert_uniform(p["theta"].exp(), 0.0, 2.0 * math.pi)
    torch.testing.assert_close(p["gamma"].exp(), (1.0 - modulus**2).sqrt(), rtol=1e-9, atol=0)
    assert abs(float(torch.corrcoef(torch.stack((modulus.flatten(), p["theta"].exp().flatten())))[0, 1])) < SIGMAS / (
        (R * N) ** 0.5
    )


def test_lru_weights():
    """Complex B and C of variance 1/S and 1/N, half of it in each part for B."""
    p = draw("lru", bias=0.3)
    for part in range(2):
        assert_normal(p["B"][:, part], 0.0, (2 * S) ** -0.5)
        assert_normal(p["C"][:, part], 0.0, N**-0.5)
    assert_normal(p["D"], 0.0, 1.0)
    assert_uniform(p["b"], 0.0, 0.3)


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_no_two_weights_share_their_random_numbers(arch):
    """Any two tensors of one network that are drawn are uncorrelated."""
    p = draw(arch, count=1)
    columns = [value.flatten() for name, value in p.items() if name not in ("c", "gamma")]
    for i, a in enumerate(columns):
        for b in columns[:i]:
            length = min(len(a), len(b))
            pair = torch.stack((a[:length], b[:length]))
            if float(pair.std(-1).amin()) > 0.0:
                # Twenty numbers at least; 0.95 is five standard errors of Fisher's z at that size.
                assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("g", [1e-3, 1.0])
def test_lru_numbers_are_finite_at_the_ends(g, dtype):
    p = draw("lru", g=g, dtype=dtype, relaxation=100)
    for name, value in p.items():
        assert bool(value.isfinite().all()), name


@pytest.mark.parametrize("g", [0.0, -0.5, 1.1, math.nan])
def test_lru_refuses_gains_that_no_modulus_has(g):
    message = f"g={g:g}: must be above 0 and at most 1 for arch=lru, where it is the largest |λ_j|"
    with pytest.raises(ValueError, match=re.escape(message)):
        CELLS["lru"].check(8, g, "gaussian", 0.0)


@pytest.mark.parametrize(("init", "mean"), [("orthogonal", 0.0), ("gaussian", 0.1)])
def test_lru_refuses_options_of_a_recurrent_matrix(init, mean):
    with pytest.raises(ValueError, match="init and mean: must be gaussian and 0 for arch=lru"):
        CELLS["lru"].check(8, 0.9, init, mean)


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_what_is_allowed(arch):
    CELLS[arch].check(8, 1.0, "gaussian", 0.0)
    if arch != "lru":
        CELLS[arch].check(8, 7.0, "orthogonal", -0.1)


# --- exponents of the LRU ----------------------------------------------------------------------------------------


def lru_step(moduli: list[float]) -> LRUStep:
    """One unit for each modulus, turned by 1, 2, … radians."""
    nu = (-torch.tensor(moduli, dtype=DOUBLE).log()).log()
    theta = (1.0 + torch.arange(len(moduli), dtype=DOUBLE)).log()
    return LRUStep(nu, theta, torch.zeros_like(nu), gaussian(1, 2, len(moduli), 2))


def test_lru_exponents_are_known_and_come_in_pairs():
    step, h0 = lru_step([0.3, 0.9, 0.6]), gaussian(2, 6)
    logs = torch.tensor([0.9, 0.9, 0.6, 0.6, 0.3, 0.3], dtype=DOUBLE).log()
    for x in (gaussian(3, 9, 2), 100.0 * gaussian(4, 9, 2)):
        for k in (1, 3, 6):
            torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, x, k=k), logs[:k], rtol=1e-12, atol=0)
    torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, steps=1), logs, rtol=1e-12, atol=0)


def test_lru_closed_form_equals_the_qr_method():
    """After the tangent vectors have turned: (0.6 / 0.9)^(2 · 80) of the error is left, and the rest is rounding."""
    step, h0, x = lru_step([0.3, 0.9, 0.6]), gaussian(2, 6), gaussian(3, 160, 2)
    known = floss.lyapunov_spectrum(step, h0, x)
    by_qr = floss.lyapunov_spectrum(lambda h, u: step(h, u), h0, x, transient=80)
    torch.testing.assert_close(by_qr, known, rtol=0, atol=1e-6)
    assert float((by_qr - known).abs().max()) < 1e-12, "the Jacobian is normal: nothing else is left of the transient"


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4)], ids=str)
def test_lru_exponents_of_a_batch(shape):
    """Each network's own, whatever the trajectory."""
    p = draw("lru", count=2)
    lam = floss.lyapunov_spectrum(CELLS["lru"].step(p), gaussian(5, *shape, 2 * N), steps=3, k=5)
    assert lam.shape == (*shape, 5)
    for r in range(2):
        own = (-p["nu"][r].exp()).sort(descending=True).values.repeat_interleave(2)[:5]
        torch.testing.assert_close(lam[r], own.expand(*shape[1:], 5), rtol=0, atol=0)


def test_lru_flossing_gradient_equals_finite_differences():
    cell, p, size = CELLS["lru"], draw("lru", count=3), 1e-6
    x, q0 = gaussian(6, 3, 25, S), initial_tangent(torch.arange(3), 2 * N, 15)
    k, target = torch.tensor([1, 8, 15]), torch.tensor([0.0, -1.0, -0.2], dtype=DOUBLE)

    def floss_of(parameters):
        return flossing_gradient(cell, parameters, x, q0, k=k, target=target, t_ons=1, transient=13)

    loss, exponents, gradient = floss_of(p)
    assert gradient.keys() == {"nu"}
    assert exponents.shape == (3, 15)
    for r in range(3):
        own = (-p["nu"][r].exp()).sort(descending=True).values.repeat_interleave(2)[: k[r]]
        assert float(loss[r]) == pytest.approx(float(floss.flossing_loss(own, target[r])), rel=1e-12)
    direction = gaussian(7, 3, N)
    up, down = (floss_of({**p, "nu": p["nu"] + sign * size * direction})[0] for sign in (1.0, -1.0))
    # Truncation size² = 1e-12, rounding 1e-16 / size = 1e-10.
    torch.testing.assert_close((gradient["nu"] * direction).sum(-1), (up - down) / (2.0 * size), rtol=1e-7, atol=1e-8)


# --- flossing of LSTM and GRU ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t_ons", [1, 3])
@pytest.mark.parametrize("arch", GATED_CELLS)
def test_flossing_gradient_equals_a_slow_chain(arch, t_ons):
    """Each network with its own number of exponents and target, against whole Jacobians and the general pullback."""
    cell, seeds, n, steps, transient = CELLS[arch], torch.arange(3), 5, 24, 13
    parameters = cell.initial_parameters(seeds, torch.ones(3).double(), n=n, inputs=2, batch=2, dtype=DOUBLE)
    x, q0 = gaussian(8, 3, steps, 2), initial_tangent(seeds, cell.state_size(n), 5)
    k, target = torch.tensor([1, 3, 5]), torch.tensor([0.0, -0.5, 0.3], dtype=DOUBLE)
    loss, exponents, gradient = flossing_gradient(
        cell, parameters, x, q0, k=k, target=target, t_ons=t_ons, transient=transient
    )
    assert list(gradient) == list(cell.flossed)
    for r in range(3):
        own = {name: p[r] for name, p in parameters.items()}
        flossed = {name: own[name].clone().requires_grad_() for name in cell.flossed}
        lam = exponents_twin(
            cell.step({**own, **flossed}),
            own["h0"][0],
            x[r],
            q0[r, :, : k[r]],
            t_ons=t_ons,
            transient=transient,
        )
        slow = floss.flossing_loss(lam, float(target[r]))
        assert float(loss[r]) == pytest.approx(float(slow.detach()), rel=1e-10)
        torch.testing.assert_close(exponents[r, : k[r]], lam.detach(), rtol=1e-10, atol=1e-12)
        for name, wanted in zip(flossed, torch.autograd.grad(slow, list(flossed.values())), strict=True):
            assert float(wanted.norm()) > 0.0, name
            assert relative(gradient[name][r], wanted) < 1e-10, name


def test_lstm_can_floss_all_of_its_2n_exponents():
    p = draw("lstm", count=2)
    q0 = initial_tangent(torch.arange(2), 2 * N, 2 * N)
    chain = Chain(p["h0"][:, 0], q0, gaussian(9, 6, 2, S), 6, 1, 2)
    exponents = run_exponents(CELLS["lstm"].step(p), chain)
    assert exponents.shape == (2, 2 * N)
    assert bool(exponents.isfinite().all())


# --- training ----------------------------------------------------------------------------------------------------

SMALL = Protocol(task="xor", n=8, epochs=4, steps=14, batch=3, evaluation_batches=2, flossing_epochs=2, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.6, episodes=(0, 3), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(3,), k=8, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=0.8, episodes=(0, 2, 3), k=6, target=-0.1, flossing_steps=20),
)
STACKED: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}
"""Float64 sums in another order, passed through up to 10 Adam steps, which divide by small second moments."""


def tensors(training: Training) -> dict[str, torch.Tensor]:
    """What is tensors of its state."""
    return {name: value for name, value in training.state().items() if isinstance(value, torch.Tensor)}


def finished(training: Training) -> list[Tick]:
    return list(training.run())


@cache
def whole(arch: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """How the three networks end that are trained together, all healthy, without a break."""
    training = Training(NETWORKS, replace(SMALL, arch=arch, dtype=dtype))
    finished(training)
    assert training.diverged_at.tolist() == [-1, -1, -1]
    return tensors(training)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_trains_on_every_task(arch, task):
    """In both phases, with numbers that are finite, and weights that move: all by training, some by flossing."""
    networks = [replace(network, episodes=(1,)) for network in NETWORKS[:2]]
    training = Training(networks, replace(SMALL, epochs=2, task=task, arch=arch, dtype=torch.float32))
    before = tensors(training)
    ticks = finished(training)
    assert {tick.phase for tick in ticks} == {"train", "floss"}
    assert all(bool(tick.loss.isfinite().all()) for tick in ticks)
    assert all(bool(tick.lambda_1.isfinite().all()) for tick in ticks if tick.lambda_1 is not None)
    assert training.diverged_at.tolist() == [-1, -1]
    for name, p in training.parameters.items():
        assert not torch.equal(p, before[f"parameters.{name}"]), name
    loss, accuracy = training.evaluate()
    assert bool(loss.isfinite().all())
    assert (accuracy is None) == (task in ("copy", "xor_continuous"))
    assert training.flossing_adam.mean.keys() == set(training.cell.flossed)


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_learns_to_copy_after_one_step(arch):
    """The best constant output has a mean squared error of 1/12."""
    networks = [Network(seed=s, d=1, g=0.9, k=1) for s in range(2)]
    # Without flossing; the rate of 0.01 is ten times the reference protocol's.
    training = Training(
        networks, Protocol(task="copy", arch=arch, n=16, epochs=80, steps=20, batch=8, lr=1e-2, clip=1.0)
    )
    losses = torch.stack([tick.loss for tick in finished(training)])
    assert bool((losses[-10:].mean(0) < 0.5 * losses[:5].mean(0)).all())
    assert bool((training.evaluate()[0] < 1.0 / 12.0).all())


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_flossing_lowers_its_loss(arch):
    networks = [Network(seed=s, d=1, g=0.9, episodes=(0,), k=3, flossing_steps=20) for s in range(2)]
    training = Training(
        networks,
        Protocol(task="copy", arch=arch, n=8, epochs=1, steps=10, batch=1, flossing_epochs=25, flossing_lr=1e-2),
    )
    ticks = list(islice(training.run(), 25))
    losses = torch.stack([tick.loss for tick in ticks if tick.phase == "floss"])
    assert len(losses) == 25
    assert bool((losses[-5:].mean(0) < 0.7 * losses[:5].mean(0)).all())


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_stacked_equals_looped(arch):
    """Networks with different seeds, delays, gains, k, targets, schedules and lengths of the flossing run."""
    together = whole(arch, DOUBLE)
    for r, network in enumerate(NETWORKS):
        training = Training([network], replace(SMALL, arch=arch))
        finished(training)
        for name, value in tensors(training).items():
            torch.testing.assert_close(value[0], together[name][r], **STACKED, msg=lambda m: f"{name}: {m}")  # noqa: B023
        assert int(together["task_adam.steps"][r]) == SMALL.epochs
        assert int(together["flossing_adam.steps"][r]) == len(network.episodes) * SMALL.flossing_epochs


@pytest.mark.parametrize(("dtype", "after"), [(torch.float32, 1), (torch.float64, 7)])
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_others_go_on_bit_for_bit(arch, dtype, after):
    """One network's weights become NaN after some ticks; it is frozen, and the others end as beside a healthy one."""
    healthy, spoilt = whole(arch, dtype), Training(NETWORKS, replace(SMALL, arch=arch, dtype=dtype))
    list(islice(spoilt.run(), after))
    spoilt.parameters[CELLS[arch].flossed[0]][1] = torch.nan
    frozen, due = tensors(spoilt), spoilt.epoch
    ticks = finished(spoilt)
    assert spoilt.diverged_at.tolist() == [-1, due, -1]
    assert not any(1 in tick.networks.tolist() for tick in ticks)
    for name, value in tensors(spoilt).items():
        if name != "diverged_at":
            assert torch.equal(value[[0, 2]], healthy[name][[0, 2]]), f"{name} of a healthy network"
            assert torch.equal(value[1].nan_to_num(), frozen[name][1].nan_to_num()), f"{name} of the frozen network"


@pytest.mark.parametrize("ticks", [1, 7])
@pytest.mark.parametrize("arch", NEW_CELLS)
def test_goes_on_where_it_stopped(arch, ticks):
    """Bit for bit, also in the middle of an episode."""
    first, second = (Training(NETWORKS, replace(SMALL, arch=arch)) for _ in range(2))
    list(islice(first.run(), ticks))
    state = first.state()
    first.parameters["U"] += 1.0  # the state is a copy
    second.load(state)
    finished(second)
    assert (second.epoch, second.flossing_epoch) == (SMALL.epochs, 0)
    for name, value in tensors(second).items():
        assert torch.equal(value, whole(arch, DOUBLE)[name]), name
