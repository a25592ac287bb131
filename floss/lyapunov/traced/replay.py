"""Graphs as calls that write into fixed memory, in which a view is made once and costs nothing afterwards."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.graph import Graph, Node, refs_in, substituted
from floss.lyapunov.traced.operations import RESHAPES, is_view, writing
from floss.lyapunov.traced.recording import Kind, Ref

_POINTWISE = {f"aten::{name}" for name in ("add", "sub", "mul", "div", "neg", "tanh", "sigmoid", "exp", "sin", "cos")}
_POINTWISE |= {"aten::tanh_backward", "aten::sigmoid_backward"}


class Program:
    """A graph in fixed memory.

    The inputs named in `rebound` are tensors that are given anew (`bind`); the others have memory of their own, which
    the caller fills. With `feedback` an output is written where an input lies, as far as nothing reads the input then.
    """

    def __init__(
        self,
        graph: Graph,
        rebound: Sequence[int] = (),
        feedback: Sequence[tuple[int, int]] = (),
        memory: Mapping[int, Tensor] | None = None,
    ) -> None:
        """Lay out the memory and list the calls."""
        self.graph, self.rebound = graph, frozenset(rebound)
        self.compiled: Callable[[], None] | None = None
        """The same as one call."""
        known = dict(memory or {})
        self._build(known)
        for source, target in feedback:
            self._share(known, source, target)
        if feedback:
            self._build(known)

    def _build(self, memory: dict[int, Tensor]) -> None:
        self.tensors: dict[int, Any] = {}
        self.origin: dict[int, int] = {}
        """Of which buffer each value is a view."""
        self.calls: list[tuple[Callable[..., Any], list[Any], dict[str, Any]]] = []
        self.steps: list[tuple[Node, list[Tensor], list[Any]]] = []
        """What the calls do: operation, results, and arguments."""
        self.writer: dict[int, int] = {}
        self.slots: dict[int, list[tuple[Any, Any]]] = {number: [] for number in self.rebound}
        """Where tensors that are given anew, and their views, stand among the arguments."""
        self.views: dict[int, list[Node]] = {number: [] for number in self.rebound}
        self.readers: dict[int, int] = {}
        """Place of the last call that reads a buffer."""
        for number in self.graph.inputs:
            self.origin[number] = number
            if number not in self.slots:
                self.tensors[number] = memory[number] if number in memory else self._empty(number)
        for node in self.graph.nodes:
            if not (is_view(node) and self._as_view(node)):
                self._as_call(node, memory)
        self.results = [
            self._copied(number) if self.origin.get(number, number) in self.graph.inputs else self.tensors[number]
            for number in self.graph.outputs
        ]
        """The outputs, in memory of their own."""

    def _layout(self, node: Node) -> Tensor | None:
        """A tensor whose order of numbers in memory the result of an operation takes; None: that of its axes.

        Few tangent vectors lie as rows, so that loops over their numbers are long.
        """
        if len(node.outs) != 1:
            return None
        kind, name = self.graph.kinds[node.outs[0]], node.func._schema.name
        if name == "aten::mm" and 1 < kind.shape[1] < kind.shape[0]:
            return torch.empty(kind.shape[::-1], dtype=kind.dtype, device=kind.device).mT
        if name in ("aten::mm", "aten::bmm"):
            return self._as_right_factor(node, kind)
        if is_view(node) or len(kind.shape) < 2:
            return None
        read = [self.tensors[number] for number in node.reads() if number in self.tensors]
        if name in ("aten::cat", "aten::stack", "aten::slice_backward"):
            turned = all(t.ndim == len(kind.shape) == 2 and not t.is_contiguous() and t.stride(0) == 1 for t in read)
            shape = kind.shape[::-1]
            return torch.empty(shape, dtype=kind.dtype, device=kind.device).mT if turned and read else None
        alike = [t for t in read if t.shape == kind.shape and t.dtype == kind.dtype]
        strided = [t for t in alike if not t.is_contiguous() and 0 not in t.stride()]
        return strided[0] if name in _POINTWISE and strided and len(strided) == len(alike) else None

    def _as_right_factor(self, node: Node, kind: Kind) -> Tensor | None:
        """The layout of a product: that of its right factor, where its columns lie as rows."""
        right = [*node.reads()][1]
        if right not in self.tensors or self.origin[right] in self.graph.inputs[2:]:
            return None
        factor = self.tensors[right]
        axes = range(len(kind.shape))
        order = sorted(axes, key=factor.stride, reverse=True)
        if order[-1] != len(axes) - 2 or kind.shape[-1] == 1:
            return None
        shape = [kind.shape[axis] for axis in order]
        return torch.empty(shape, dtype=kind.dtype, device=kind.device).permute([order.index(axis) for axis in axes])

    def _copied(self, number: int) -> Tensor:
        """Memory for an output that lies in an input."""
        out, place = self._empty(number), len(self.calls)
        self.readers[self.origin[number]] = place
        args = self._arguments([Ref(number)])
        self.calls.append((out.copy_, args, {}))
        self.steps.append((Node(torch.ops.aten.clone.default, (Ref(number),), {}, (number,)), [out], args))
        return out

    def _empty(self, number: int) -> Tensor:
        kind = self.graph.kinds[number]
        return torch.zeros(kind.shape, dtype=kind.dtype, device=kind.device)

    def _as_view(self, node: Node) -> bool:
        """Whether the operation is a view of fixed memory."""
        (source,) = {*node.reads()} if len({*node.reads()}) == 1 else (None,)
        if source is None:
            return False
        if source in self.slots:  # its views are made when it is given
            self.views[source].append(node)
            for number in node.outs:
                self.slots[number], self.views[number], self.origin[number] = [], [], self.origin[source]
            return True
        tensor = self.tensors[source]
        try:
            if node.func._schema.name in RESHAPES:
                made: Any = tensor.view(node.args[1])
            else:
                given = substituted(node.args, lambda _: tensor)
                made = node.func(*given, **node.kwargs)
        except RuntimeError:
            return False
        made = (made,) if isinstance(made, Tensor) else tuple(made)
        if any(m.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr() for m in made):
            return False
        for number, value in zip(node.outs, made, strict=True):
            self.tensors[number], self.origin[number] = value, self.origin[source]
        return True

    def _as_call(self, node: Node, memory: dict[int, Tensor]) -> None:
        like = self._layout(node)
        outs = [
            memory[number] if number in memory else self._empty(number) if like is None else torch.zeros_like(like)
            for number in node.outs
        ]
        place = len(self.calls)
        for number in node.reads():
            self.readers[self.origin[number]] = place
        for number, out in zip(node.outs, outs, strict=True):
            self.tensors[number], self.origin[number], self.writer[number] = out, number, place
        function, kwargs = writing(node, outs)
        args = self._arguments(node.args)
        for name, value in node.kwargs.items():
            if isinstance(value, Ref) and value.index in self.slots:
                self.slots[value.index].append((kwargs, name))
            elif any(True for _ in refs_in(value)):
                kwargs[name] = self._arguments([value])[0]
            else:
                kwargs[name] = value
        self.calls.append((function, args, kwargs))
        self.steps.append((node, outs, args))

    def _arguments(self, values: Sequence[Any]) -> list[Any]:
        """Arguments as lists, into which `bind` writes."""
        out: list[Any] = []
        for value in values:
            if isinstance(value, Ref):
                if value.index in self.slots:
                    self.slots[value.index].append((out, len(out)))
                    out.append(None)
                else:
                    out.append(self.tensors[value.index])
            elif isinstance(value, list | tuple):
                out.append(self._arguments(value))
            else:
                out.append(value)
        return out

    def _share(self, memory: dict[int, Tensor], source: int, target: int) -> None:
        """Let an input lie in the memory of an output that is written after the last look at the input."""
        if source not in self.tensors or source in self.graph.inputs:
            return
        origin, value = self.origin[source], self.tensors[source]
        if origin not in self.writer or origin in memory or value.numel() != self.tensors[target].numel():
            return
        if self.writer[origin] <= self.readers.get(target, -1) or value.dtype != self.tensors[target].dtype:
            return
        base = torch.zeros_like(self.tensors[origin])
        memory[origin] = base
        memory[target] = base.as_strided(value.shape, value.stride(), value.storage_offset())

    def value(self, number: int) -> Tensor:
        """The memory of a value; one that is given anew has none."""
        return self.tensors[number]

    def bind(self, number: int, tensor: Tensor) -> None:
        """Give an input; it is copied where it has memory of its own."""
        if number not in self.slots:
            self.tensors[number].copy_(tensor)
            return
        for holder, place in self.slots[number]:
            holder[place] = tensor
        for node in self.views[number]:
            args = substituted(node.args, lambda _: tensor)
            made = tensor.reshape(args[1]) if node.func._schema.name in RESHAPES else node.func(*args, **node.kwargs)
            for out, view in zip(node.outs, (made,) if isinstance(made, Tensor) else made, strict=True):
                self.bind(out, view)

    def ports(self, numbers: Sequence[int]) -> Callable[[Sequence[Tensor]], None]:
        """A function that gives some inputs, in few operations of Python."""
        if any(number not in self.slots or self.views[number] for number in numbers):

            def bind(tensors: Sequence[Tensor]) -> None:
                for number, tensor in zip(numbers, tensors, strict=True):
                    self.bind(number, tensor)

            return bind
        places = [(i, holder, place) for i, number in enumerate(numbers) for holder, place in self.slots[number]]

        def write(tensors: Sequence[Tensor]) -> None:
            for i, holder, place in places:
                holder[place] = tensors[i]

        return write

    def feed_back(self) -> None:
        """Put the first two results where the first two inputs lie."""
        for number, result in zip(self.graph.inputs[:2], self.results[:2], strict=True):
            if self.tensors[number].data_ptr() != result.data_ptr():
                self.tensors[number].copy_(result)

    def run(self) -> None:
        """All calls, in their order."""
        if self.compiled is not None:
            self.compiled()
            return
        for function, args, kwargs in self.calls:
            function(*args, **kwargs)
