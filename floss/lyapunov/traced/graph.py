"""A step as a graph of functional operations on numbered values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from floss.lyapunov.traced.recording import Kind, Ref


@dataclass
class Node:
    """One operation of a graph."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[int, ...]

    def reads(self) -> Iterator[int]:
        """Numbers of the values that it takes, with repetitions."""
        yield from refs_in((self.args, tuple(self.kwargs.values())))


@dataclass
class Graph:
    """Operations on numbered values: inputs come first, then externals."""

    kinds: list[Kind] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    externals: tuple[int, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[int, ...] = ()

    def add(self, kind: Kind) -> int:
        """The number of a new value."""
        self.kinds.append(kind)
        return len(self.kinds) - 1

    def structure(self) -> Any:
        """All of it, as a key."""
        nodes = tuple((str(n.func), repr(n.args), repr(n.kwargs), n.outs) for n in self.nodes)
        kinds = tuple(self.kinds[i] for i in (*self.inputs, *self.externals, *(o for n in self.nodes for o in n.outs)))
        return nodes, kinds, self.inputs, self.externals, self.outputs

    def without_unread(self, *, keep: tuple[int, ...] = ()) -> "Graph":
        """The same without operations whose results nobody reads."""
        read, nodes = {*self.outputs, *keep}, []
        for node in reversed(self.nodes):
            if any(out in read for out in node.outs):
                read.update(node.reads())
                nodes.append(node)
        return Graph(self.kinds, self.inputs, self.externals, nodes[::-1], self.outputs)


def refs_in(value: Any) -> Iterator[int]:
    """Numbers of all values in arguments."""
    if isinstance(value, Ref):
        yield value.index
    elif isinstance(value, list | tuple):
        for part in value:
            yield from refs_in(part)


def substituted(value: Any, by: Callable[[Ref], Any]) -> Any:
    """Arguments with other things for their values."""
    if isinstance(value, Ref):
        return by(value)
    if isinstance(value, list | tuple):
        return type(value)(substituted(part, by) for part in value)
    return value
