"""Maps that are cut off from their own derivative are refused; those that have none, or want another one, are not."""

import numpy as np
import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn

import floss
from floss.lyapunov import sensitivity

W = gaussian(1, 6, 6) / 6**0.5
STATES = {
    "zeros": torch.zeros(6, dtype=DOUBLE),
    "one": 0.3 * gaussian(2, 6),
    "batch": gaussian(3, 4, 6),
    "large": 30.0 * gaussian(4, 2, 6),
    "single": gaussian(5, 2, 6).float(),
    "single zeros": torch.zeros(3, 6),
}


def weights(h):
    return W.to(h)


def by_numpy(h):
    return torch.as_tensor(np.tanh(h.detach().numpy()))


def number_by_number(h):
    rows = [[float(torch.tanh(v).item()) for v in row] for row in h.reshape(-1, 6)]
    return torch.tensor(rows, dtype=h.dtype).reshape(h.shape)


def two_of_six(h):
    after = torch.tanh(h @ weights(h).T + 0.1)
    return torch.cat((after[..., :4], 0.5 * h[..., 4:].detach()), -1)


CUT = {
    "detach": (lambda h: torch.tanh(h.detach() @ weights(h).T), "in 6 of 6 numbers, from number 0 on"),
    "detach and draw": (lambda h: torch.tanh(h.detach()) + torch.randn_like(h), "in 6 of 6 numbers, from number 0 on"),
    "a part": (two_of_six, "in 2 of 6 numbers, from number 4 on"),
}
CALLS = {
    "lyapunov_spectrum": lambda step, h: floss.lyapunov_spectrum(step, h, steps=5, singular="-inf"),
    "lyapunov_history": lambda step, h: floss.lyapunov_history(step, h, steps=5, singular="-inf"),
    "adaptive_t_ons": lambda step, h: floss.adaptive_t_ons(step, h, steps=5),
    "covariant_lyapunov_vectors": lambda step, h: floss.covariant_lyapunov_vectors(step, h, steps=5),
    "one_step_jacobians": lambda step, h: floss.one_step_jacobians(step, h, steps=5),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", CUT)
def test_a_map_that_is_cut_off_is_refused(name, state):
    step, where = CUT[name]
    h = STATES[state] * (0.01 if state == "large" else 1.0)  # a saturated map does not move
    with pytest.raises(ValueError, match="moves with h, but its derivative is zero") as error:
        floss.lyapunov_spectrum(step, h, steps=5, singular="-inf")
    assert where in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("step", [by_numpy, number_by_number])
def test_so_are_numbers_that_leave_torch(step):
    """Or torch refuses them itself, under its transforms."""
    with pytest.raises(ValueError, match=r"derivative"):
        floss.lyapunov_spectrum(step, STATES["one"], steps=5, singular="-inf")


@pytest.mark.parametrize("caller", CALLS)
def test_everything_along_a_trajectory_refuses_it(caller):
    with pytest.raises(ValueError, match=f"^{caller}: the next state moves with h, but its derivative is zero in 6"):
        CALLS[caller](CUT["detach"][0], STATES["one"])


def test_a_vector_field_that_is_cut_off_is_refused():
    step = floss.stroboscopic_map(lambda h, x: torch.tanh(h.detach()) + x, 0.1)
    with pytest.raises(ValueError, match="its derivative is zero in 6 of 6 numbers"):
        floss.lyapunov_spectrum(step, STATES["one"], gaussian(6, 5, 6))


class Spike(torch.autograd.Function):
    """A threshold with a surrogate gradient."""

    @staticmethod
    def forward(v):
        return (v > 0).to(v)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx, tangent):  # pyright: ignore[reportIncompatibleMethodOverride]
        (v,) = ctx.saved_tensors
        return tangent / (1 + 10 * v.abs()) ** 2

    @staticmethod
    def vmap(info, in_dims, v):  # pyright: ignore[reportIncompatibleMethodOverride]
        return Spike.apply(v), in_dims[0]


def spiking(h):
    v, s = h[..., :3], h[..., 3:]
    v = 0.9 * v - s.detach() + 0.1
    return torch.cat((v, Spike.apply(v)), -1)


def with_own_generator():
    numbers = torch.Generator().manual_seed(0)
    return lambda h: torch.randn(h.shape, generator=numbers, dtype=torch.float64).to(h)


def counting():
    calls = []

    def step(h):
        calls.append(1)
        return torch.full_like(h, float(len(calls)))

    return step


