"""A graph cut by what its operations depend on: on nothing that changes within a run, on inputs alone, on the state."""

from dataclasses import dataclass

from floss.lyapunov.traced.graph import Graph, Node
from floss.lyapunov.traced.recording import Kind

_TURNS = {"aten::t", "aten::transpose", "aten::permute"}


@dataclass(frozen=True)
class Stages:
    """Three graphs whose values have common numbers.

    `once` takes the externals, `drive` the input of a step and what `once` gives; `body` takes the state, the tangent
    vectors, and what the others give.
    """

    once: Graph
    drive: Graph
    body: Graph
    constants: tuple[int, ...]
    """Values that `drive` or `body` reads and that do not change within a run: externals, or results of `once`."""
    driven: tuple[int, ...]
    """Values that `body` reads and that the input of a step determines."""


def cut(graph: Graph) -> Stages:
    """The stages of the graph of `(h, rows, *x) -> (h, rows)`."""
    state, inputs = graph.inputs[:2], graph.inputs[2:]
    level = {**dict.fromkeys(graph.externals, 0), **dict.fromkeys(inputs, 1), **dict.fromkeys(state, 2)}
    parts: tuple[list[Node], ...] = ([], [], [])
    for node in graph.nodes:
        at = max((level[value] for value in node.reads()), default=0)
        level.update(dict.fromkeys(node.outs, at))
        parts[at].append(node)
    # A matrix and its transposed are one in memory: the body turns it itself.
    turns = [node for node in parts[0] if node.func._schema.name in _TURNS]
    parts[2][:] = Graph(graph.kinds, (), (), [*turns, *parts[2]], graph.outputs).without_unread().nodes
    turned = {out for node in turns for out in node.outs}
    by_body = ({value for node in parts[2] for value in node.reads()} | {*graph.outputs}) - turned
    by_drive = {value for node in parts[1] for value in node.reads()}
    constants = tuple(v for v in sorted(by_body | by_drive) if level[v] == 0)
    driven = tuple(v for v in sorted(by_body) if level[v] == 1)

    def part(nodes: list[Node], inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Graph:
        kinds: list[Kind] = graph.kinds
        return Graph(kinds, inputs, (), nodes, outputs).without_unread()

    return Stages(
        part(parts[0], graph.externals, constants),
        part(parts[1], (*inputs, *constants), driven),
        part(parts[2], (*state, *driven, *constants), graph.outputs),
        constants,
        driven,
    )
