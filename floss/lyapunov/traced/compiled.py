"""What is made of a recorded step, kept for the next run of a step that does the same."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.cleaning import clean
from floss.lyapunov.traced.graph import Graph
from floss.lyapunov.traced.merged import merged
from floss.lyapunov.traced.native import can_be_emitted, pays
from floss.lyapunov.traced.native_chain import NativeChain, native_chain, work_of
from floss.lyapunov.traced.operations import alike, evaluate
from floss.lyapunov.traced.products import joined
from floss.lyapunov.traced.recording import Recording
from floss.lyapunov.traced.replay import Program
from floss.lyapunov.traced.stages import Stages, cut

_MOST = 64
"""Steps that are kept, twice each."""


class Compiled:
    """A step's graph, its stages, and programs of them."""

    def __init__(self, graph: Graph, *, rows_first: bool) -> None:
        """Cut a graph into its stages."""
        self.graph = graph
        self.stages: Stages = cut(graph)
        self.rows_first = rows_first
        """Whether the k tangent vectors lie one after the other in memory, each for all trajectories."""
        self._programs: list[Program] = []
        self._natives: list[NativeChain] = []
        self._native = True
        """Whether compiled code is possible, as far as is known."""
        self._looked = False
        """Whether it has been looked for among what was compiled before, for which its text has to be written."""
        self.spent = 0.0
        """Seconds that were spent replaying."""
        self.further: dict[Any, Any] = {}
        """What others make of the graph."""

    @contextmanager
    def program(self) -> Iterator[Program]:
        """A program of the body whose state is fed back; nobody else has it meanwhile."""
        program = self._programs.pop() if self._programs else self._new()
        try:
            yield program
        finally:
            self._programs.append(program)

    @contextmanager
    def native(self, seconds: float, values: Sequence[Tensor]) -> Iterator[NativeChain | None]:
        """Compiled code of the body, if it is there, or worth while for a run of so many seconds.

        It is compared with the program for values of the body's inputs before it is used for the first time.
        """
        found = self._natives.pop() if self._natives else self._new_native(seconds, values) if self._native else None
        try:
            yield found
        finally:
            if found is not None:
                self._natives.append(found)

    def _new_native(self, seconds: float, values: Sequence[Tensor]) -> NativeChain | None:
        build = pays(self.spent + seconds)
        if self._looked and not build:
            return None
        self._looked = True
        body, driven = self.stages.body, self.stages.driven
        feedback = list(zip(body.outputs, body.inputs[:2], strict=True))
        program = Program(body, (), feedback, {body.inputs[1]: self.tangent_memory()})
        found = native_chain(program, driven, self.stages.constants, build=build)
        if found is None:
            self._native = not build and can_be_emitted(program)
            return None
        others = values[2:]
        wanted = evaluate(body, [*evaluate(body, values), *others])
        for number, value in zip(body.inputs, values, strict=True):
            program.value(number).copy_(value)
        drives = [d.expand(2, *d.shape).contiguous() for d in others[: len(driven)]]
        q, ends = values[1], torch.zeros(2, dtype=torch.uint8)
        found(2, ends, torch.empty(1, dtype=torch.float64), drives, 0, work_of(q))
        self._native = all(alike(a, b) for a, b in zip(program.results, wanted, strict=True))
        return found if self._native else None

    def tangent_memory(self) -> Tensor:
        """Memory for tangent vectors [..., n, k] that lie as rows."""
        kind = self.graph.kinds[self.graph.inputs[1]]
        *batch, n, k = kind.shape
        if self.rows_first:
            return torch.zeros(k, *batch, n, dtype=kind.dtype, device=kind.device).movedim(0, -1)
        return torch.zeros(*batch, k, n, dtype=kind.dtype, device=kind.device).mT

    def _new(self) -> Program:
        body, stages = self.stages.body, self.stages
        feedback = list(zip(body.outputs, body.inputs[:2], strict=True))
        rebound = (*stages.driven, *stages.constants)
        return Program(body, rebound, feedback, {body.inputs[1]: self.tangent_memory()})

    def constants(self, externals: Sequence[Tensor]) -> list[Tensor]:
        """What does not change within a run."""
        return evaluate(self.stages.once, externals)

    def drives(self, constants: Sequence[Tensor], inputs: Tensor | None) -> list[Tensor]:
        """What the inputs [T, ...] of steps determine, each [T, ...]."""
        if not self.stages.driven or inputs is None:
            return []
        drive = self.stages.drive

        def of_one(x: Tensor) -> tuple[Tensor, ...]:
            return tuple(evaluate(drive, [x, *constants]))

        try:
            return list(torch.func.vmap(of_one)(inputs))
        except RuntimeError:  # not all operations of torch can be batched
            return [torch.stack(values) for values in zip(*map(of_one, inputs), strict=True)]


_LOCK = threading.Lock()
_KNOWN: OrderedDict[Any, Compiled] = OrderedDict()


def compiled(recording: Recording, *, rows_first: bool) -> Compiled:
    """What is made of a recording, from memory where the same has been recorded before.

    Raises:
        RefusedError: nothing can be made of it.
    """
    raw = (recording.structure(), rows_first)
    with _LOCK:
        found = _KNOWN.get(raw)
        if found is None:
            graph = merged(joined(clean(recording)))
            key = (graph.structure(), rows_first)
            found = _KNOWN.setdefault(key, Compiled(graph, rows_first=rows_first))
            _KNOWN[raw] = found
        _KNOWN.move_to_end(raw)
        while len(_KNOWN) > _MOST:
            _KNOWN.popitem(last=False)
    return found
