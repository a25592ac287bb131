"""floss.step_from_module: torch's own recurrent modules, analysed and flossed in place."""

import re
from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn
from torch.nn.utils import prune
from twins import exponents_twin, relative

import floss
from floss.lyapunov.chain import initial_tangent

# torch says so once in a process, in float32: in whichever test comes first.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

S, N = 3, 5
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}
"""A few sums of some ten numbers of size 1 in another order."""
KINDS: dict[str, tuple[type[nn.Module], dict[str, Any], int]] = {
    "RNN tanh": (nn.RNN, {}, N),
    "RNN relu": (nn.RNN, {"nonlinearity": "relu"}, N),
    "LSTM": (nn.LSTM, {}, 2 * N),
    "LSTM proj_size": (nn.LSTM, {"proj_size": 2}, 2 + N),
    "GRU": (nn.GRU, {}, N),
    "RNNCell tanh": (nn.RNNCell, {}, N),
    "RNNCell relu": (nn.RNNCell, {"nonlinearity": "relu"}, N),
    "LSTMCell": (nn.LSTMCell, {}, 2 * N),
    "GRUCell": (nn.GRUCell, {}, N),
}
"""Class, options and state size."""


def module_of(kind: str, dtype: torch.dtype = DOUBLE, *, bias: bool = True, size: int = N) -> nn.Module:
    """A module with known weights of size 1/2, and biases that keep half of the relu units alive."""
    make, options, _ = KINDS[kind]
    module = make(S, size, bias=bias, dtype=dtype, **options)
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(0.5 * gaussian(40 + i, *p.shape))
    return module


