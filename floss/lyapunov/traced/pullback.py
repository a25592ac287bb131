"""The pullback of one step's graph: the operations that autograd does for it, recorded once like the step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from floss.lyapunov.traced.graph import Graph, Node, clean
from floss.lyapunov.traced.recording import RefusedError, record
from floss.lyapunov.traced.replay import Program, evaluate, is_view


@dataclass
class Pullback:
    """A graph with its reverse.

    `forward` gives the outputs of the graph and the values `saved`; `backward` takes the inputs of the graph, these
    values, and `cotangents` of the outputs, and gives gradients of the inputs named in `of`.
    """

    forward: Graph
    backward: Graph
    saved: tuple[int, ...]
    cotangents: tuple[int, ...]
    inputs: tuple[int, ...]
    """Of the graph, in the numbers of `forward` and `backward`."""
    of: tuple[int, ...]
    """Places among the inputs whose gradients the outputs of `backward` are."""
    rebound: tuple[int, ...]
    """Inputs that are given anew at every run or step."""
    layouts: dict[int, Tensor] = field(default_factory=dict)
    _free: list[tuple[Program, Program]] = field(default_factory=list)

    @contextmanager
    def programs(self) -> Iterator[tuple[Program, Program]]:
        """Programs of both graphs; nobody else has them meanwhile."""
        if self._free:
            pair = self._free.pop()
        else:
            memory = {number: torch.empty_like(tensor) for number, tensor in self.layouts.items()}
            forward = Program(self.forward, self.rebound, (), memory)
            memory = {number: torch.empty_like(tensor) for number, tensor in self.layouts.items()}
            pair = forward, Program(self.backward, self.rebound, (), memory)
        try:
            yield pair
        finally:
            self._free.append(pair)


def pullback(graph: Graph, values: Sequence[Tensor], needed: Sequence[bool], tangents: Tensor) -> Pullback:
    """The pullback of a graph `(h, q, *others) -> (h, q)` for inputs like these values.

    Args:
        graph: without externals.
        values: inputs of the graph, as examples.
        needed: which of them have gradients; those of the state and the tangent vectors always do.
        tangents: memory for tangent vectors in the order of numbers that is wanted.

    Raises:
        RefusedError: autograd cannot differentiate it, or reads what is no value of the graph.
    """
    leaves = [value.detach().clone().requires_grad_(need) for value, need in zip(values, needed, strict=True)]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    cotangents = [torch.ones(graph.kinds[n].shape, dtype=graph.kinds[n].dtype) for n in graph.outputs]
    found: list[int] = []

    def joint(*given: Tensor) -> tuple[Tensor, ...]:
        results = evaluate(graph, given[: len(leaves)])
        moving = [i for i, result in enumerate(results) if result.requires_grad]
        gradients: Sequence[Tensor | None] = [None] * len(wanted)
        if moving:
            outs, cots = [results[i] for i in moving], [given[len(leaves) + i] for i in moving]
            gradients = torch.autograd.grad(outs, wanted, cots, allow_unused=True)
        found.extend(i for i, g in enumerate(gradients) if g is not None)
        return (*results, *(g for g in gradients if g is not None))

    with torch.enable_grad():
        try:
            recording, _ = record(joint, [*leaves, *cotangents])
        except RuntimeError as error:
            raise RefusedError(f"has a derivative that has none: {str(error).splitlines()[0]}") from error
    if isinstance(recording, str):
        raise RefusedError(recording)
    if recording.externals:
        raise RefusedError("has a derivative that keeps something")
    places = [i for i, leaf in enumerate(leaves) if leaf.requires_grad]
    return _split(clean(recording), len(leaves), tuple(places[i] for i in found), tangents)


def _split(joint: Graph, count: int, of: tuple[int, ...], tangents: Tensor) -> Pullback:
    """Cut the graph of both into what depends on cotangents and what does not."""
    inputs, cotangents = joint.inputs[:count], joint.inputs[count:]
    maker = {out: node for node in joint.nodes for out in node.outs}
    late = {*cotangents}
    first, second = list[Node](), list[Node]()
    for node in joint.nodes:
        behind = any(value in late for value in node.reads())
        late.update(node.outs if behind else ())
        (second if behind else first).append(node)
    results, gradients = joint.outputs[:2], joint.outputs[2:]
    needed = {v for node in second for v in node.reads()} | {*gradients}
    needed -= late
    views: list[Node] = []  # views of what is saved cost nothing, and are not saved themselves
    saved: set[int] = set()
    while needed:
        value = needed.pop()
        if value in inputs:
            continue
        node = maker[value]
        if is_view(node) or not any(True for _ in node.reads()):
            if node not in views:
                views.append(node)
                needed.update(node.reads())
        else:
            saved.add(value)
    kept = tuple(sorted(saved))
    order = {id(node): i for i, node in enumerate(joint.nodes)}
    again = sorted(views, key=lambda node: order[id(node)])
    forward = Graph(joint.kinds, inputs, (), first, (*results, *kept)).without_unread()
    backward = Graph(joint.kinds, (*inputs, *kept, *cotangents), (), [*again, *second], gradients).without_unread()
    layouts = {inputs[1]: tangents, cotangents[1]: tangents}
    return Pullback(forward, backward, kept, cotangents, inputs, of, inputs[2:], layouts)
