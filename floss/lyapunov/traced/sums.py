"""Sums over time of a step's gradients, as few large products instead of one for each step.

    Σ_t A_t B_t = [A_1 … A_T] [B_1; …; B_T]

so that the gradient of a matrix of weights costs one product of the whole run. Products of many terms each are added up
as they come: they need no larger ones, and all A_t and B_t would not fit into a cache.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.graph import Graph, Node
from floss.lyapunov.traced.operations import RESHAPES, is_view
from floss.lyapunov.traced.recording import Ref

_TURNED = {"permute", "t", "transpose", "unsqueeze", "squeeze", "view"}
"""Operations that a sum goes through."""

_MANY = 48
"""Terms of a product of matrices from which on it is as fast alone as with those of other steps."""


@dataclass
class Sums:
    """How the sums over time of some values of a graph are made of what is kept of each step."""

    graph: Graph
    values: tuple[int, ...]
    stacked: set[int] = field(default_factory=set)
    """Values that have to be kept of every step."""
    added: set[int] = field(default_factory=set)
    """Values that have to be added up as they come."""

    def __post_init__(self) -> None:
        self._maker = {out: node for node in self.graph.nodes for out in node.outs}
        for value in self.values:
            self._plan(value)

    def _plan(self, value: int) -> None:
        """Find out what the sum of a value needs."""
        node = self._maker.get(value)
        name = "" if node is None else node.func._schema.name.removeprefix("aten::")
        if node is None or len(node.outs) > 1:
            self.added.add(value)
        elif name == "add" and self._plain_sum(node):
            for part in node.reads():
                self._plan(part)
        elif name in _TURNED and len([*node.reads()]) == 1:
            self._plan(next(node.reads()))
        elif name in ("mm", "bmm") and self._terms(node) >= _MANY:
            self.added.add(value)
        elif name in ("mm", "bmm") or (name == "mul" and self._outer(node) is not None):
            for part in node.reads():
                self.stacked.add(self._source(part))
        else:
            self.added.add(value)

    def _plain_sum(self, node: Node) -> bool:
        kinds = [self.graph.kinds[part] for part in node.reads()]
        return len(kinds) == 2 and kinds[0] == kinds[1] == self.graph.kinds[node.outs[0]] and not node.kwargs

    def _terms(self, node: Node) -> int:
        """Of how many terms the numbers of a product of matrices are sums."""
        return self.graph.kinds[next(node.reads())].shape[-1]

    def _outer(self, node: Node) -> tuple[int, int] | None:
        """Column and row of which a product is the outer product."""
        if len([*node.reads()]) != 2 or len(self.graph.kinds[node.outs[0]].shape) != 2:
            return None
        m, n = self.graph.kinds[node.outs[0]].shape
        shapes = {part: self.graph.kinds[part].shape for part in node.reads()}
        a, b = node.reads()
        for column, row in ((a, b), (b, a)):
            if shapes[column] == (m, 1) and shapes[row] in ((n,), (1, n)):
                return column, row
        return None

    def _source(self, value: int) -> int:
        """What a value is a view of."""
        node = self._maker.get(value)
        while node is not None and is_view(node) and len({*node.reads()}) == 1:
            value = next(node.reads())
            node = self._maker.get(value)
        return value

    def totals(self, stacks: Mapping[int, Tensor], added: Mapping[int, Tensor]) -> list[Tensor]:
        """The sums, from stacks [T, ...] of what was kept, and from what was added up."""

        def stack(value: int) -> Tensor:
            if value in stacks:
                return stacks[value]
            node = self._maker[value]
            made = torch.func.vmap(_applied(node))(stack(next(node.reads())))
            return made if isinstance(made, Tensor) else made[node.outs.index(value)]

        def total(value: int) -> Tensor:
            if value in added:
                return added[value]
            node = self._maker[value]
            name = node.func._schema.name.removeprefix("aten::")
            if name == "add":
                a, b = node.reads()
                return total(a) + total(b)
            if name in _TURNED:
                return _applied(node)(total(next(node.reads())))
            if name == "mul":
                column, row = self._outer(node)  # pyright: ignore[reportGeneralTypeIssues]
                return stack(column).flatten(1).mT @ stack(row).flatten(1)
            a, b = (stack(part) for part in node.reads())
            return a.movedim(0, -2).flatten(-2) @ b.movedim(0, -3).flatten(-3, -2)

        return [total(value) for value in self.values]


def _applied(node: Node) -> Callable[[Tensor], Any]:
    """An operation of one tensor."""

    def apply(tensor: Tensor) -> Any:
        args: list[Any] = [tensor if isinstance(a, Ref) else a for a in node.args]
        if node.func._schema.name in RESHAPES:
            return tensor.reshape(args[1])
        made = node.func(*args, **node.kwargs)
        return tuple(made) if isinstance(made, list) else made

    return apply
