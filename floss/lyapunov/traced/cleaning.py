"""A recording made a graph, cleaned of what forward-mode differentiation leaves behind.

Nothing is written into any more: a value that was written into is a new value. Copies and aliases are the values
themselves, products with the zeros that stand for absent tangents are zeros, what is computed twice is computed once,
and what nobody reads is not computed.
"""

from typing import Any, NamedTuple

import torch

from floss.lyapunov.traced.graph import Graph, Node, refs_in, substituted
from floss.lyapunov.traced.recording import Call, Kind, Recording, Ref, RefusedError
from floss.lyapunov.traced.writes import is_view_call, lies_as_its_axes_go, overlap, put, same_place

aten = torch.ops.aten


class Number(NamedTuple):
    """A value that is a number of Python, as it stands in an operation."""

    value: Any


class Zeros(NamedTuple):
    """A tensor of zeros."""

    kind: Kind


Value = Ref | Number | Zeros


def _renumbered(graph: Graph) -> Graph:
    """The same with numbers in the order in which values come up."""
    new = Graph()
    by: dict[int, int] = {}

    def number(old: int) -> int:
        if old not in by:
            by[old] = new.add(graph.kinds[old])
        return by[old]

    new.inputs, new.externals = tuple(map(number, graph.inputs)), tuple(map(number, graph.externals))
    for node in graph.nodes:
        args = substituted(node.args, lambda ref: Ref(number(ref.index)))
        kwargs = {name: substituted(value, lambda ref: Ref(number(ref.index))) for name, value in node.kwargs.items()}
        new.nodes.append(Node(node.func, args, kwargs, tuple(map(number, node.outs))))
    new.outputs = tuple(map(number, graph.outputs))
    return new


def clean(recording: Recording) -> Graph:
    """The graph of a recording.

    Raises:
        RefusedError: it writes into a part of a tensor of which it reads the rest.
    """
    return _Cleaner(recording).graph()


