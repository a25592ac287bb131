"""The pullback of one step's graph: the operations that autograd does for it, recorded once like the step."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from floss.lyapunov.traced.cleaning import clean
from floss.lyapunov.traced.graph import Graph, Node
from floss.lyapunov.traced.native import can_be_emitted, pays
from floss.lyapunov.traced.native_gradient import NativeBackward, NativeForward, native_backward, native_forward
from floss.lyapunov.traced.operations import alike, evaluate, is_view
from floss.lyapunov.traced.recording import RefusedError, record
from floss.lyapunov.traced.replay import Program
from floss.lyapunov.traced.sums import Sums


@dataclass
class Pullback:
    """A graph with its reverse.

    `forward` gives the outputs of the graph and the values `saved`; `backward` takes the inputs of the graph, these
    values, and `cotangents` of the outputs, and gives the gradients `each` of some inputs, and then the values `kept`
    and `added` of which the sums over time of the other gradients are made.
    """

    forward: Graph
    backward: Graph
    saved: tuple[int, ...]
    cotangents: tuple[int, ...]
    inputs: tuple[int, ...]
    """Of the graph, in the numbers of `forward` and `backward`."""
    each: tuple[int, ...]
    """Places among the inputs of the state, the tangent vectors and what changes from step to step."""
    kept: tuple[int, ...]
    added: tuple[int, ...]
    sums: Sums
    summed: tuple[int, ...]
    """Places among the inputs of the gradients that `sums` gives."""
    drives: tuple[int, ...]
    """Inputs that are given anew at every step, besides the state and the tangent vectors."""
    constants: tuple[int, ...]
    """Inputs that are given anew at every run."""
    layouts: dict[int, Tensor] = field(default_factory=dict)
    """Memory of tangent vectors, and of values that are kept, in the order of numbers that is wanted."""
    spent: float = 0.0
    """Seconds that were spent with programs that are not compiled."""
    _free: list["Pair"] = field(default_factory=list)
    _compiled: bool | None = None
    """Whether compiled code serves; None: not known yet."""
    _looked: bool = False
    """Whether it has been looked for among what was compiled before, for which its text has to be written."""

    def pieces(self) -> list[tuple[torch.dtype, list[int]]]:
        """The saved values whose memory is one piece, for each dtype."""
        kinds = {number: self.forward.kinds[number].dtype for number in self.saved}
        return [(dtype, [n for n in self.saved if kinds[n] == dtype]) for dtype in dict.fromkeys(kinds.values())]

    @contextmanager
    def programs(self) -> Iterator["Pair"]:
        """Programs of both graphs; nobody else has them meanwhile."""
        if self._compiled is None:
            self._try_compiled()
        pair = self._free.pop() if self._free else Pair(self, (*self.drives, *self.constants))
        start, compiled = time.perf_counter(), self._compiled
        try:
            yield pair
        finally:
            self.spent += time.perf_counter() - start
            if compiled == self._compiled:
                self._free.append(pair)

    def _try_compiled(self) -> None:
        """Compile both graphs where it is worth while, and compare them with what they are made of."""
        build = pays(self.spent)
        if self._looked and not build:
            return
        self._looked, pair = True, Pair(self, ())
        code = pair.compiled(build=build)
        if code is None:
            possible = can_be_emitted(pair.forward) and can_be_emitted(pair.backward)
            self._compiled = None if possible and not build else False
            return
        numbers = torch.Generator().manual_seed(0)
        for program, way in zip((pair.forward, pair.backward), code, strict=True):
            for number in program.graph.inputs:
                value = program.value(number)
                if value.is_floating_point():
                    value.copy_(torch.rand(value.shape, generator=numbers, dtype=value.dtype) + 0.1)
            program.run()
            wanted = [result.clone() for result in program.results]
            way.code.run()
            if not all(alike(a, b) for a, b in zip(program.results, wanted, strict=True)):
                self._compiled = False
                return
            program.compiled = way.code.run
        pair.code, self._compiled, self._free = code, True, [pair]


class Pair:
    """Programs of a graph and of its reverse. What the second takes from the first lies together in both."""

    def __init__(self, reverse: Pullback, rebound: tuple[int, ...]) -> None:
        """Memory and calls for both graphs."""
        self.reverse = reverse
        self.forward, self.saved = self._program(reverse, reverse.forward, rebound)
        self.backward, self.given = self._program(reverse, reverse.backward, rebound)
        """Memory of the saved values as one piece for each dtype."""
        results = iter(self.backward.results)
        self.each: dict[int, Tensor] = {place: next(results) for place in reverse.each}
        """Gradients by their places among the inputs."""
        self.kept = [next(results) for _ in reverse.kept]
        self.added = list(results)
        self.code: tuple[NativeForward, NativeBackward] | None = None
        """Chains of both as one call each."""

    def bind(self, constants: Sequence[Tensor]) -> None:
        """Give what does not change within a run."""
        for number, value in zip(self.reverse.constants, constants, strict=True):
            for program in (self.forward, self.backward):
                program.bind(number, value)

    def stacked(self) -> list[Tensor]:
        """What is kept of every step backwards: for sums over time, and gradients of what inputs determine."""
        return [*self.kept, *(gradient for place, gradient in self.each.items() if place >= 2)]

    def compiled(self, *, build: bool) -> tuple[NativeForward, NativeBackward] | None:
        """Compiled code, where there is any."""
        constants, drives = self.reverse.constants, self.reverse.drives
        forward = native_forward(self.forward, constants, drives, self.saved, build=build)
        gradients = [self.each.get(place) for place in (0, 1)]
        results = (gradients, self.stacked(), self.added)
        backward = native_backward(
            self.backward, constants, drives, self.given, self.reverse.cotangents, *results, build=build
        )
        return None if forward is None or backward is None else (forward, backward)

    def _program(self, reverse: Pullback, graph: Graph, rebound: tuple[int, ...]) -> tuple[Program, list[Tensor]]:
        memory = {number: torch.empty_like(tensor) for number, tensor in reverse.layouts.items()}
        pieces = list[Tensor]()
        for dtype, numbers in reverse.pieces():
            layouts = [reverse.layouts[number] for number in numbers]
            whole = torch.zeros(sum(layout.numel() for layout in layouts), dtype=dtype)
            pieces.append(whole)
            parts = zip(layouts, whole.split([layout.numel() for layout in layouts]), strict=True)
            made = [part.as_strided(layout.shape, layout.stride(), part.storage_offset()) for layout, part in parts]
            memory |= dict(zip(numbers, made, strict=True))
        return Program(graph, rebound, (), memory), pieces


def saved_stacks(reverse: Pullback, pieces: list[Tensor]) -> dict[int, Tensor]:
    """The saved values [T, ...] in stacks [T, numbers] of their memory."""
    found: dict[int, Tensor] = {}
    for (_, numbers), piece in zip(reverse.pieces(), pieces, strict=True):
        layouts = [reverse.layouts[number] for number in numbers]
        parts = piece.split([layout.numel() for layout in layouts], 1)
        for number, layout, part in zip(numbers, layouts, parts, strict=True):
            strides = (piece.stride(0), *layout.stride())
            found[number] = part.as_strided((len(piece), *layout.shape), strides, part.storage_offset())
    return found


def pullback(
    graph: Graph, values: Sequence[Tensor], needed: Sequence[bool], changing: int, tangents: Tensor
) -> Pullback:
    """The pullback of a graph `(h, q, *others) -> (h, q)` for inputs like these values.

    Args:
        graph: without externals.
        values: inputs of the graph, as examples.
        needed: which of them have gradients; those of the state and the tangent vectors always do.
        changing: how many of the inputs, from the first on, are others at every step.
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
    return _split(clean(recording), len(leaves), tuple(places[i] for i in found), changing, tangents)


