"""Sensitivities against automatic differentiation of the whole run, and the closed form of linear neurons."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false, reportOptionalMemberAccess=false

import functools
import re

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn

import floss

ROUNDING = 1e-10
"""Relative, of sums of some hundred squares in float64."""
ERRORS = 4.5
"""Standard errors that an estimate may be off by."""


def tanh_step(h, x, W, U, b):
    return torch.tanh(h) @ W.T + x @ U.T + b


def tanh_parameters(n=4, S=2):
    return {
        "W": (1.5 * gaussian(1, n, n) / n**0.5).requires_grad_(),
        "U": gaussian(2, n, S).requires_grad_(),
        "b": gaussian(3, n).requires_grad_(),
    }


def squares_of_whole_run(run, parameters):
    """‖∂h_t/∂θ‖² [T, *batch] by reverse mode through all steps; `run(parameters)` gives [T, *batch, n]."""
    values = {name: p.detach() for name, p in parameters.items()}
    jacobian = torch.func.jacrev(run)(values)
    axes = run(values).ndim
    return {name: J.abs().square().flatten(axes - 1).sum(-1) for name, J in jacobian.items()}


def run_of_module(step, h0, inputs):
    """The states of a module's map with other parameters."""

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = step.module

        def forward(self):
            h, states = h0, []
            for x in inputs:
                h = step(h, x)
                states.append(h)
            return torch.stack(states)

    unrolled = Unrolled()

    def run(parameters):
        named = {f"module.{name}": p for name, p in parameters.items()}
        return torch.func.functional_call(unrolled, named, ())

    return run


def assert_same(found, wanted, rtol=ROUNDING):
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name].to(DOUBLE), rtol=rtol, atol=0, msg=name)


@pytest.mark.parametrize("how", ["closure", "partial", "advance"])
def test_a_function_against_the_whole_run(how):
    parameters = tanh_parameters()
    h0, inputs = gaussian(4, 3, 2, 4), gaussian(5, 6, 3, 2, 2)

    class Brought:
        def __call__(self, h, x):
            return tanh_step(h, x, **parameters)

        def advance(self, h, q, x):
            return self(h, x), parameters["W"] @ ((1 - torch.tanh(h) ** 2)[..., None] * q)

    step = {
        "closure": lambda h, x: tanh_step(h, x, **parameters),
        "partial": functools.partial(tanh_step, **parameters),
        "advance": Brought(),
    }[how]

    def run(values):
        h, states = h0, []
        for x in inputs:
            h = tanh_step(h, x, **values)
            states.append(h)
        return torch.stack(states)

    found = floss.sensitivity(step, parameters, h0, inputs, per_trajectory=True)
    wanted = squares_of_whole_run(run, parameters)
    assert found.trajectories is not None
    assert found.standard_error is None
    assert_same(found.trajectories, wanted)
    assert_same(found.mean, {name: v.flatten(1).mean(-1) for name, v in wanted.items()})
    together = floss.sensitivity(step, {"all": [*parameters.values()]}, h0, inputs)
    assert together.trajectories is None
    assert_same(together.mean, {"all": sum(found.mean.values())})


