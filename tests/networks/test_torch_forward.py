"""Modules whose weights or forward are not what their parameters say: the map is what the module itself computes."""

import re
from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn
from torch.nn.utils import parametrizations, prune

import floss
from floss.networks.torch_forward import keeps_forward

S, N = 3, 5
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-13}


def cell_of(kind: type[nn.Module] = nn.GRUCell, **options: Any) -> Any:
    torch.manual_seed(0)
    return kind(S, N, dtype=DOUBLE, **options)


def own(module: nn.Module, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One call of a module, with a state [n] and an input [S]."""
    if isinstance(module, nn.LSTMCell):
        return torch.cat(module(x, tuple(h.chunk(2))))
    if isinstance(module, nn.LSTM):
        return torch.cat(module(x[None], tuple(part[None].contiguous() for part in h.chunk(2)))[1], -1)[0]
    if isinstance(module, nn.RNNBase):
        return module(x[None], h.reshape(module.num_layers, -1))[1].flatten()
    return module(x, h)


WEIGHTS = {
    "prune": lambda m, name: prune.l1_unstructured(m, name, amount=0.3),
    "prune twice": lambda m, name: prune.random_unstructured(prune.l1_unstructured(m, name, amount=0.3), name, 0.3),
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "parametrised weight_norm": parametrizations.weight_norm,
    "parametrised spectral_norm": parametrizations.spectral_norm,
    "parametrised orthogonal": parametrizations.orthogonal,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_that_are_computed_before_every_call(kind, weights):
    """Also after loading others, and over steps of an optimizer, which reach the parameters themselves."""
    module, other = cell_of(kind), kind(S, N, dtype=DOUBLE)
    name = "weight_hh_l0" if isinstance(module, nn.RNNBase) else "weight_hh"
    for m in (module, other):
        WEIGHTS[weights](m, name)
        m.eval()
    step, n = floss.step_from_module(module)
    assert keeps_forward(module)
    h, x = gaussian(1, n), gaussian(2, S)
    torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)
    module.load_state_dict(other.state_dict())
    torch.testing.assert_close(step(h, x), own(other, h, x), **CLOSE)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = {key: p.detach().clone() for key, p in module.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        floss.flossing_loss(floss.lyapunov_spectrum(step, h, gaussian(3, 6, S), k=2)).backward()
        optimizer.step()
    moved = [key for key, p in module.named_parameters() if "hh" in key and not torch.equal(p, before[key])]
    assert any("weight" in key for key in moved)
    torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)


def test_spectral_norm_in_training_moves_as_the_module_itself_does():
    module, twin = cell_of(), cell_of()
    for m in (module, twin):
        torch.manual_seed(1)
        nn.utils.spectral_norm(m, "weight_hh")
    step, n = floss.step_from_module(module)
    h = wanted = gaussian(1, n)
    for x in gaussian(2, 4, S):
        h, wanted = step(h, x), own(twin, wanted, x)
    torch.testing.assert_close(h, wanted, **CLOSE)


class Halved(nn.GRUCell):
    def forward(self, x, h):  # pyright: ignore[reportIncompatibleMethodOverride]
        return 0.5 * super().forward(x, h)


class Normed(nn.LSTMCell):
    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.norm = nn.LayerNorm(N, dtype=DOUBLE)

    def forward(self, x, state):  # pyright: ignore[reportIncompatibleMethodOverride]
        h, c = super().forward(x, state)
        return self.norm(h), c


class Clipping(nn.GRU):
    def forward(self, x, h=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x.clamp(-0.5, 0.5), h)


class Called(nn.RNNCell):
    def __call__(self, x, h):
        return super().__call__(2.0 * x, h)


def with_hook(module: nn.Module, hook: Any, *, before: bool = False) -> nn.Module:
    (module.register_forward_pre_hook if before else module.register_forward_hook)(hook)
    return module


def patched() -> nn.Module:
    module = cell_of()
    original = module.forward
    module.forward = lambda x, h: original(x, h).tanh()
    return module


CALLS = {
    "forward hook": lambda: with_hook(cell_of(), lambda m, i, out: 0.5 * out),
    "input hook": lambda: with_hook(cell_of(), lambda m, i: (2.0 * i[0], i[1]), before=True),
    "input hook of a stack": lambda: with_hook(
        cell_of(nn.GRU, num_layers=2), lambda m, i: (2.0 * i[0], i[1]), before=True
    ),
    "hook that looks": lambda: with_hook(cell_of(nn.LSTM), lambda m, i, out: None),
    "hook of the output alone": lambda: with_hook(cell_of(nn.GRU), lambda m, i, out: (2.0 * out[0], out[1])),
    "subclass": lambda: cell_of(Halved),
    "subclass of LSTMCell": lambda: cell_of(Normed),
    "subclass of GRU": lambda: cell_of(Clipping),
    "__call__": lambda: cell_of(Called),
    "patched forward": patched,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_not_torch_s(name):
    module = CALLS[name]()
    step, n = floss.step_from_module(module)
    assert not keeps_forward(module)
    h, x = gaussian(4, n), gaussian(5, S)
    torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)
    after, D = step.advance(h, torch.eye(n, dtype=DOUBLE), x)
    torch.testing.assert_close(after, step(h, x), **CLOSE)
    torch.testing.assert_close(D, torch.autograd.functional.jacobian(lambda h: own(module, h, x), h), **CLOSE)
    assert step(gaussian(6, 2, 3, n), x).shape == (2, 3, n)
    floss.lyapunov_spectrum(step, h, gaussian(7, 4, S), k=2).sum().backward()
    assert all(p.grad is not None for p in module.parameters() if p.ndim == 2)


def test_a_hook_that_comes_later_counts():
    module = cell_of()
    step, n = floss.step_from_module(module)
    h, x = gaussian(4, n), gaussian(5, S)
    handle = module.register_forward_hook(lambda m, i, out: 0.5 * out)
    torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)
    handle.remove()
    torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)


def test_a_hook_of_all_modules_counts():
    module = cell_of()
    step, n = floss.step_from_module(module)
    h, x = gaussian(4, n), gaussian(5, S)
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, out: 0.5 * out)
    try:
        torch.testing.assert_close(step(h, x), own(module, h, x), **CLOSE)
    finally:
        handle.remove()


class NoState(nn.GRU):
    def forward(self, x, h=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x, h)[0]


class OneArgument(nn.GRU):
    def forward(self, x):  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x)


class Numbers(nn.GRUCell):
    def forward(self, x, h):  # pyright: ignore[reportIncompatibleMethodOverride]
        return torch.from_numpy(super().forward(x, h).detach().numpy())


def tampered() -> nn.Module:
    """The weights that torch's loop uses are not the module's."""
    module = cell_of(nn.GRU)
    module._flat_weights[1] = 2.0 * module._flat_weights[1]
    module._flat_weight_refs = [lambda w=w: w for w in (getattr(module, n) for n in module._flat_weights_names)]
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            with_hook(cell_of(nn.GRU), lambda m, i, out: (out[0], 0.5 * out[1])),
            "the forward of GRU does not go step by step as its state does: it is off by 0.",
        ),
        (tampered(), "the forward of GRU does not go step by step as its state does: it is off by "),
        (cell_of(NoState), "one step of NoState cannot be computed: the forward of NoState does not return what"),
        (cell_of(OneArgument), "one step of OneArgument cannot be computed: "),
        (cell_of(Numbers), "one step of Numbers cannot be computed: "),
        (
            nn.DataParallel(with_hook(nn.DataParallel(cell_of()), print)),
            "the DataParallel around the GRUCell has hooks",
        ),
        (nn.GRU(S, N, dtype=torch.bfloat16), "the parameter weight_ih_l0 is torch.bfloat16; it must be float32 or "),
        (
            nn.GRU(S, N, device="meta"),
            "the parameter weight_ih_l0 is on the meta device; it must be float32 or float64",
        ),
    ],
    ids=["hook", "other weights", "no state", "no argument", "numbers", "wrapper", "bfloat16", "meta"],
)
def test_refuses(module, message):
    with pytest.raises(ValueError, match=re.escape(f"step_from_module: {message}")) as caught:
        floss.step_from_module(module)
    assert "\n" not in str(caught.value)


def test_layers_of_a_call_that_is_not_torch_s():
    module = with_hook(cell_of(nn.GRU, num_layers=2), lambda m, i, out: None)
    floss.step_from_module(module)
    with pytest.raises(
        ValueError, match=r"^step_from_module: layer=1, direction='forward' cannot be told apart in a GRU"
    ):
        floss.step_from_module(module, layer=1)


def test_a_quantised_module_is_not_taken():
    class LSTM(nn.Module):
        """As that of torch.ao.nn.quantized.dynamic: the name, without being one."""

    with pytest.raises(
        ValueError, match=r"^step_from_module: got a .*test_torch_forward\.LSTM; it takes torch's RNN, "
    ):
        floss.step_from_module(LSTM())


WRAPPERS = {
    "compile": torch.compile,
    "DataParallel": nn.DataParallel,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "two of them": lambda module: torch.compile(nn.DataParallel(module)),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_modules_are_unwrapped(wrapper):
    module = WRAPPERS[wrapper](cell_of())
    step, n = floss.step_from_module(module)
    assert type(step.module) is nn.GRUCell
    h, x = gaussian(8, n), gaussian(9, S)
    assert torch.equal(step(h, x), floss.step_from_module(cell_of())[0](h, x))
    with pytest.raises(
        ValueError, match=r"^lyapunov_spectrum: step is a GRUCell, which takes the input before the state"
    ):
        floss.lyapunov_spectrum(module, h, gaussian(10, 4, N))


@pytest.mark.parametrize(
    "step",
    [cell_of(), cell_of(nn.LSTM), cell_of(Halved), cell_of(Clipping), cell_of().forward, nn.DataParallel(cell_of())],
    ids=["cell", "sequence", "subclass", "subclass of GRU", "method", "wrapped"],
)
def test_a_module_is_no_map(step):
    for compute in (floss.lyapunov_spectrum, floss.one_step_jacobians, floss.lyapunov_history):
        with pytest.raises(ValueError, match=rf"^{compute.__name__}: step is a .*; floss.step_from_module") as caught:
            compute(step, torch.zeros(N, dtype=DOUBLE), gaussian(1, 4, N))
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^stroboscopic_map: vector_field is a "):
        floss.stroboscopic_map(step, 0.1)


def test_the_check_leaves_no_trace():
    """Random numbers, buffers, flags and attributes are as before; a compiled call is not compiled for it."""
    module = cell_of(nn.LSTM, num_layers=2, dropout=0.5)
    nn.utils.spectral_norm(module, "weight_hh_l0")
    parametrizations.spectral_norm(module, "weight_hh_l1")
    module._compiled_call_impl = lambda *a: pytest.fail("the compiled call is used")
    buffers = {name: (buffer, buffer.clone()) for name, buffer in module.named_buffers()}
    attributes = {name: id(value) for name, value in vars(module).items() if name != "_flat_weights"}
    used = [id(weight) for weight in module._flat_weights]
    parameters = dict(module.named_parameters())
    state = torch.get_rng_state()
    step, _ = floss.step_from_module(module)
    step.check("here")
    assert torch.equal(torch.get_rng_state(), state)
    for name, buffer in module.named_buffers():
        assert buffer is buffers[name][0]
        assert torch.equal(buffer, buffers[name][1])
    assert {name: id(value) for name, value in vars(module).items() if name != "_flat_weights"} == attributes
    assert [id(weight) for weight in module._flat_weights] == used
    assert all(p is parameters[name] for name, p in module.named_parameters())
    assert module.training
    assert torch.is_grad_enabled()
    assert torch.backends.mkldnn.enabled
    assert torch.backends.cudnn.enabled