def forward(module: nn.Module, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One step of the module's own forward, from states [..., n] with inputs [..., S]."""
    shape = h.shape
    h, x = h.reshape(-1, shape[-1]), x.reshape(-1, x.shape[-1])
    if isinstance(module, nn.RNNCellBase):
        after = module(x, tuple(h.chunk(2, -1)) if isinstance(module, nn.LSTMCell) else h)
    elif isinstance(module, nn.LSTM):
        outputs = module.proj_size or module.hidden_size
        state = tuple(part[None].contiguous() for part in h.split((outputs, module.hidden_size), -1))
        after = tuple(part[0] for part in module(x[None], state)[1])
    else:
        after = module(x[None], h[None])[1][0]
    return (torch.cat(after, -1) if isinstance(after, tuple) else after).reshape(shape)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_module_s_own_dynamics(kind, bias, dtype, shape):
    """Over a few steps, and without an input as with zeros."""
    module = module_of(kind, dtype, bias=bias)
    step, n = floss.step_from_module(module)
    assert n == KINDS[kind][2]
    assert step.state_size == n
    h = wanted = gaussian(1, *shape, n).to(dtype)
    tolerance: dict[str, Any] = {"rtol": 0, "atol": ROUNDING[dtype] * 10}
    for s in range(4):
        x = gaussian(2 + s, *shape, S).to(dtype)
        h, wanted = step(h, x), forward(module, wanted, x)
        assert h.dtype == dtype
        torch.testing.assert_close(h, wanted, **tolerance)
    assert torch.equal(step(h), step(h, torch.zeros(*shape, S, dtype=dtype)))
    torch.testing.assert_close(step(h), forward(module, h, torch.zeros(*shape, S, dtype=dtype)), **tolerance)


def test_one_step_to_the_last_digit():
    """From one state, in float64: 1e-14."""
    for kind in KINDS:
        module = module_of(kind)
        step, n = floss.step_from_module(module)
        h, x = gaussian(7, 6, n), gaussian(8, 6, S)
        torch.testing.assert_close(step(h, x), forward(module, h, x), rtol=0, atol=1e-14, msg=kind)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_advance(kind, bias, shape):
    """The Jacobian of the module's own forward, by reverse-mode differentiation; with and without an input."""
    module = module_of(kind, bias=bias)
    step, n = floss.step_from_module(module)
    h, x, q = gaussian(3, *shape, n), gaussian(4, *shape, S), gaussian(5, *shape, n, 3)
    for inputs in ((x,), ()):
        after, pushed = step.advance(h, q, *inputs)
        assert torch.equal(after, step(h, *inputs))
        for at in torch.ones(shape).nonzero().tolist() if shape else [()]:
            u = inputs[0][tuple(at)] if inputs else torch.zeros(S, dtype=DOUBLE)
            D = torch.autograd.functional.jacobian(lambda state: forward(module, state, u), h[tuple(at)])  # noqa: B023
            torch.testing.assert_close(pushed[tuple(at)], D @ q[tuple(at)], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("t_ons", "transient"), [(1, 0), (3, 4)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_exponents_and_gradients(kind, bias, t_ons, transient):
    """Of all parameters of the module, against whole Jacobians of its own forward with the general pullback of QR."""
    module = module_of(kind, bias=bias)
    step, n = floss.step_from_module(module)
    k = 1 if "relu" in kind else 3
    h0, x, weight = gaussian(3, 2, n), gaussian(4, 11, 2, S), gaussian(5, 2, k)
    if "relu" in kind:
        h0, x = h0.abs(), x.abs()
    q0 = initial_tangent(torch.arange(2), n, k)
    ours, generic = (
        floss.lyapunov_spectrum(f, h0, x, q0=q0, t_ons=t_ons, transient=transient)
        for f in (step, lambda h, u: step(h, u))
    )
    slow = torch.stack(
        [
            exponents_twin(lambda h, u: forward(module, h, u), h0[r], x[:, r], q0[r], t_ons=t_ons, transient=transient)
            for r in range(2)
        ]
    )
    slow = slow.sort(dim=-1, descending=True).values
    parameters = dict(module.named_parameters())

    def gradients(lam):
        return torch.autograd.grad((lam * weight).sum(), list(parameters.values()), materialize_grads=True)

    wanted = gradients(slow)
    for lam in (ours, generic):
        torch.testing.assert_close(lam, slow, rtol=1e-10, atol=1e-12)
        for name, a, b in zip(parameters, gradients(lam), wanted, strict=True):
            if "relu" in kind and not name.startswith("weight_hh"):  # which units respond does not change smoothly
                assert torch.equal(a, torch.zeros_like(a)), name
            else:
                assert float(b.norm()) > 0.0, name
                assert relative(a, b) < 1e-10, name


def test_batch_of_states():
    """Each trajectory is its own, and one input serves all."""
    step, n = floss.step_from_module(module_of("LSTM"))
    h0, x = gaussian(6, 2, 3, n), gaussian(7, 9, 2, 3, S)
    lam = floss.lyapunov_spectrum(step, h0, x, k=4)
    shared = floss.lyapunov_spectrum(step, h0, x[:, 0, 0], k=4)
    assert lam.shape == (2, 3, 4)
    for a in range(2):
        for b in range(3):
            torch.testing.assert_close(lam[a, b], floss.lyapunov_spectrum(step, h0[a, b], x[:, a, b], k=4))
            torch.testing.assert_close(shared[a, b], floss.lyapunov_spectrum(step, h0[a, b], x[:, 0, 0], k=4))


def long_growth(module: nn.Module, h0: torch.Tensor, x: torch.Tensor, q0: torch.Tensor) -> float:
    """log|T q| / T with the Jacobian T of all steps of the module's own forward."""

    def run(h):
        for u in x:
            h = forward(module, h, u)
        return h

    long_term = torch.autograd.functional.jacobian(run, h0)
    assert isinstance(long_term, torch.Tensor)
    return float((long_term @ q0[:, 0]).norm().log()) / len(x)


@pytest.mark.parametrize("kind", ["RNN tanh", "LSTM", "GRU", "GRUCell"])
def test_an_optimizer_of_the_module_flosses_it_in_place(kind):
    """|λ₁| comes down, and the module's own forward has that exponent afterwards."""
    module = module_of(kind)
    step, n = floss.step_from_module(module)
    h0, x, q0 = gaussian(8, n), gaussian(9, 15, S), initial_tangent(torch.arange(1), n, 1)[0]
    with torch.no_grad():
        for p in module.parameters():
            p *= 0.3  # a quiet network
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-2)
    found = []
    for _ in range(40):
        lam = floss.lyapunov_spectrum(step, h0, x, q0=q0)
        found.append(float(lam.detach()))
        optimizer.zero_grad()
        floss.flossing_loss(lam).backward()
        optimizer.step()
    assert abs(found[0]) > 0.3
    assert abs(found[-1]) < 0.2 * abs(found[0])
    last = floss.lyapunov_spectrum(step, h0, x, q0=q0)
    assert float(last.detach()) == pytest.approx(long_growth(module, h0, x, q0), rel=1e-9)
    assert float(last.detach()) == pytest.approx(found[-1], abs=0.1)


def test_step_follows_the_module():
    """Its parameters are read anew at every call, also those that are loaded or replaced."""
    module, other = module_of("GRU"), nn.GRU(S, N, dtype=DOUBLE)
    step, n = floss.step_from_module(module)
    h, x = gaussian(1, n), gaussian(2, S)
    module.load_state_dict(other.state_dict())
    torch.testing.assert_close(step(h, x), forward(other, h, x), rtol=0, atol=1e-14)
    module.register_parameter("weight_hh_l0", nn.Parameter(gaussian(3, 3 * N, N)))
    torch.testing.assert_close(step(h, x), forward(module, h, x), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [
        ("RNN tanh", "nonlinearity", "relu"),  # a name that the forward does not read
        ("RNN tanh", "mode", "RNN_RELU"),
        ("RNNCell tanh", "nonlinearity", "relu"),
        ("GRUCell", "bias", False),  # nor this one of a cell
        *((kind, name, None) for kind in ("RNNCell tanh", "LSTMCell", "GRUCell") for name in ("bias_ih", "bias_hh")),
    ],
)
def test_attributes_count_as_in_the_forward(kind, attribute, value):
    """Those that are set when the step is there already, and before it is made."""
    module = module_of(kind)
    step, n = floss.step_from_module(module)
    setattr(module, attribute, value)
    h, x = gaussian(1, n), gaussian(2, S)
    wanted = forward(module, h, x)
    torch.testing.assert_close(step(h, x), wanted, rtol=0, atol=1e-14)
    torch.testing.assert_close(floss.step_from_module(module)[0](h, x), wanted, rtol=0, atol=1e-14)


def test_adaptive_interval_and_jacobians_of_a_module():
    step, n = floss.step_from_module(module_of("GRU"))
    h0, x = gaussian(3, n), gaussian(4, 40, S)
    assert floss.adaptive_t_ons(step, h0, x, k=3) >= 2
    chosen, fixed = (floss.lyapunov_spectrum(step, h0, x, k=3, t_ons=t) for t in ("adaptive", 1))
    torch.testing.assert_close(chosen, fixed, rtol=0, atol=1e-8)
    D = floss.one_step_jacobians(step, h0, x)
    assert D.shape == (40, n, n)
    growth = torch.linalg.slogdet(D).logabsdet.mean()
    torch.testing.assert_close(floss.lyapunov_spectrum(step, h0, x).sum(), growth, rtol=1e-9, atol=1e-10)


# --- what it refuses ---------------------------------------------------------------------------------------------


def spoilt(kind: str, name: str) -> nn.Module:
    module = module_of(kind)
    with torch.no_grad():
        dict(module.named_parameters())[name].view(-1)[1] = torch.nan
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.GRU(S, N, num_layers=3, bidirectional=True), "layer=None must be from 0 to 2 for bidirectional=True; "),
        (nn.Linear(N, N), "got a Linear; it takes torch's RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell"),
        (nn.Sequential(nn.GRU(S, N)), "got a Sequential; it takes torch's RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell"),
        (torch.tanh, "got a builtin_function_or_method; it takes torch's RNN, LSTM"),
        (spoilt("GRU", "weight_hh_l0"), "the parameter weight_hh_l0 has a value that is not finite"),
        (spoilt("LSTMCell", "bias_ih"), "the parameter bias_ih has a value that is not finite"),
    ],
    ids=["bidirectional", "Linear", "Sequential", "a function", "NaN", "NaN in a bias"],
)
def test_refuses(module, message):
    with pytest.raises(ValueError, match=re.escape(f"step_from_module: {message}")):
        floss.step_from_module(module)