@pytest.mark.parametrize(
    "module",
    [
        nn.GRUCell(2, 3),
        nn.LSTMCell(2, 3),
        nn.LSTM(2, 2, num_layers=2),
        nn.RNN(2, 3),
        nn.GRU(2, 3, bias=False),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_module_against_the_whole_run(module):
    module = module.double()
    for i, parameter in enumerate(module.parameters()):
        parameter.data = gaussian(i, *parameter.shape)
    step, n = floss.step_from_module(module)
    h0, inputs = gaussian(6, 2, n), gaussian(7, 5, 2, 2)
    found = floss.sensitivity(step, module, h0, inputs, per_trajectory=True)
    wanted = squares_of_whole_run(run_of_module(step, h0, inputs), dict(module.named_parameters()))
    assert_same(found.trajectories, wanted)


def test_weights_that_are_computed_outside_the_map():
    """θ is an angle, from which a rotation is made once, and that rotation itself."""
    angle = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    rotation = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).reshape(2, 2)
    h0 = torch.tensor([1.0, 0.0], dtype=DOUBLE)
    found = floss.sensitivity(lambda h: h @ rotation.T, {"angle": angle}, h0, steps=9).mean
    torch.testing.assert_close(found["angle"], torch.arange(1, 10, dtype=DOUBLE) ** 2)
    entries = floss.sensitivity(lambda h: h @ rotation.T, {"rotation": rotation}, h0, steps=1).mean
    torch.testing.assert_close(entries["rotation"], torch.full((1,), 2.0, dtype=DOUBLE))


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_linear_neurons_have_the_sensitivity_of_the_theory(rho):
    """White or correlated input, within standard errors over 4000 sequences; one map of three neurons."""
    lam = torch.tensor([0.9, -0.5, 0.2], dtype=DOUBLE, requires_grad=True)
    steps, sequences = 120, 4000
    noise = gaussian(8, steps, sequences, 1)
    x = [noise[0]]
    for e in noise[1:]:
        x.append(rho * x[-1] + (1 - rho**2) ** 0.5 * e)
    step = lambda h, x: lam * h + x  # noqa: E731
    h0 = torch.zeros(sequences, 3, dtype=DOUBLE)
    found = floss.sensitivity(step, {"lam": lam}, h0, torch.stack(x), per_trajectory=True).trajectories
    assert found is not None
    last = found["lam"][-1]
    exact = floss.memory.sensitivity_moment(lam.detach(), lam.detach(), rho).sum()
    assert abs(float(last.mean() - exact)) < ERRORS * float(last.std()) / sequences**0.5


def test_a_complex_neuron_has_two_real_parameters():
    """h is analytic in λ: each of them moves it by |dh/dλ|."""
    lam = torch.tensor([0.5 + 0.6j], dtype=torch.complex128, requires_grad=True)
    step, n = floss.step_from_function(lambda z, x: lam * z + x, torch.zeros(1, dtype=torch.complex128))
    inputs = gaussian(9, 8, 3, 1)
    found = floss.sensitivity(step, {"lam": lam}, torch.zeros(3, n, dtype=DOUBLE), inputs).mean["lam"]
    z = slope = torch.zeros(3, 1, dtype=torch.complex128)
    wanted = []
    for x in inputs:
        z, slope = lam.detach() * z + x, z + lam.detach() * slope
        wanted.append(2 * slope.abs().square().mean())
    torch.testing.assert_close(found, torch.stack(wanted), rtol=ROUNDING, atol=0)


def test_on_the_unit_circle_it_grows_with_the_third_power_of_time():
    """White input of ±1, λ = 1: the mean over all sequences is Σ_{m<T} m², without sampling for orthogonal inputs."""
    T = 32
    lam = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    signs = torch.eye(T, dtype=DOUBLE) * T**0.5  # T sequences whose autocorrelation is that of white input
    found = floss.sensitivity(lambda h, x: lam * h + x, {"lam": lam}, torch.zeros(T, 1, dtype=DOUBLE), signs[..., None])
    exact = torch.arange(T, dtype=DOUBLE).square().cumsum(0)
    torch.testing.assert_close(found.mean["lam"], exact, rtol=ROUNDING, atol=0)
    assert float(found.mean["lam"][-1]) == pytest.approx(T**3 / 3, rel=2 / T)


@pytest.mark.parametrize("probes", [None, 5])
def test_stacked_is_looped_and_chunks_change_nothing(probes):
    parameters = tanh_parameters()
    step = functools.partial(tanh_step, **parameters)
    h0, inputs = gaussian(4, 3, 4), gaussian(5, 6, 3, 2)
    how = {"probes": probes, "per_trajectory": True, "seed": 3}
    whole = floss.sensitivity(step, parameters, h0, inputs, **how)
    for chunk in (1, 3, 7):
        parts = floss.sensitivity(step, parameters, h0, inputs, chunk=chunk, **how)
        assert_same(parts.trajectories, whole.trajectories)
        if probes:
            assert_same(parts.standard_error, whole.standard_error)
    for i in range(3):
        one = floss.sensitivity(step, parameters, h0[i], inputs[:, i], **how)
        assert_same(one.trajectories, {name: v[:, i] for name, v in whole.trajectories.items()})
        assert_same(one.mean, one.trajectories)


def test_probes_estimate_it_with_their_standard_error():
    parameters = tanh_parameters()
    step = functools.partial(tanh_step, **parameters)
    h0, inputs = gaussian(4, 3, 4), gaussian(5, 6, 3, 2)
    exact = floss.sensitivity(step, parameters, h0, inputs).mean
    groups = {**parameters}
    found = floss.sensitivity(step, groups, h0, inputs, probes=800)
    other = floss.sensitivity(step, groups, h0, inputs, probes=800, seed=1)
    assert found.standard_error is not None
    for name in exact:
        off, error = found.mean[name] - exact[name], found.standard_error[name]
        # A column alone in its row, as of a bias after one step, has no spread: the square of ±1.
        assert (off.abs() <= ERRORS * error + ROUNDING * exact[name]).all(), name
        assert (error <= 1.1 * (2 / 800) ** 0.5 * exact[name]).all()
        assert not torch.equal(found.mean[name][1:], other.mean[name][1:])


def test_random_numbers_of_the_map_are_the_same_for_all_columns():
    W = (gaussian(1, 3, 3) / 2).requires_grad_()

    def step(h, x):
        return torch.tanh(h) @ (W * torch.bernoulli(torch.full((3, 3), 0.5, dtype=DOUBLE))).T + x

    h0, inputs = gaussian(2, 4, 3), gaussian(3, 5, 4, 3)
    torch.manual_seed(1)
    whole = floss.sensitivity(step, {"W": W}, h0, inputs).mean
    torch.manual_seed(1)
    assert_same(floss.sensitivity(step, {"W": W}, h0, inputs, chunk=2).mean, whole)


def test_with_the_anomalies_of_autograd():
    gru = torch.nn.GRU(2, 3)
    step, n = floss.step_from_module(gru)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), torch.autograd.detect_anomaly():
        found = floss.sensitivity(step, gru, torch.zeros(2, n), torch.ones(4, 2))
    wanted = floss.sensitivity(step, gru, torch.zeros(2, n), torch.ones(4, 2))
    assert torch.equal(found.mean["weight_hh_l0"], wanted.mean["weight_hh_l0"])


