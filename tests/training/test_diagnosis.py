"""floss.diagnose and floss.Monitor: what they measure, where it is known, and what they say of it."""

import copy
import math

import pytest
import torch
from problems import DOUBLE, gaussian, orthogonal
from torch import nn

import floss

S, N, T = 2, 6, 40


def rnn(seed: int = 0, **more) -> nn.RNN:
    torch.manual_seed(seed)
    return nn.RNN(S, N, **more)


def said(diagnosis: object, *parts: str) -> None:
    for part in parts:
        assert part in str(diagnosis), str(diagnosis)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3])
def test_a_map_that_is_known(factor):
    """h ↦ a Q h + x: all exponents are log a, κ₂ = 1, and a gradient is a^τ after τ steps."""
    A = factor * orthogonal(1, N)
    d = floss.diagnose((lambda h, x: h @ A.mT + x, N), gaussian(2, T, 3, N))
    torch.testing.assert_close(d.exponents, torch.full((N,), math.log(factor), dtype=DOUBLE), rtol=0, atol=1e-12)
    assert float(d.standard_error.abs().max()) < 1e-12
    assert d.log10_condition == pytest.approx(0.0, abs=1e-10)
    torch.testing.assert_close(d.gradient_norms, factor ** torch.arange(T + 1, dtype=DOUBLE), rtol=1e-12, atol=0)
    assert d.horizon == (pytest.approx(1.0 / abs(math.log(factor))) if factor != 1.0 else pytest.approx(1e16, rel=99))
    assert (d.n, d.length, d.measurement.sequences) == (N, T, 3)
    wanted = {0.5: "forgets", 1.0: "for the length of its memory flossing is not needed", 1.3: "chaotic"}
    said(d, wanted[factor], f"{N} state variables, 3 sequences of {T} steps")