@pytest.mark.parametrize("kind", KINDS)
def test_state_of_another_size(kind):
    step, n = floss.step_from_module(module_of(kind))
    message = f"lyapunov_spectrum: h0 has {n + 1} numbers per state, but the state of {kind.split()[0]} has {n}"
    with pytest.raises(ValueError, match=re.escape(message)):
        floss.lyapunov_spectrum(step, gaussian(1, 2, n + 1), gaussian(2, 4, 2, S))


def test_an_lstm_needs_both_parts_of_its_state():
    step, _ = floss.step_from_module(module_of("LSTM"))
    with pytest.raises(ValueError, match="h0 has 5 numbers per state, but the state of LSTM has 10"):
        floss.lyapunov_spectrum(step, torch.zeros(N, dtype=DOUBLE), gaussian(2, 4, S))


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_exponents(kind):
    step, n = floss.step_from_module(module_of(kind))
    with pytest.raises(ValueError, match=f"lyapunov_spectrum: k={n + 1} must be from 1 to the state size {n}"):
        floss.lyapunov_spectrum(step, gaussian(1, n), gaussian(2, 4, S), k=n + 1)


# --- weights under other names, and inputs that do not fit --------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_input_of_another_width(kind):
    step, n = floss.step_from_module(module_of(kind))
    with pytest.raises(ValueError, match="lyapunov_spectrum: "):
        floss.lyapunov_spectrum(step, gaussian(1, 2, n), gaussian(2, 4, 2, S + 1), k=1)


