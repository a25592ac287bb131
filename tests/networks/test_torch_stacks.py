"""Stacks of torch's recurrent layers: their joint state, one layer alone, one direction."""

from typing import Any

import numpy as np
import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn
from twins import exponents_twin

import floss

S, N, B = 3, 4, 2
KINDS: dict[str, tuple[type[nn.RNNBase], dict[str, Any]]] = {
    "RNN tanh": (nn.RNN, {}),
    "RNN relu": (nn.RNN, {"nonlinearity": "relu"}),
    "GRU": (nn.GRU, {}),
    "LSTM": (nn.LSTM, {}),
    "LSTM proj_size": (nn.LSTM, {"proj_size": 2}),
}
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-13}


def stack(kind: str, layers: int = 2, **options: Any) -> nn.RNNBase:
    make: Any
    make, own = KINDS[kind]
    module = make(S, N, num_layers=layers, dtype=DOUBLE, **own, **options)
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(0.5 * gaussian(60 + i, *p.shape))
    return module


def forward(module: nn.RNNBase, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The joint state after the inputs x [T, B, S], by the module's own forward, one layer after the other."""
    places = module.num_layers * (1 + module.bidirectional)
    states = torch.stack(h.chunk(places, -1))
    x = x.transpose(0, 1) if module.batch_first else x
    if isinstance(module, nn.LSTM):
        split = states.split((module.proj_size or N, N), -1)
        states = torch.cat(module(x, tuple(part.contiguous() for part in split))[1], -1)
    else:
        states = module(x, states)[1]
    return torch.cat(tuple(states), -1)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_joint_state(kind, layers, options):
    """Over three steps that of one call with three inputs; D is that of reverse-mode differentiation."""
    module = stack(kind, layers, **options)
    step, n = floss.step_from_module(module)
    h0, x = gaussian(1, B, n), gaussian(2, 3, B, S)
    h = h0
    for u in x:
        h = step(h, u)
    torch.testing.assert_close(h, forward(module, h0, x), **CLOSE)
    after, D = step.advance(h0, torch.eye(n, dtype=DOUBLE).expand(B, n, n), x[0])
    assert torch.equal(after, step(h0, x[0]))
    wanted = torch.autograd.functional.jacobian(lambda h: forward(module, h, x[:1]), h0)
    for b in range(B):
        torch.testing.assert_close(D[b], wanted[b, :, b], **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_exponents_of_a_stack_and_their_gradient(kind):
    module = stack(kind)
    step, n = floss.step_from_module(module)
    k = 1 if "relu" in kind else 3
    h0, x, q0 = gaussian(3, n).abs(), gaussian(4, 9, S).abs(), floss.qr(gaussian(5, n, k))[0]
    lam = floss.lyapunov_spectrum(step, h0, x, q0=q0)
    slow = exponents_twin(lambda h, u: forward(module, h[None], u[None, None])[0], h0, x, q0)
    slow = slow.sort(descending=True).values
    torch.testing.assert_close(lam, slow, rtol=1e-10, atol=1e-12)
    parameters = list(module.parameters())
    for ours, twin in zip(
        *(torch.autograd.grad(e.sum(), parameters, materialize_grads=True) for e in (lam, slow)), strict=True
    ):
        torch.testing.assert_close(ours, twin, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_and_direction(kind, bidirectional):
    """Driven by what the layer below puts out: for one step, both directions of it."""
    module = stack(kind, bidirectional=bidirectional)
    names = ["forward", "reverse"][: 1 + bidirectional]
    places = [(layer, name) for layer in (0, 1) for name in names]
    steps = {place: floss.step_from_module(module, layer=place[0], direction=place[1]) for place in places}  # pyright: ignore[reportArgumentType]
    n = steps[places[0]][1]
    h, x = gaussian(6, B, n * len(places)), gaussian(7, B, S)
    wanted = dict(zip(places, forward(module, h, x[None]).chunk(len(places), -1), strict=True))
    outputs = module.proj_size or N
    for place, state in zip(places, h.chunk(len(places), -1), strict=True):
        u = torch.cat([wanted[0, name][:, :outputs] for name in names], -1) if place[0] else x
        step = steps[place][0]
        assert step.input_size == u.shape[-1]
        torch.testing.assert_close(step(state, u), wanted[place], **CLOSE)


def test_the_reverse_direction_over_a_run():
    """It reads the inputs from their end."""
    module = stack("GRU", 1, bidirectional=True)
    step, n = floss.step_from_module(module, direction="reverse")
    h, x = torch.zeros(1, n, dtype=DOUBLE), gaussian(8, 5, 1, S)
    for u in x.flip(0):
        h = step(h, u)
    torch.testing.assert_close(h, module(x)[1][1], **CLOSE)
    assert not torch.allclose(floss.step_from_module(module)[0](h, x[0]), step(h, x[0]))


def test_dropout_between_layers():
    """Off in evaluation; in training one mask for the state and all tangents, of the module's own probability."""
    module = stack("LSTM", 2, dropout=0.5)
    step, n = floss.step_from_module(module)
    h, x, q = gaussian(9, n), gaussian(10, S), torch.eye(2 * 2 * N, dtype=DOUBLE)
    module.eval()
    torch.testing.assert_close(step(h, x), forward(module, h[None], x[None, None])[0], **CLOSE)
    module.train()
    for seed in range(3):
        torch.manual_seed(seed)
        wanted = forward(module, h[None], x[None, None])[0]
        torch.manual_seed(seed)
        torch.testing.assert_close(step(h, x), wanted, **CLOSE)

        def drawn(h, seed=seed):
            torch.manual_seed(seed)
            return step(h, x)

        torch.manual_seed(seed)
        _, D = step.advance(h, q, x)
        torch.testing.assert_close(D, torch.autograd.functional.jacobian(drawn, h), **CLOSE)
    lowest = torch.stack([step(h, x)[: 2 * N] for _ in range(5)])
    assert torch.equal(lowest, lowest[:1].expand_as(lowest))
    assert len({float(step(h, x)[-1].detach()) for _ in range(20)}) > 1


def test_shared_weights_of_two_layers():
    module = nn.GRU(N, N, num_layers=2, dtype=DOUBLE)
    module.weight_hh_l1, module.bias_hh_l1 = module.weight_hh_l0, module.bias_hh_l0
    step, n = floss.step_from_module(module)
    h, x = gaussian(11, 1, n), gaussian(12, 1, 1, N)
    torch.testing.assert_close(step(h, x[0]), forward(module, h, x), **CLOSE)


def test_a_layer_may_be_one_of_numpys_numbers():
    module = stack("GRU")
    for layer in (0, 1):
        ours, n = floss.step_from_module(module, layer=layer)
        theirs, m = floss.step_from_module(module, layer=np.int64(layer))  # pyright: ignore[reportArgumentType]
        assert (ours, n) == (theirs, m)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"layer": 2}, "layer=2 must be None or from 0 to 1"),
        ({}, {"layer": -1}, "layer=-1 must be None or from 0 to 1"),
        ({}, {"layer": True}, "layer=True must be a whole number, None or from 0 to 1"),
        ({}, {"layer": 1.0}, r"layer=1\.0 must be a whole number, None or from 0 to 1"),
        ({}, {"layer": "top"}, "layer='top' must be a whole number, None or from 0 to 1"),
        ({}, {"direction": "backward"}, "direction='backward' must be one of 'forward', 'reverse'"),
        ({}, {"direction": "reverse"}, "direction='reverse' needs a module with bidirectional=True"),
        ({"bidirectional": True}, {}, "layer=None must be from 0 to 1 for bidirectional=True; layers whose inputs .*"),
    ],
    ids=str,
)
def test_refuses(options, arguments, message):
    with pytest.raises(ValueError, match=f"^step_from_module: {message}$"):
        floss.step_from_module(stack("GRU", **options), **arguments)