FINE = {
    "constant": lambda: torch.ones_like,
    "threshold": lambda: lambda h: (h > 0).to(h),
    "rounded": lambda: lambda h: torch.round(3 * h),
    "straight through": lambda: lambda h: torch.tanh(h) + (torch.sign(h) - torch.tanh(h)).detach(),
    "spiking": lambda: spiking,
    "relu": lambda: lambda h: torch.relu(h @ weights(h).T),
    "relu of the state": lambda: lambda h: torch.relu(h) @ weights(h).T,
    "relu, dead units": lambda: lambda h: torch.relu(h - 0.2),
    "all dead": lambda: lambda h: torch.relu(h.abs().neg() - 10),
    "absolute": lambda: lambda h: h.abs() @ weights(h).T,
    "hard": lambda: lambda h: nn.functional.hardtanh(2 * h),
    "square": lambda: lambda h: h**2,
    "cube": lambda: lambda h: 0.1 * (h @ weights(h).T) ** 3,
    "saturated": lambda: lambda h: torch.tanh(1e4 * (h + 1)),
    "integers": lambda: lambda h: (h.sum(-1, keepdim=True).long() % 3).to(h).expand_as(h).clone(),
    "largest": lambda: lambda h: h.argmax(-1, keepdim=True).to(h).expand_as(h).clone(),
    "own generator": with_own_generator,
    "counter": counting,
    "noise": lambda: lambda h: torch.randn_like(h),
    "dropout": lambda: lambda h: nn.functional.dropout(torch.tanh(h), 0.5),
    "rank one": lambda: lambda h: torch.tanh(h[..., :1]).expand_as(h).clone(),
    "difference": lambda: lambda h: h - h.roll(1, -1),
    "one direction": lambda: lambda h: torch.cat((torch.tanh(h[..., :1]), torch.zeros_like(h[..., 1:])), -1),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", FINE)
def test_no_false_alarm(name, state):
    h = STATES[state]
    jacobians = floss.one_step_jacobians(FINE[name](), h, steps=3)
    assert jacobians.shape == (3, *h.shape, 6)


def test_a_map_with_an_advance_of_its_own_may_have_any_derivative():
    class Own:
        def __call__(self, h):
            return torch.tanh(h.detach())

        def advance(self, h, q):
            return self(h), torch.zeros_like(q)

    assert not floss.one_step_jacobians(Own(), STATES["one"], steps=3).any()


def test_an_ordinary_map_is_called_no_more_often_for_it(monkeypatch):
    calls = []

    def step(h):
        calls.append(1)
        return torch.tanh(h @ W.T)

    def count():
        calls.clear()
        floss.lyapunov_spectrum(step, STATES["one"], steps=20, k=1)
        return len(calls)

    with_check = count()
    monkeypatch.setattr("floss.lyapunov.entry.check_sensitive", lambda *arguments: None)
    assert count() == with_check


def test_no_grad_within_a_map_cuts_off_nothing():
    """Forward-mode differentiation goes through it; gradients of the exponents do not."""

    def step(h):
        with torch.no_grad():
            return torch.tanh(h @ W.T)

    wanted = floss.one_step_jacobians(lambda h: torch.tanh(h @ W.T), STATES["one"], steps=3)
    assert torch.equal(floss.one_step_jacobians(step, STATES["one"], steps=3), wanted)


def test_it_does_not_touch_the_random_numbers_of_the_caller():
    torch.manual_seed(3)
    wanted = torch.randn(3)
    torch.manual_seed(3)
    h = STATES["one"]
    sensitivity.check_sensitive("f", FINE["noise"](), h, (), sensitivity.one_direction(h), torch.zeros(6, 1))
    assert torch.equal(torch.randn(3), wanted)


@pytest.mark.parametrize("state", ["zeros", "one", "batch", "single"])
def test_an_operation_of_which_torch_has_no_derivative_is_refused(state):
    """It gives none, and says nothing; of what does not depend on the state there is nothing to say."""
    h = STATES[state]
    bessel = torch.special.bessel_j0
    with pytest.raises(ValueError, match="lyapunov_spectrum: the next state depends on h by bessel_j0, of which torch"):
        floss.lyapunov_spectrum(lambda h: torch.tanh(h @ weights(h).T) + 0.5 * bessel(h + 1.0), h, steps=5)
    gain = torch.tensor(0.3, dtype=h.dtype)
    floss.lyapunov_spectrum(lambda h: torch.tanh(h @ weights(h).T) * bessel(gain) + 0.1 * h, h, steps=5)
