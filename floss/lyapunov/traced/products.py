"""Products with a factor that is the same for all tangent vectors, as one product for all of them.

A step that stacks B networks with weights [B, m, n] is recorded, below `vmap`, as B k small products: its weights are
expanded to all k tangent vectors, [k B, m, n], and each of these has a product of its own. Here the k tangent vectors
are the columns of one matrix for each network, or its rows.
"""

import math

import torch

from floss.lyapunov.traced.graph import Graph, Node, substituted
from floss.lyapunov.traced.recording import Kind, Ref

aten = torch.ops.aten


def joined(graph: Graph) -> Graph:
    """The same with few large products instead of many small ones."""
    return _Joining(graph).graph().without_unread()


class _Joining:
    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.kinds = [*graph.kinds]
        self.nodes: list[Node] = []
        self.maker: dict[int, Node] = {}
        self.same: dict[int, int] = {}
        """Values that are others, by another name."""

    def graph(self) -> Graph:
        changed = False
        for node in self.old.nodes:
            if node.func is aten.bmm.default:
                changed |= self._product(node)
            else:
                self._add(node)
        if not changed:
            return self.old
        self._shorten()
        return Graph(self.kinds, self.old.inputs, self.old.externals, self.nodes, self.old.outputs)

    def _add(self, node: Node) -> None:
        self.nodes.append(node)
        self.maker.update(dict.fromkeys(node.outs, node))

    def _shape(self, value: int) -> tuple[int, ...]:
        return tuple(self.kinds[value].shape)

    def _made(self, func: object, value: int, argument: list[int], shape: list[int]) -> int:
        """A value in another shape."""
        kind = self.kinds[value]
        self.kinds.append(Kind(tuple(shape), kind.dtype, kind.device))
        self._add(Node(func, (Ref(value), argument), {}, (len(self.kinds) - 1,)))
        return len(self.kinds) - 1

    def _view(self, value: int, *shape: int) -> int:
        return self._made(aten.view.default, value, [*shape], [*shape])

    def _permuted(self, value: int, *order: int) -> int:
        return self._made(aten.permute.default, value, [*order], [self._shape(value)[axis] for axis in order])

    def _expanded(self, value: int) -> tuple[int, int] | None:
        """What a factor repeats, and how often; None where it is another one."""
        view = self.maker.get(value)
        if view is None or view.func is not aten.view.default:
            return None
        expand = self.maker.get(next(view.reads()))
        if expand is None or expand.func is not aten.expand.default:
            return None
        (source,), wide = [*expand.reads()], list(expand.args[1])
        shape = self._shape(source)
        if len(shape) < 2 or wide[1:] != [*shape] or self._shape(value)[1:] != shape[-2:]:
            return None
        return source, wide[0]

    def _product(self, node: Node) -> bool:
        """Add a product, as one of larger matrices where a factor repeats itself."""
        left, right = node.reads()
        for value, other in ((left, right), (right, left)):
            repeated = self._expanded(value)
            if repeated is not None and self._expanded(other) is None:
                self._together(node, *repeated, other, columns=value == left)
                return True
        self._add(node)
        return False

    def _together(self, node: Node, factor: int, k: int, other: int, *, columns: bool) -> None:
        """The product of a factor that all k tangent vectors have, with what are columns for it, or rows."""
        *batch, rows, inner = self._shape(factor)
        B = math.prod(batch)
        whole = self._view(factor, B, rows, inner)
        _, p, q = self._shape(other)
        order = (1, 2, 0, 3) if columns else (1, 0, 2, 3)
        back = (2, 0, 1, 3) if columns else (1, 0, 2, 3)
        apart = self._permuted(self._view(other, k, B, p, q), *order)
        flat = self._view(apart, B, *((p, k * q) if columns else (k * p, q)))
        pair = (whole, flat) if columns else (flat, whole)
        shape = (B, rows, k * q) if columns else (B, k * p, inner)
        kind = self.kinds[other]
        self.kinds.append(Kind(tuple(shape), kind.dtype, kind.device))
        product = len(self.kinds) - 1
        self._add(Node(aten.bmm.default, tuple(map(Ref, pair)), {}, (product,)))
        parts = (B, rows, k, q) if columns else (B, k, p, inner)
        turned = self._permuted(self._view(product, *parts), *back)
        (out,) = node.outs
        self._add(Node(aten.view.default, (Ref(turned), [*self._shape(out)]), {}, (out,)))

    def _shorten(self) -> None:
        """A shape of a shape is one shape, and one that a value has already is the value itself."""
        nodes = list[Node]()
        for node in self.nodes:
            args = substituted(node.args, self._renamed)
            kwargs = {name: substituted(value, self._renamed) for name, value in node.kwargs.items()}
            if node.func is aten.view.default:
                source = args[0].index
                maker = self.maker.get(source)
                while maker is not None and maker.func is aten.view.default:
                    source = maker.args[0].index
                    maker = self.maker.get(source)
                if self._shape(source) == self._shape(node.outs[0]) and node.outs[0] not in self.old.outputs:
                    self.same[node.outs[0]] = source
                    continue
                args = (Ref(source), args[1])
            node = Node(node.func, args, kwargs, node.outs)
            self.maker.update(dict.fromkeys(node.outs, node))
            nodes.append(node)
        self.nodes = nodes

    def _renamed(self, ref: Ref) -> Ref:
        return Ref(self.same.get(ref.index, ref.index))
