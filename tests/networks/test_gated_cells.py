"""LSTM, GRU and LRU: how they are drawn, their exponents, flossing and training.

What holds for every architecture (one-step map, Jacobian, time loop) is in test_cells.py and test_lyapunov.py."""

import pytest
import torch
from networks.distributions import SIGMAS, N, R, S, assert_normal, assert_uniform, draw
from problems import DOUBLE, GATED_CELLS, gaussian
from twins import exponents_twin, relative

import floss
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.iteration import run_exponents
from floss.networks import CELLS
from floss.training.flossing import FlossingObjective, flossing_gradient
from floss.training.schedule import FlossingRun

NEW_CELLS = (*GATED_CELLS, "lru")


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


@pytest.mark.parametrize("arch", NEW_CELLS)
def test_what_is_allowed(arch):
    CELLS[arch].check(8, 1.0, "gaussian", 0.0)
    if arch != "lru":
        CELLS[arch].check(8, 7.0, "orthogonal", -0.1)


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
        cell, parameters, x, FlossingObjective(q0, k, target, FlossingRun(steps, transient), t_ons)
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