_SAME = {"alias", "detach", "clone", "lift_fresh", "lift_fresh_copy", "contiguous", "_to_copy", "positive"}
_EMPTY = {"zeros", "zeros_like", "new_zeros", "_efficientzerotensor", "_new_zeros_with_same_feature_meta"}
_EMPTY |= {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}  # nobody reads what is in these
_SHAPES = {"expand", "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "select"}
_SHAPES |= {"slice", "unbind", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "diagonal"}
_SHAPED = {"squeeze_", "unsqueeze_", "t_", "transpose_"}
"""Operations that change the shape of a tensor, and none of its numbers."""
_LINEAR = _SHAPES | {"neg", "sum", "mean", "cumsum", "flip", "roll", "_to_copy", "tril", "triu", "real", "imag"}
_BILINEAR = {"mm", "mv", "bmm", "mul", "dot", "matmul", "tanh_backward", "sigmoid_backward", "threshold_backward"}
_BILINEAR |= {"div"}


class _Cleaner:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.out = Graph()
        self.value: dict[int, Value] = {}
        self.known: dict[Any, tuple[int, ...]] = {}
        self.view_of: dict[int, Call] = {}
        """The operations that made views."""
        for number in (*range(recording.inputs), *recording.externals):
            self.value[number] = Ref(self.out.add(recording.kinds[number]))
        first = recording.inputs
        self.out.inputs = tuple(range(first))
        self.out.externals = tuple(range(first, first + len(recording.externals)))
        self.uses = self._last_uses()

    def graph(self) -> Graph:
        for place, call in enumerate(self.recording.calls):
            if call.func._schema.is_mutable:
                self._write(place, call)
            else:
                self._add(call, call.func)
                if is_view_call(call) and isinstance(call.args[0], Ref):
                    self.view_of.update(dict.fromkeys(call.outs, call))
        self.out.outputs = tuple(self._materialized(self.value[number]) for number in self.recording.outputs)
        return _renumbered(self.out.without_unread())

    def _last_uses(self) -> dict[int, int]:
        last = dict.fromkeys(self.recording.outputs, len(self.recording.calls))
        for place, call in reversed(list(enumerate(self.recording.calls))):
            for number in refs_in((call.args, tuple(call.kwargs.values()))):
                last.setdefault(number, place)
        return last

    def _add(self, call: Call, func: Any) -> None:
        """Define the values of a call that writes into nothing."""
        outs, kinds = call.outs, list(call.kinds)
        if func._schema.name == "aten::as_strided":
            self.value[outs[0]] = self._node(func, (self._as_its_axes_go(call), *call.args[1:]), kinds[0])
            return
        args = substituted(call.args, lambda ref: self.value[ref.index])
        kwargs = {name: substituted(value, lambda ref: self.value[ref.index]) for name, value in call.kwargs.items()}
        found = self._simpler(func, args, kwargs, kinds)
        if found is not None:
            self.value.update(zip(outs, found, strict=True))
            return
        args = self._plain(args)
        kwargs = {name: self._plain(value) for name, value in kwargs.items()}
        if func._schema.name in ("aten::_unsafe_view", "aten::reshape"):  # which of them depends on memory alone
            func = aten.view.default
        key = (func, repr(args), repr(kwargs))
        if key not in self.known:
            self.known[key] = tuple(self.out.add(kind) for kind in kinds)
            self.out.nodes.append(Node(func, args, kwargs, self.known[key]))
        self.value.update({out: Ref(new) for out, new in zip(outs, self.known[key], strict=True)})

    def _as_its_axes_go(self, call: Call) -> Ref:
        """What as_strided is a part of, with numbers that lie in memory as they did when it was recorded."""
        source = call.args[0].index
        if not lies_as_its_axes_go(self.recording.tensors[source], call):
            raise RefusedError("uses as_strided, which depends on how numbers lie in memory")
        value, kind = Ref(self._materialized(self.value[source])), self.recording.kinds[source]
        return self._node(aten.clone.default, (value,), kind, memory_format=torch.contiguous_format)

    def _simpler(self, func: Any, args: Any, kwargs: Any, kinds: list[Kind]) -> list[Value] | None:
        """The values of an operation that need none; None where it has to be done."""
        name, first = func._schema.name.removeprefix("aten::"), args[0] if args else None
        if name in _EMPTY:
            return [Zeros(kinds[0])]
        if name == "_to_copy" and isinstance(first, Number | int | float) and kinds[0].shape == ():
            number = first.value if isinstance(first, Number) else first
            return [Number(float(number))] if kinds[0].dtype.is_floating_point else None
        if isinstance(first, Zeros) and name in _LINEAR:
            return [Zeros(kind) for kind in kinds]
        if name in _BILINEAR and (isinstance(first, Zeros) or (name != "div" and isinstance(args[1], Zeros))):
            return [Zeros(kinds[0])]
        if name in _SAME or name in _SHAPES:
            if len(kinds) == 1 and isinstance(first, Ref) and self._kind(first) == kinds[0] and self._keeps(name, args):
                return [first]
            if len(kinds) == 1 and isinstance(first, Zeros):
                return [Zeros(kinds[0])]
        if name in ("add", "sub") and any(isinstance(a, Zeros) for a in args[:2]):
            return self._sum(name, args, kwargs, kinds[0])
        return None

    def _sum(self, name: str, args: Any, kwargs: Any, kind: Kind) -> list[Value] | None:
        a, b = args[:2]
        if isinstance(b, Zeros):
            return [a] if self._is(a, kind) else None
        if name == "add" and kwargs.get("alpha", 1) == 1:
            return [b] if self._is(b, kind) else None
        return None

    def _is(self, value: Any, kind: Kind) -> bool:
        return (isinstance(value, Ref) and self._kind(value) == kind) or (
            isinstance(value, Zeros) and value.kind == kind
        )

    def _keeps(self, name: str, args: Any) -> bool:
        """Whether an operation on shapes that keeps the shape keeps the order of the numbers."""
        if name in ("permute",):
            return list(args[1]) == list(range(len(args[1])))
        return name not in ("transpose", "t")

    def _kind(self, ref: Ref) -> Kind:
        return self.out.kinds[ref.index]

    def _plain(self, value: Any) -> Any:
        """Arguments of values alone, with zeros where they must be real."""
        if isinstance(value, Zeros):
            return Ref(self._materialized(value))
        if isinstance(value, Number):
            return value.value
        if isinstance(value, list | tuple) and not isinstance(value, Ref):
            return type(value)(self._plain(part) for part in value)
        return value

    def _materialized(self, value: Any) -> int:
        if isinstance(value, Ref):
            return value.index
        kind = value.kind if isinstance(value, Zeros) else Kind((), torch.get_default_dtype(), torch.device("cpu"))
        fill = 0 if isinstance(value, Zeros) else value.value
        key = ("full", kind, fill)
        if key not in self.known:
            self.known[key] = (self.out.add(kind),)
            options = {"dtype": kind.dtype, "device": kind.device}
            self.out.nodes.append(Node(aten.full.default, (list(kind.shape), fill), options, self.known[key]))
        return self.known[key][0]

    # --- what is written into ---------------------------------------------------------------------------------

    def _write(self, place: int, call: Call) -> None:
        schema = call.func._schema
        name, target = schema.name.removeprefix("aten::"), call.args[0]
        first = schema.arguments[0].alias_info
        if not (isinstance(target, Ref) and first is not None and first.is_write) or not name.endswith("_"):
            raise RefusedError(f"uses {name}, which writes into its arguments")
        kind = call.kinds[0] if call.kinds else self.recording.kinds[target.index]
        if name == "copy_":
            self.value[target.index] = self._copied(call.args[1], kind)
        elif name == "zero_":
            self.value[target.index] = Zeros(kind)
        else:
            packet = getattr(aten, name[:-1], None)
            func = getattr(packet, call.func._overloadname, None)
            if func is None:
                raise RefusedError(f"uses {name}, which writes into its arguments")
            self._add(call, func)
        if name not in _SHAPED:
            self._spread(place, target.index)

    def _copied(self, source: Any, kind: Kind) -> Value:
        value = self.value[source.index] if isinstance(source, Ref) else Number(source)
        if isinstance(value, Zeros):
            return Zeros(kind)
        if not isinstance(value, Ref):
            raise RefusedError("fills a tensor with a number")
        old = self._kind(value)
        if old.dtype != kind.dtype or old.device != kind.device:
            raise RefusedError("copies numbers from one kind of tensor to another")
        if old.shape == kind.shape:
            return value
        key = ("expand", value, kind.shape)
        if key not in self.known:
            self.known[key] = (self.out.add(kind),)
            self.out.nodes.append(Node(aten.expand.default, (value, list(kind.shape)), {}, self.known[key]))
        return Ref(self.known[key][0])

    def _spread(self, place: int, target: int) -> None:
        """The other values in the same memory: what a view is a part of, and the views of that."""
        fresh = {target}
        source = target
        while source in self.view_of:
            call = self.view_of[source]
            part, source = source, call.args[0].index
            if source < self.recording.inputs or source in self.recording.externals:
                raise RefusedError("writes into a tensor that it keeps")
            self.value[source] = self._put(call, part, source)
            fresh.add(source)
        tensor = self.recording.tensors[target]
        for other, value in enumerate(self.recording.tensors):
            if other in fresh or other not in self.value or self.uses.get(other, -1) <= place:
                continue
            if not overlap(tensor, value):
                continue
            if same_place(tensor, value):
                self.value[other] = self.value[target]
            elif not self._looked_at_anew(other, fresh):
                raise RefusedError("writes into a part of a tensor, and reads the rest of it")

    def _put(self, call: Call, part: int, source: int) -> Value:
        """The source of a view with the present value of the view in it."""
        whole, new, kind = self.value[source], self.value[part], self.recording.kinds[source]
        if isinstance(whole, Zeros) and isinstance(new, Zeros):
            return whole
        strided = call.func._schema.name == "aten::as_strided"
        before = self._as_its_axes_go(call) if strided else Ref(self._materialized(whole))
        found = put(call, part, before, kind, Ref(self._materialized(new)))
        return new if found is None else self._node(found[0], found[1], kind)

    def _node(self, func: Any, args: tuple[Any, ...], kind: Kind, **kwargs: Any) -> Ref:
        key = (func, repr(args), repr(kwargs))
        if key not in self.known:
            self.known[key] = (self.out.add(kind),)
            self.out.nodes.append(Node(func, args, kwargs, self.known[key]))
        return Ref(self.known[key][0])

    def _looked_at_anew(self, view: int, fresh: set[int]) -> bool:
        """Make a view again, of what has been made again; False where it is no view of that."""
        if view in fresh:
            return True
        call = self.view_of.get(view)
        if call is None or not self._looked_at_anew(call.args[0].index, fresh):
            return False
        self._add(call, call.func)
        fresh.update(call.outs)
        return True