def _split(joint: Graph, count: int, of: tuple[int, ...], changing: int, tangents: Tensor) -> Pullback:
    """Cut the graph of both into what depends on cotangents and what does not."""
    inputs, cotangents = joint.inputs[:count], joint.inputs[count:]
    results, gradients = joint.outputs[:2], joint.outputs[2:]
    each = tuple(place for place in of if place < changing)
    sums = Sums(joint, gradients[len(each) :])
    late = {*cotangents}
    first, second = list[Node](), list[Node]()
    for node in joint.nodes:
        behind = any(value in late for value in node.reads())
        late.update(node.outs if behind else ())
        (second if behind else first).append(node)
    kept = tuple(v for v in sorted(sums.stacked) if v in late)
    outputs = (*gradients[: len(each)], *kept, *sorted(sums.added))
    second = Graph(joint.kinds, (), (), second, outputs).without_unread().nodes
    needed = {v for node in second for v in node.reads()} | {*outputs}
    saved, again = _saved(joint, needed - late, inputs)
    saved = tuple(sorted({*saved, *(v for v in sums.stacked if v not in late and v not in inputs)}))
    forward = Graph(joint.kinds, inputs, (), first, (*results, *saved)).without_unread()
    backward = Graph(joint.kinds, (*inputs, *saved, *cotangents), (), [*again, *second], outputs).without_unread()
    layouts = {inputs[1]: tangents, cotangents[1]: tangents}
    alone = Program(forward, inputs[2:], (), layouts)
    layouts |= {number: torch.empty_like(alone.value(number)) for number in saved}
    added = tuple(sorted(sums.added))
    summed = of[len(each) :]
    drives, constants = inputs[2:changing], inputs[changing:]
    return Pullback(
        forward, backward, saved, cotangents, inputs, each, kept, added, sums, summed, drives, constants, layouts
    )


def _saved(joint: Graph, needed: set[int], inputs: tuple[int, ...]) -> tuple[set[int], list[Node]]:
    """What has to be kept for such values, and the views and constants that are made again, at no cost."""
    maker = {out: node for node in joint.nodes for out in node.outs}
    again, saved = list[Node](), set[int]()
    while needed:
        value = needed.pop()
        if value in inputs:
            continue
        node = maker[value]
        if not is_view(node) and any(True for _ in node.reads()):
            saved.add(value)
        elif node not in again:
            again.append(node)
            needed.update(node.reads())
    order = {id(node): i for i, node in enumerate(joint.nodes)}
    return saved, sorted(again, key=lambda node: order[id(node)])
