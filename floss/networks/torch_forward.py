"""The forward of torch's recurrent modules: whether a module still has it, and one step of whatever it has instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

KINDS = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
_FORWARDS = frozenset(kind.forward for kind in KINDS)
_WEIGHT_HOOKS = (BasePruningMethod, SpectralNorm, WeightNorm)
"""Hooks of torch that compute a weight before every call, and do nothing else."""


class Watching:
    """Base of hooks that look at what goes into a module and change nothing: the module keeps its forward."""

    asleep: ClassVar[bool] = False
    """Whether the module is called for its map, and not by its user: then there is nothing to be looked at."""


def hooked(module: nn.Module) -> bool:
    """Whether anything may change what goes into a module or comes out of it."""
    return bool(
        module._forward_hooks
        or every_module._global_forward_hooks
        or every_module._global_forward_pre_hooks
        or not all(isinstance(hook, (*_WEIGHT_HOOKS, Watching)) for hook in module._forward_pre_hooks.values())
    )


def keeps_forward(module: nn.Module) -> bool:
    """Whether a call of a module does what torch's class does with the weights, and nothing else."""
    kind = type(module)
    return (
        kind.forward in _FORWARDS
        and "forward" not in module.__dict__
        and kind.__call__ is nn.Module.__call__
        and not hooked(module)
    )


def compute_weights(module: nn.Module) -> None:
    """Compute the weights that hooks compute before every call."""
    for hook in module._forward_pre_hooks.values():
        if not isinstance(hook, Watching):
            hook(module, ())


def parts_of(module: nn.Module) -> list[int]:
    """Sizes of the parts of the state of one layer and direction: h, and c of an LSTM."""
    n = int(module.hidden_size)  # pyright: ignore[reportArgumentType]
    outputs = int(getattr(module, "proj_size", 0)) or n
    return [outputs, n] if isinstance(module, nn.LSTM | nn.LSTMCell) else [n]


def run(module: nn.Module, states: Tensor, x: Tensor) -> Tensor:
    """The states of all layers after T steps, by the module's own forward.

    Args:
        module: a recurrent module of torch, of whatever class.
        states: [L, B, s] for L layers and directions with a state of s numbers each.
        x: inputs [T, B, S].

    Returns:
        [L, B, s].

    Raises:
        ValueError: what the forward returns is not what torch's returns.
    """
    call = module._call_impl if type(module).__call__ is nn.Module.__call__ else module  # not what module.compile() put
    parts = [part.contiguous() for part in states.split(parts_of(module), -1)]
    with _loops_of_torch(), unwatched():
        if isinstance(module, nn.RNNCellBase):
            state = _joined([part[0] for part in parts])
            for u in x:
                state = call(u, state)
            after = [part[None] for part in _parts(state)]
        else:
            inputs = x.transpose(0, 1) if module.batch_first else x
            result = call(inputs, _joined(parts))
            after = _parts(result[1]) if isinstance(result, tuple) and len(result) == 2 else []
    sizes = [[*states.shape[:2], size] for size in parts_of(module)]
    if [list(part.shape) if isinstance(part, Tensor) else None for part in after] != sizes:
        raise ValueError(f"the forward of {type(module).__name__} does not return what torch's class returns")
    return torch.cat(after, -1)


@contextmanager
def unwatched() -> Iterator[None]:
    """Within it hooks that only look do not: a module is called for what it computes, and not by its user."""
    before = Watching.asleep
    try:
        Watching.asleep = True
        yield
    finally:
        Watching.asleep = before


@contextmanager
def _loops_of_torch() -> Iterator[None]:
    """Without the loops of cuDNN and oneDNN, which have no forward-mode derivative and may round to fewer digits."""
    libraries: tuple[Any, Any] = torch.backends.cudnn, torch.backends.mkldnn
    before = [library.enabled for library in libraries]
    try:
        for library in libraries:
            library.enabled = False
        yield
    finally:
        for library, enabled in zip(libraries, before, strict=True):
            library.enabled = enabled


def _joined(parts: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return tuple(parts) if len(parts) > 1 else parts[0]


def _parts(state: Any) -> list[Any]:
    return list(state) if isinstance(state, tuple | list) else [state]


def own_step(module: nn.Module, h: Tensor, x: Tensor | None) -> Tensor:
    """The next state [..., n] by one call of the module, from a state [..., n] of all layers and an input [..., S]."""
    rows = h.reshape(-1, h.shape[-1])
    x = h.new_zeros(module.input_size) if x is None else x  # pyright: ignore[reportArgumentType, reportCallIssue]
    inputs = x.expand(*h.shape[:-1], x.shape[-1]).reshape(1, len(rows), -1)
    states = rows.reshape(len(rows), -1, sum(parts_of(module))).transpose(0, 1)
    return run(module, states, inputs).transpose(0, 1).reshape(h.shape)


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Within it the module may be called, without a trace: buffers, attributes and random numbers are as before.

    In evaluation mode, without gradients and reduced precision, so that two calls can be compared.
    """
    parts = list(module.modules())
    attributes = [dict(part.__dict__) for part in parts]
    buffers = [dict(part._buffers) for part in parts]
    weights = list(module._flat_weights) if isinstance(module, nn.RNNBase) else None
    tensors = [*module.parameters(), *module.buffers()]
    cuda = {tensor.device for tensor in tensors if tensor.is_cuda}
    try:
        for part in parts:
            for name, buffer in part._buffers.items():
                part._buffers[name] = None if buffer is None else buffer.detach().clone()
            part.__dict__["training"] = False
        with torch.random.fork_rng(list(cuda)), torch.no_grad(), _full_precision(tensors[0].device.type):
            yield
    finally:
        for part, values, kept in zip(parts, attributes, buffers, strict=True):
            part.__dict__.clear()
            part.__dict__.update(values)
            part._buffers.update(kept)
        if weights is not None:
            module.__dict__["_flat_weights"] = weights


def _full_precision(device: str) -> torch.autocast:
    return torch.autocast(device, enabled=False)