def test_single_precision_and_numbers_of_numpy():
    parameters = tanh_parameters()
    step = functools.partial(tanh_step, **parameters)
    h0, inputs = gaussian(4, 3, 4), gaussian(5, 6, 3, 2)
    exact = floss.sensitivity(step, parameters, h0.numpy(), inputs.numpy()).mean
    single = {name: p.detach().float().requires_grad_() for name, p in parameters.items()}
    found = floss.sensitivity(functools.partial(tanh_step, **single), single, h0.float(), inputs.float()).mean
    assert_same(found, exact, rtol=1e-4)


H0, X = torch.zeros(2, 3, dtype=DOUBLE), torch.ones(4, 2, 3, dtype=DOUBLE)
W3 = torch.eye(3, dtype=DOUBLE).requires_grad_()


def linear(h, x):
    return h @ W3 + x


class Once(torch.autograd.Function):
    """A product whose gradient has no derivative."""

    @staticmethod
    def forward(ctx, h, w):
        ctx.save_for_backward(h, w)
        return h * w

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        h, w = ctx.saved_tensors
        return g * w, (g * h).sum(0)

    @staticmethod
    def jvp(ctx, dh, dw):
        raise NotImplementedError


class OnceStep:
    """A map with a tangent of its own around it."""

    def __init__(self):
        self.w = torch.ones(3, dtype=DOUBLE, requires_grad=True)

    def __call__(self, h, x):
        return Once.apply(h, self.w) + 0.1 * h * self.w + x

    def advance(self, h, q, x):
        return self(h, x), self.w[:, None] * q


