"""Scaled rows of products, added up, as one product with scaled rows of weights.

The gates of a recurrent network multiply products of the same tangent vectors, with other rows of the weights each:

    Σ_i diag(s_i) (W_i Q) = (Σ_i diag(s_i) W_i) Q

which is one product instead of several, forwards and backwards, at the price of scaling weights instead of products. It
pays where there are about as many tangent vectors as weights have columns.
"""

from collections import Counter

import torch

from floss.lyapunov.traced.graph import Graph, Node, substituted
from floss.lyapunov.traced.recording import Kind, Ref

aten = torch.ops.aten
_MANY = 48
"""Tangent vectors from which on it pays."""
_PARTS = {"aten::split", "aten::split_with_sizes", "aten::slice"}


def merged(graph: Graph) -> Graph:
    """The same with one product for each such sum."""
    return _Merging(graph).graph()


class _Merging:
    def __init__(self, graph: Graph) -> None:
        self.old, self.kinds = graph, [*graph.kinds]
        self.maker = {out: node for node in graph.nodes for out in node.outs}
        self.uses = Counter(value for node in graph.nodes for value in node.reads())
        self.uses.update(graph.outputs)
        self.constant = {*graph.externals}
        for node in graph.nodes:
            if all(value in self.constant for value in node.reads()):
                self.constant.update(node.outs)
        self.nodes: list[Node] = []
        self.names: dict[int, int] = {}
        """Values that are now computed in another way."""

    def graph(self) -> Graph:
        roots = {node.outs[0]: self._terms(node.outs[0]) for node in self.old.nodes if self._is_root(node)}
        groups = {root: self._groups(terms) for root, terms in roots.items()}
        again = {part for found in groups.values() for group in found.values() for _, part in group}
        if not again:
            return self.old
        whole = {next(self.maker[part].reads()) for part in again}
        for node in self.old.nodes:
            args = substituted(node.args, self._renamed)
            kwargs = {name: substituted(value, self._renamed) for name, value in node.kwargs.items()}
            self.nodes.append(Node(node.func, args, kwargs, node.outs))
            if node.func._schema.name in _PARTS and next(node.reads()) in whole:
                for part in node.outs:
                    self.names[part] = self._part(part)
            if groups.get(node.outs[0]):
                self.names[node.outs[0]] = self._sum(roots[node.outs[0]], groups[node.outs[0]])
        outputs = tuple(self.names.get(value, value) for value in self.old.outputs)
        return Graph(self.kinds, self.old.inputs, self.old.externals, self.nodes, outputs).without_unread()

    def _renamed(self, ref: Ref) -> Ref:
        return Ref(self.names.get(ref.index, ref.index))

    def _shape(self, value: int) -> tuple[int, ...]:
        return tuple(self.kinds[value].shape)

    def _adds(self, value: int) -> bool:
        node = self.maker.get(value)
        if node is None or node.func is not aten.add.Tensor or node.kwargs or len([*node.reads()]) != 2:
            return False
        return all(self._shape(part) == self._shape(value) for part in node.reads())

    def _is_root(self, node: Node) -> bool:
        """Whether a sum is no term of another one alone."""
        value = node.outs[0]
        if not self._adds(value) or len(self._shape(value)) != 2 or self._shape(value)[1] < _MANY:
            return False
        readers = [other for other in self.old.nodes if value in other.reads()]
        return not (self.uses[value] == 1 and len(readers) == 1 and self._adds(readers[0].outs[0]))

    def _terms(self, value: int, *, root: bool = True) -> list[int]:
        """The terms of a sum."""
        if self._adds(value) and (root or self.uses[value] == 1):
            return [term for part in self.maker[value].reads() for term in self._terms(part, root=False)]
        return [value]

    def _groups(self, terms: list[int]) -> dict[int, list[tuple[int, int]]]:
        """Terms that are scaled rows of products with the same vectors: these, and the column and the part of each."""
        found: dict[int, list[tuple[int, int]]] = {}
        for term in terms:
            scaled = self._scaled(term)
            if scaled is not None:
                found.setdefault(self._factors(scaled[1])[1], []).append(scaled)
        return {vectors: group for vectors, group in found.items() if len(group) > 1}

    def _scaled(self, term: int) -> tuple[int, int] | None:
        """Column and part of a term s ∘ (W Q)[rows]."""
        node = self.maker.get(term)
        if node is None or node.func is not aten.mul.Tensor or len([*node.reads()]) != 2 or self.uses[term] > 1:
            return None
        a, b = node.reads()
        for column, part in ((a, b), (b, a)):
            if self._shape(column) == (self._shape(part)[0], 1) and self._is_part(part):
                return column, part
        return None

    def _is_part(self, value: int) -> bool:
        """Whether a value is some rows of a product of constant weights of which parts alone are read."""
        node = self.maker.get(value)
        if node is None or node.func._schema.name not in _PARTS or len(self._shape(value)) != 2:
            return False
        (source,) = node.reads()
        product = self.maker.get(source)
        if product is None or product.func is not aten.mm.default or next(product.reads()) not in self.constant:
            return False
        if node.func._schema.name == "aten::slice" and len(node.args) > 4 and node.args[4] != 1:
            return False
        at = 1 if node.func._schema.name == "aten::slice" else 2
        axis = node.args[at] if len(node.args) > at else 0
        return axis % 2 == 0 and source not in self.old.outputs

    def _factors(self, part: int) -> tuple[int, int]:
        """Weights and vectors of the product of which a value is a part."""
        product = self.maker[next(self.maker[part].reads())]
        weights, vectors = product.reads()
        return weights, vectors

    def _new(self, func: object, args: tuple[object, ...], like: int, shape: tuple[int, ...]) -> int:
        kind = self.kinds[like]
        self.kinds.append(Kind(tuple(shape), kind.dtype, kind.device))
        self.nodes.append(Node(func, args, {}, (len(self.kinds) - 1,)))
        return len(self.kinds) - 1

    def _rows(self, part: int) -> int:
        """The rows of the weights that a part is the product of."""
        node, (weights, _) = self.maker[part], self._factors(part)
        if node.func._schema.name == "aten::slice":
            start = node.args[2] or 0
            start += self._shape(weights)[0] if start < 0 else 0
        else:
            start = sum(self._shape(out)[0] for out in node.outs[: node.outs.index(part)])
        count = self._shape(part)[0]
        shape = (count, self._shape(weights)[1])
        return self._new(aten.slice.Tensor, (Ref(weights), 0, start, start + count), weights, shape)

    def _part(self, part: int) -> int:
        """Some rows of a product as a product of its own, which is not done where nobody reads it."""
        _, vectors = self._factors(part)
        vectors = self.names.get(vectors, vectors)
        return self._new(aten.mm.default, (Ref(self._rows(part)), Ref(vectors)), part, self._shape(part))

    def _sum(self, terms: list[int], groups: dict[int, list[tuple[int, int]]]) -> int:
        """A sum of which some terms are together one product."""
        together = {scaled for group in groups.values() for scaled in group}
        rest = [self.names.get(term, term) for term in terms if self._scaled(term) not in together]
        for vectors, group in groups.items():
            scaled = list[int]()
            for column, part in group:
                rows, scale = self._rows(part), self.names.get(column, column)
                scaled.append(self._new(aten.mul.Tensor, (Ref(scale), Ref(rows)), rows, self._shape(rows)))
            weights, right = self._added(scaled), self.names.get(vectors, vectors)
            shape = (self._shape(weights)[0], self._shape(right)[1])
            rest.append(self._new(aten.mm.default, (Ref(weights), Ref(right)), weights, shape))
        return self._added(rest)

    def _added(self, values: list[int]) -> int:
        total = values[0]
        for value in values[1:]:
            total = self._new(aten.add.Tensor, (Ref(total), Ref(value)), total, self._shape(total))
        return total
