"""The operations of a graph, done: as calls of torch that make new tensors, or that write into memory that is there."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.graph import Graph, Node, substituted

_FAST: dict[str, Callable[..., Any]] = {
    f"aten::{name}": getattr(torch, name)
    for name in (
        *("add", "sub", "mul", "div", "tanh", "sigmoid", "exp", "log", "sin", "cos", "neg", "sqrt", "rsqrt", "abs"),
        *("mm", "mv", "bmm", "addmm", "baddbmm", "reciprocal", "stack", "cat", "clamp", "where", "square"),
    )
}
"""Functions of Python with the same arguments, whose calls cost less than those of `torch.ops`."""
_ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-11}
"""What replayed numbers may be off by, relative to the largest."""
RESHAPES = {"aten::view", "aten::_unsafe_view", "aten::reshape"}


def evaluate(graph: Graph, values: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a graph for its inputs, by operations that autograd and `torch.func` follow."""
    known: dict[int, Any] = dict(zip(graph.inputs, values, strict=True))
    for node in graph.nodes:
        args = substituted(node.args, lambda ref: known[ref.index])
        kwargs = {name: substituted(value, lambda ref: known[ref.index]) for name, value in node.kwargs.items()}
        result = args[0].reshape(args[1]) if node.func._schema.name in RESHAPES else node.func(*args, **kwargs)
        if len(node.outs) == 1 and isinstance(result, Tensor):
            known[node.outs[0]] = result
        else:
            known.update(zip(node.outs, result, strict=True))
    return [known[number] for number in graph.outputs]


def is_view(node: Node) -> bool:
    """Whether an operation gives parts of the memory of its argument in another shape."""
    returns = node.func._schema.returns
    name = node.func._schema.name
    return (
        name in RESHAPES
        or name.startswith("aten::unsafe_split")
        or bool(returns and all(r.alias_info is not None for r in returns))
    )


def alike(found: Tensor, wanted: Tensor) -> bool:
    """Whether numbers are the same but for rounding; what is not finite is left to whoever looks for it."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    if not (wanted.is_floating_point() or wanted.is_complex()):  # masks and places
        return torch.equal(found, wanted)
    size = wanted.abs().max()
    if not torch.isfinite(size):
        return True
    real = size.dtype
    return bool((found - wanted).abs().max() <= _ROUNDING[real] * size.clamp(min=torch.finfo(real).tiny))


def writing(node: Node, outs: list[Tensor]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function that writes the results of an operation into memory, and its arguments by name."""
    if len(outs) == 1 and node.func._schema.name in _FAST:
        return _FAST[node.func._schema.name], {"out": outs[0]}
    if node.func._schema.name == "aten::rsub" and not node.kwargs and len(node.args) == 2:
        return _reversed_difference(outs[0]), {}
    names = _out_names(node.func)
    if names is not None and len(names[1]) == len(outs):
        return names[0], dict(zip(names[1], outs, strict=True))
    func = node.func
    if is_view(node):  # of a tensor whose memory is not known beforehand, or by a copy
        reshapes = func._schema.name in RESHAPES

        def viewed(*args: Any, **kwargs: Any) -> None:
            made = args[0].reshape(args[1]) if reshapes else func(*args, **kwargs)
            for out, value in zip(outs, (made,) if isinstance(made, Tensor) else made, strict=True):
                out.copy_(value)

        return viewed, {}

    def copied(*args: Any, **kwargs: Any) -> None:
        made = func(*args, **kwargs)
        for out, value in zip(outs, (made,) if isinstance(made, Tensor) else made, strict=True):
            out.copy_(value)

    return copied, {}


def _reversed_difference(out: Tensor) -> Callable[..., Any]:
    """B - a, which torch itself computes in several calls."""
    numbers: dict[Any, Tensor] = {}

    def subtract(a: Tensor, b: Any) -> None:
        if not isinstance(b, Tensor):
            if b not in numbers:
                numbers[b] = torch.tensor(b, dtype=out.dtype)
            b = numbers[b]
        torch.sub(b, a, out=out)

    return subtract


def _out_names(func: Any) -> tuple[Any, list[str]] | None:
    """The overload that writes into given tensors, and their names; None where there is none."""
    packet, own = func.overloadpacket, [(a.name, str(a.type)) for a in func._schema.arguments]
    for name in packet.overloads():
        other = getattr(packet, name)
        outs = [a.name for a in other._schema.arguments if a.is_out]
        rest = [(a.name, str(a.type)) for a in other._schema.arguments if not a.is_out]
        if outs and rest == own:
            return other._op, outs
    return None