ONCE = OnceStep()
ROOT = torch.zeros((), dtype=DOUBLE, requires_grad=True)
"""√p has no derivative at p = 0."""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: floss.sensitivity(linear, W3, H0, X),
            "parameters=torch.float64 [3, 3] must be a torch module, or a mapp",
        ),
        (lambda: floss.sensitivity(linear, {}, H0, X), "parameters={} has no tensor that requires gradients"),
        (
            lambda: floss.sensitivity(linear, {"W": []}, H0, X),
            "parameters['W']=[] must be a tensor or a list of tensors",
        ),
        (
            lambda: floss.sensitivity(linear, {"W": [1.0]}, H0, X),
            "parameters['W'] must be floating-point tensors, got 1.0",
        ),
        (lambda: floss.sensitivity(linear, {"W": W3.detach()}, H0, X), "parameters['W'] must require gradients"),
        (
            lambda: floss.sensitivity(linear, {"W": [W3, W3]}, H0, X),
            "parameters['W'] has a tensor that parameters['W'] has",
        ),
        (
            lambda: floss.sensitivity(linear, {"W": W3[:2]}, H0, X),
            "the map does not read parameters['W'], torch.float64 [2",
        ),
        (
            lambda: floss.sensitivity(lambda h, x: h @ W3.detach() + x, {"W": W3}, H0, X),
            "the map does not read parameters['W'], torch.float64 [3, 3]: a copy or a slice is another tensor",
        ),
        (
            lambda: floss.sensitivity(ONCE, {"w": ONCE.w}, H0, X),
            "the map cannot be differentiated twice by parameters['w']: an operation",
        ),
        (lambda: floss.sensitivity(linear, {"W": W3}, H0), "an autonomous map needs steps="),
        (lambda: floss.sensitivity(linear, {"W": W3}, H0, X, probes=1), "probes=1 must be at least 2"),
        (
            lambda: floss.sensitivity(linear, {"W": W3}, H0, X, probes=2.0),
            "probes=2.0 must be a whole number, at least 2",
        ),
        (lambda: floss.sensitivity(linear, {"W": W3}, H0, X, chunk=0), "chunk=0 must be at least 1"),
        (lambda: floss.sensitivity(linear, {"W": W3}, H0, X, seed=-1), "seed=-1 must be from 0 to"),
        (
            lambda: floss.sensitivity(linear, {"W": W3}, H0, X * torch.tensor([1.0, torch.inf, 1.0], dtype=DOUBLE)),
            "inputs has a value that is infinite",
        ),
        (
            lambda: floss.sensitivity(lambda h, x: ROOT.sqrt() * h + x, {"p": ROOT}, H0, X),
            "∂h/∂θ of parameters['p'] is not finite after step 1 of 4",
        ),
    ],
)
def test_what_cannot_be_asked(call, message):
    with pytest.raises(ValueError, match=f"^sensitivity: {re.escape(message)}[^\n]*$"):
        call()


def test_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr("floss.memory.sensitivity.free_memory", lambda: 1000.0)
    with pytest.raises(
        ValueError, match=r"^sensitivity: chunk=9 columns of 6 state variables need .*: take a smaller chu"
    ):
        floss.sensitivity(linear, {"W": W3}, H0, X)
    assert floss.sensitivity(linear, {"W": W3}, H0, X, chunk=2).mean["W"].isfinite().all()
    monkeypatch.setattr("floss.memory.sensitivity.free_memory", lambda: 100.0)
    with pytest.raises(ValueError, match=r"are free: take fewer trajectories at once$"):
        floss.sensitivity(linear, {"W": W3}, H0, X, chunk=1)


def test_transforms_and_inference_mode_are_refused():
    with torch.inference_mode(), pytest.raises(ValueError, match="cannot take derivatives within"):
        floss.sensitivity(linear, {"W": W3}, H0, X)
    with pytest.raises(ValueError, match="has no derivatives"):
        torch.func.vmap(lambda h: floss.sensitivity(linear, {"W": W3}, h, X[:, 0]).mean["W"])(H0)
    with torch.no_grad():
        assert floss.sensitivity(linear, {"W": W3}, H0, X).mean["W"].isfinite().all()