def test_the_exponents_are_those_of_the_module_in_float64():
    module = rnn()
    x = torch.randn(T, 5, S)
    d = floss.diagnose(module, x, k=4)
    step, n = floss.step_from_module(copy.deepcopy(module).double())
    lam = floss.lyapunov_spectrum(step, torch.zeros(5, n, dtype=DOUBLE), x.double(), k=5, transient=T // 10)[:, :4]
    torch.testing.assert_close(d.exponents, lam.mean(0), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(d.standard_error, lam.std(0) / 5**0.5, rtol=1e-7, atol=1e-10)
    kappa = floss.condition_number(step, torch.zeros(n, dtype=DOUBLE), x[:, 0].double(), dims=4)
    assert d.log10_condition == pytest.approx(float(kappa), rel=1e-9)
    assert module.weight_hh_l0.dtype == torch.float32


def test_the_norms_of_gradients_are_those_of_the_jacobians():
    """E|gᵀ D ⋯ D|² = ‖D ⋯ D‖²_F for normal g; eight probes tell it to a third."""
    module = rnn().double()
    x = gaussian(3, 12, 1, S)
    d = floss.diagnose(module, x)
    step, n = floss.step_from_module(module)
    product = torch.eye(n, dtype=DOUBLE)
    for lag, D in enumerate(floss.one_step_jacobians(step, torch.zeros(n, dtype=DOUBLE), x[:, 0]).flip(0), 1):
        product = product @ D
        exact = float(torch.linalg.matrix_norm(product).detach()) / n**0.5
        assert 0.5 < float(d.gradient_norms[lag]) / exact < 1.6


def test_nothing_of_the_module_is_changed():
    model = nn.Sequential(nn.Dropout(0.5), rnn(batch_first=True))
    model[0].eval()
    model(torch.randn(3, T, S))[0].sum().backward()
    before = copy.deepcopy(model.state_dict())
    numbers = torch.get_rng_state()
    gradient = model[1].weight_hh_l0.grad.clone()  # pyright: ignore
    floss.diagnose(model, torch.randn(3, T, S, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), numbers)
    assert (model.training, model[0].training, model[1].training) == (True, False, True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(gradient, model[1].weight_hh_l0.grad)  # pyright: ignore
    assert not model[1]._forward_pre_hooks


def test_saturated_and_dead_units():
    relu = rnn(nonlinearity="relu")
    with torch.no_grad():
        relu.bias_ih_l0[:2] = -1e3  # pyright: ignore
    d = floss.diagnose(relu, torch.randn(T, 4, S))
    assert d.units.dead == pytest.approx(2 / N)
    assert d.units.saturated is None
    assert d.exponents[-1] == -math.inf
    said(d, "33% of the state never changes", "Flossing will not revive them")
    tanh = rnn()
    with torch.no_grad():
        tanh.bias_ih_l0[:3] = 1e3  # pyright: ignore
    d = floss.diagnose(tanh, torch.randn(T, 4, S))
    assert d.units.saturated == pytest.approx(3 / N)
    said(d, "50% of the units are saturated", "Flossing alone will not free them")


def test_the_gates_of_an_lstm():
    module = nn.LSTM(S, N)
    with torch.no_grad():
        module.bias_ih_l0[:N] = 20.0  # pyright: ignore  # the input gates are open
        module.bias_ih_l0[N : 2 * N] = -20.0  # pyright: ignore  # the forget gates are closed
    d = floss.diagnose(module, torch.randn(T, 4, S))
    assert d.units.gates == {"input": (0.0, 1.0), "forget": (1.0, 0.0), "output": (0.0, 0.0)}
    assert d.units.saturated == pytest.approx(2 / 3)
    said(d, "forget bias to 2", "67% of its gates are saturated already: flossing will not help from here")
    said(d, "100% of the input gates open, 100% of the forget gates closed")


def test_the_gates_of_a_stack_are_those_that_its_equations_say():
    torch.manual_seed(1)
    stack = nn.GRU(S, N, num_layers=2).double()
    with torch.no_grad():
        for p in stack.parameters():
            p.mul_(6.0)
    x = 3.0 * gaussian(4, T, 3, S)
    d = floss.diagnose(stack, x)
    lower = stack(x)[0].new_zeros(T + 1, 3, N)
    single = nn.GRU(S, N).double()
    single.load_state_dict({name: p for name, p in stack.state_dict().items() if name.endswith("l0")})
    lower[1:] = single(x)[0].detach()
    upper = torch.cat((torch.zeros(1, 3, N, dtype=DOUBLE), stack(x)[0].detach()))
    gates = []
    for states, inputs, i in ((lower, x, 0), (upper, lower[1:], 1)):
        w = {kind: getattr(stack, f"{kind}_l{i}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        drive = inputs @ w["weight_ih"].mT + w["bias_ih"] + states[:-1] @ w["weight_hh"].mT + w["bias_hh"]
        gates.append(torch.sigmoid(drive)[..., : 2 * N].detach())
    r, z = torch.cat([g[..., :N] for g in gates], -1), torch.cat([g[..., N:] for g in gates], -1)
    for name, values in (("reset", r), ("update", z)):
        closed, opened = (
            ((flags.double().mean((0, 1))) > 0.5).double().mean() for flags in (values < 0.05, values > 0.95)
        )
        assert d.units.gates[name] == pytest.approx((float(closed), float(opened)))
    assert sum(map(sum, d.units.gates.values())) > 0


def test_both_directions_and_packed_sequences():
    both = nn.GRU(S, N, bidirectional=True)
    with torch.no_grad():
        both.weight_hh_l0_reverse.mul_(0.0)  # pyright: ignore
        both.bias_ih_l0_reverse[N : 2 * N] = -9.0  # pyright: ignore  # forgets at once
    lengths = torch.tensor([30, 25, 40])
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(T, 3, S), lengths, enforce_sorted=False)
    d = floss.diagnose(both, packed)
    said(d, "GRU (reverse)", "3 sequences of 25 steps")


def test_a_large_state_takes_the_condition_number_from_the_exponents():
    A = torch.cat((torch.full((10,), 0.9), torch.full((300,), 0.1))).double()
    d = floss.diagnose((lambda h, x: A * h + x, 310), gaussian(5, 30, 1, 310), k=20)
    wanted = float(d.exponents[0] - d.exponents[-1]) * 30 / math.log(10)
    assert d.log10_condition == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("network", "batch", "message"),
    [
        (nn.Linear(2, 2), torch.zeros(3, 2), "diagnose: Linear must have one recurrent layer of torch, and has none"),
        (rnn(), torch.zeros(1, 1, S), "diagnose: the sequences have 1 steps, and need at least 2"),
        (rnn(), "batch", "diagnose: inputs='batch' must be a tensor or a NumPy array"),
        (rnn(), torch.zeros(5, 2, 7), "diagnose: inputs must have shape [T, ..., 2] for RNN, got [5, 2, 7]"),
        (rnn(), torch.full((5, 2, S), torch.nan), "diagnose: "),
    ],
)
def test_what_does_not_fit(network, batch, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.diagnose(network, batch)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# --- the monitor ---------------------------------------------------------------------------------------------------


def test_the_log_of_a_training():
    module = rnn()
    monitor = floss.Monitor(module, 3, every=2)
    assert monitor.log() == {}  # nothing has been seen
    module.train()
    x = torch.randn(T, 4, S)
    module(x)
    logs = [monitor.log() for _ in range(4)]
    assert [bool(log) for log in logs] == [True, False, True, False]
    step, n = floss.step_from_module(module)
    lam = floss.lyapunov_spectrum(step, torch.zeros(4, n), x, k=4, transient=T // 10)[:, :3].detach()
    log = logs[0]
    assert log["floss/lambda_1"] == pytest.approx(float(lam.mean(0)[0]), rel=1e-5)
    assert log["floss/lambda_k"] == pytest.approx(float(lam.mean(0)[2]), rel=1e-5)
    assert log["floss/standard_error"] == pytest.approx(float(lam.std(0)[0]) / 2, rel=1e-3)
    assert log["floss/horizon"] == pytest.approx(1 / abs(log["floss/lambda_1"]))
    assert log["floss/horizon_share"] == pytest.approx(min(log["floss/horizon"] / T, 1.0))
    spread = log["floss/lambda_1"] - log["floss/lambda_k"]
    assert log["floss/log10_condition"] == pytest.approx(spread * T / math.log(10))
    assert log["floss/flossing_loss"] == pytest.approx(float(lam.mean(0).square().mean()), rel=1e-5)
    assert module.training
    assert all(p.grad is None for p in module.parameters())


def test_a_monitor_of_a_map_and_of_both_directions():
    A = 0.5 * orthogonal(1, N)
    monitor = floss.Monitor((lambda h, x: h @ A.mT + x, N), 2, inputs=lambda: gaussian(2, T, N), prefix="")
    assert monitor.log()["lambda_1"] == pytest.approx(math.log(0.5))
    both = nn.GRU(S, N, bidirectional=True)
    monitor = floss.Monitor(both, 2)
    both(torch.randn(T, 3, S))
    assert len(monitor.log()) == 7


def test_what_a_monitor_refuses():
    with pytest.raises(ValueError, match=r"^Monitor: k=0 must be from 1 to the state size 6$"):
        floss.Monitor(rnn(), 0)
    with pytest.raises(ValueError, match=r"^Monitor: every=0 must be at least 1$"):
        floss.Monitor(rnn(), 1, every=0)
    with pytest.raises(ValueError, match=r"^Monitor: prefix=None must be a text$"):
        floss.Monitor(rnn(), 1, prefix=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"^Monitor: inputs must have shape \[T, ..., 2\] for"):
        floss.Monitor(rnn(), 1, inputs=lambda: torch.randn(T, 4, S + 1)).log()
    with pytest.raises(ValueError, match=r"^Monitor: a map has no batch of its own: inputs= must be a function$"):
        floss.Monitor((lambda h: h, 2), 1)
