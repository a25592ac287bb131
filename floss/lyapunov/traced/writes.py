"""What a write changes beside the tensor that is written into: tensors in the same memory, of which it is a part.

Nothing is written into in a graph. A value that is put into a part of a tensor makes a new tensor, by the inverse of
the view that the part is: of a slice it is `slice_scatter`, of a transposed matrix the transposed one.
"""

from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.recording import Call, Kind, RefusedError

aten = torch.ops.aten


def is_view_call(call: Call) -> bool:
    """Whether an operation gives tensors in the memory of its first argument, and writes nothing."""
    returns = call.func._schema.returns
    aliases = bool(returns) and all(r.alias_info is not None for r in returns)
    return aliases and not call.func._schema.is_mutable


def put(call: Call, out: int, source: Any, kind: Kind, part: Any) -> tuple[Any, tuple[Any, ...]] | None:
    """An operation that gives the source of a view with other numbers in the part that the view shows.

    Args:
        call: the view.
        out: number of the part among its results.
        source: the value before, of this kind.
        kind: of the source.
        part: the new value of the part.

    Returns:
        An operation and its arguments; None where the part itself is the source.

    Raises:
        RefusedError: there is no such operation.
    """
    name, rest = call.func._schema.name.removeprefix("aten::"), call.args[1:]
    place = call.outs.index(out)
    if name in ("alias", "detach", "lift_fresh"):
        return None
    if name in ("slice", "select", "diagonal"):
        scatter = {
            "slice": aten.slice_scatter.default,
            "select": aten.select_scatter.default,
            "diagonal": aten.diagonal_scatter.default,
        }
        return scatter[name], (source, part, *rest)
    if name == "as_strided":
        return aten.as_strided_scatter.default, (source, part, *rest)
    if name == "unbind":
        return aten.select_scatter.default, (source, part, *(rest or (0,)), place)
    if name in ("split", "split_with_sizes"):
        axis = rest[1] if len(rest) > 1 else 0
        sizes = [k.shape[axis] for k in call.kinds]
        start = sum(sizes[:place])
        return aten.slice_scatter.default, (source, part, axis, start, start + sizes[place])
    if name in ("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias"):
        return aten.view.default, (part, list(kind.shape))
    if name == "permute":
        order = [axis % len(rest[0]) for axis in rest[0]]
        return aten.permute.default, (part, [order.index(axis) for axis in range(len(order))])
    if name in ("t", "transpose"):
        return call.func, (part, *rest)
    if name == "view_as_real":
        return aten.view_as_complex.default, (part,)
    if name == "view_as_complex":
        return aten.view_as_real.default, (part,)
    raise RefusedError(f"writes into a part of a tensor that {name} made, and reads the rest of it")


def lies_as_its_axes_go(source: Tensor, call: Call) -> bool:
    """Whether as_strided gives a part of a tensor whose numbers lie in memory as its axes go, from the beginning."""
    sizes, strides = call.args[1:3]
    offset = call.args[3] if len(call.args) > 3 else None
    last = (offset or 0) + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    return source.is_contiguous() and source.storage_offset() == 0 and last < source.numel()


def same_place(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors in one memory are the same numbers."""
    return _place(a) == _place(b)


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors share any number."""
    start = _memory(a)
    if start is None or start != _memory(b):
        return False
    if a.dtype != b.dtype:
        return True
    low, high = zip(_span(a), _span(b), strict=True)
    if max(low) > min(high):
        return False
    marks = torch.zeros(max(high) + 1, dtype=torch.bool)
    marks.as_strided(a.shape, a.stride(), a.storage_offset()).fill_(True)
    return bool(marks.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def _memory(t: Tensor) -> int | None:
    """Where the memory of a tensor begins; None where it has none."""
    if t.device.type == "meta" or t._is_zerotensor() or t.numel() == 0:
        return None
    return t.untyped_storage().data_ptr()


def _span(t: Tensor) -> tuple[int, int]:
    last = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
    return int(t.storage_offset()), int(t.storage_offset() + last)