def test_state_of_another_precision():
    step, n = floss.step_from_module(module_of("GRU"))
    with pytest.raises(ValueError, match="lyapunov_spectrum: "):
        floss.lyapunov_spectrum(step, gaussian(1, n).float(), steps=4)


def test_jacobians_of_a_state_of_another_size():
    step, n = floss.step_from_module(module_of("GRU"))
    with pytest.raises(ValueError, match=f"h0 has {n + 1} numbers per state, but the state of GRU has {n}"):
        floss.one_step_jacobians(step, gaussian(1, n + 1), steps=4)


def test_parametrised_weights():
    """torch.nn.utils.parametrizations keeps the original under another name; the attribute has what forward uses."""
    module = nn.utils.parametrizations.orthogonal(nn.RNN(S, N, dtype=DOUBLE), "weight_hh_l0")
    step, n = floss.step_from_module(module)
    h, x = gaussian(1, n), gaussian(2, S)
    torch.testing.assert_close(step(h, x), forward(module, h, x), rtol=0, atol=1e-14)


def test_shared_bias():
    """One parameter under two names counts twice, as in the module's own forward."""
    module = nn.RNN(S, N, dtype=DOUBLE)
    module.bias_hh_l0 = module.bias_ih_l0
    step, n = floss.step_from_module(module)
    h, x = gaussian(1, n), gaussian(2, S)
    torch.testing.assert_close(step(h, x), forward(module, h, x), rtol=0, atol=1e-14)


def test_pruned_bias():
    """torch.nn.utils.prune keeps the original under another name; the attribute has what forward uses."""
    module = module_of("RNN tanh")
    prune.random_unstructured(module, "bias_hh_l0", amount=2)
    step, n = floss.step_from_module(module)
    h, x = gaussian(1, n), gaussian(2, S)
    torch.testing.assert_close(step(h, x), forward(module, h, x), rtol=0, atol=1e-14)
