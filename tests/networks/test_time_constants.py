"""floss.time_constants: of linear maps and of the state-space layers that their parameters tell."""

import math
import warnings

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn
from torch.nn.functional import softplus

import floss

N = 4


def holder(**parameters: torch.Tensor) -> nn.Module:
    module = nn.Module()
    for name, value in parameters.items():
        module.register_parameter(name, nn.Parameter(value))
    return module


def test_a_linear_layer_and_a_linear_map():
    values = torch.tensor([0.9, -0.5, 0.2])
    basis = torch.eye(3) + 0.2 * gaussian(1, 3, 3).float()
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(basis @ torch.diag(values) @ torch.linalg.inv(basis))
    wanted = -1.0 / values.abs().double().log()
    torch.testing.assert_close(floss.time_constants(layer)[""], wanted, rtol=1e-5, atol=1e-6)
    pair = floss.step_from_function(lambda h: layer(h), torch.zeros(3))
    torch.testing.assert_close(floss.time_constants(pair)[""], wanted, rtol=1e-4, atol=1e-6)
    a = torch.tensor([0.5 + 0.3j, 0.9j], dtype=torch.complex128)
    pair = floss.step_from_function(lambda z: a * z, torch.zeros(2, dtype=torch.complex128))
    tau = -1.0 / a.abs().log()
    torch.testing.assert_close(floss.time_constants(pair)[""], tau.flip(0).repeat_interleave(2))


def test_the_exponents_are_what_they_come_from():
    lam = floss.lyapunov_spectrum(lambda h: h * torch.tensor([0.9, 0.5]), torch.zeros(2), steps=100, transient=60)
    tau = floss.time_constants((lambda h: h * torch.tensor([0.9, 0.5], dtype=h.dtype), 2))[""]
    torch.testing.assert_close(-1.0 / lam.double(), tau, rtol=1e-5, atol=1e-5)


P = gaussian(2, N, 3).abs()
DT = gaussian(3, N)
SSM = {
    "lru": (holder(nu_log=P[:, 0].log(), theta_log=P[:, 1]), P[:, 0]),
    "s4d": (holder(log_A_real=P.log(), A_imag=P, log_dt=DT), P * DT.exp()[:, None]),
    "s4d, inv_dt": (holder(log_A_real=P.log(), inv_dt=DT), P * softplus(DT)[:, None]),
    "s5": (holder(Lambda=torch.complex(-P[:, 0], P[:, 1]), log_step=DT), P[:, 0] * DT.exp()),
    "s5, column": (holder(Lambda=torch.complex(-P[:, 0], P[:, 1]), log_step=DT[:, None]), P[:, 0] * DT.exp()),
    "mamba-2": (holder(A_log=P[:, 0].log(), dt_bias=DT), P[:, 0] * softplus(DT)),
    "rwkv": (holder(time_decay=P[:, 0].log()), P[:, 0]),
    "rg-lru": (holder(recurrent_param=DT), 8 * softplus(DT)),
}


@pytest.mark.parametrize("kind", SSM)
def test_state_space_layers(kind):
    module, rate = SSM[kind]
    model = nn.Sequential(nn.Linear(2, 2), module)
    found = floss.time_constants(model)
    assert list(found) == ["1"]
    wanted = (1.0 / rate).flatten().sort(descending=True).values
    torch.testing.assert_close(found["1"].sort(descending=True).values, wanted, rtol=1e-6, atol=1e-8)


def test_the_time_step_of_mamba_is_in_a_layer_of_it():
    module = holder(A_log=P.log())
    module.dt_proj = nn.Linear(2, N, dtype=DOUBLE)
    found = floss.time_constants(module)
    assert list(found) == [""]
    rate = P * softplus(module.dt_proj.bias.detach())[:, None]
    torch.testing.assert_close(found[""], (1 / rate).flatten().sort(descending=True).values)


def test_modes_that_outlast_the_sequences():
    module = holder(nu_log=torch.tensor([1e-3, 1e-1, 1.0]).log())
    with pytest.warns(
        floss.TimeConstantWarning, match=r"^time_constants: 1 of 3 modes last longer than the sequences of"
    ):
        floss.time_constants(module, steps=100)
    with pytest.warns(RuntimeWarning, match=r"2 of 3 modes of 0 last longer"):
        floss.time_constants(nn.Sequential(module), steps=5)
    growing = nn.Linear(1, 1)
    nn.init.constant_(growing.weight, 2.0)
    with pytest.warns(floss.TimeConstantWarning, match=r"1 of 1 modes last"):
        tau = floss.time_constants(growing, steps=100)[""]
    assert float(tau) == pytest.approx(-1 / math.log(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        floss.time_constants(module, steps=2000)
        floss.time_constants(module)


def test_what_has_no_time_constants():
    for module, message in (
        (nn.GRU(2, 2), "time_constants: GRU has no linear recurrence; it takes a module with"),
        (nn.Linear(2, 3), "time_constants: Linear has no linear recurrence; it takes"),
        (3, "time_constants: module=3 must be a module with linear recurrences in it"),
        ((torch.tanh, 2), "time_constants: the map is not linear: its Jacobian differs between two states"),
        ((lambda h, x: h, 2), "time_constants: the map cannot take h [2, 2]: "),
        ((nn.RNNCell(2, 2), 2), "time_constants: step is a RNNCell, which takes the input before the state;"),
        ((torch.tanh, 0), "time_constants: the state size n=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            floss.time_constants(module)
        assert str(caught.value).startswith(message)
    with pytest.raises(ValueError, match=r"^time_constants: steps=0 must be at least 1$"):
        floss.time_constants(nn.Linear(2, 2), steps=0)


@pytest.mark.parametrize(("modes", "steps", "found"), [((4, 2), (4,), 4), ((4, 2), (4, 2), 8), ((3,), (3,), 3)])
def test_pairs_of_numbers_are_complex_where_they_have_one_time_step(modes, steps, found):
    layer = nn.Module()
    layer.Lambda, layer.log_step = nn.Parameter(torch.full(modes, -2.0)), nn.Parameter(torch.full(steps, 0.5).log())
    torch.testing.assert_close(floss.time_constants(layer)[""], torch.full((found,), 1.0, dtype=torch.float64))
