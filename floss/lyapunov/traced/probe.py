"""The first steps of a chain, done as always and recorded, to see whether the others can be replayed."""

import logging
import time
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.orthonormalisation import orthonormalise
from floss.lyapunov.step import Step, TangentStep, advance
from floss.lyapunov.traced.compiled import Compiled, compiled
from floss.lyapunov.traced.memory import memory_of
from floss.lyapunov.traced.operations import alike, evaluate
from floss.lyapunov.traced.recording import Recording, RefusedError, record, same_tensors

LOGGER = logging.getLogger("floss")
_LEAST = 24
"""Steps of a chain from which on it pays."""
_NOTICED = 1.0
"""Seconds that replaying would have spared, from which on it is a warning that it cannot be."""
_said: set[str] = set()


class Traced:
    """A step that can be replayed, and the tensors that it reads."""

    def __init__(self, step: Step, compiled: Compiled, externals: list[Tensor], example: tuple[Any, ...]) -> None:
        """Of a step that has been recorded."""
        self.step, self.compiled, self.externals = step, compiled, externals
        self.example = example
        """State, tangent vectors and inputs of a step."""
        self.compared: set[Any] = set()
        """Kinds of gradients that have been compared with those of the map."""

    def advance(self, h: Tensor, q: Tensor, *x: Tensor) -> tuple[Tensor, Tensor]:
        """By the map itself."""
        return advance(self.step, h, q, *x)


class Probe:
    """Does and records the first steps of a chain."""

    def __init__(self, step: Step, chain: Chain) -> None:
        """For the first steps of a chain."""
        self.step, self.chain = step, chain
        self.steps = 3 if torch.is_grad_enabled() else 2
        """How many. The last two are compared: where a gradient is wanted, the first state need not have one."""
        self.recordings: list[Recording] = []
        self.results: list[tuple[Any, ...]] = []
        self.reason: str | None = None
        self.start = time.perf_counter()
        self.memory: list[Any] = []

    def advance(self, h: Tensor, q: Tensor, *x: Tensor) -> tuple[Tensor, Tensor]:
        """The next state and tangent vectors, as `floss.lyapunov.step.advance` gives them."""
        if self.reason is not None:
            return advance(self.step, h, q, *x)
        if not self.memory:
            self._guarded(self._remember)
        # Own tensors, since a map may keep the state that it returned, and the chain's inputs may be the map's.
        h, q, x = h.view_as(h), q.view_as(q), tuple(value.view_as(value) for value in x)
        found, results = record(lambda *given: advance(self.step, *given), (h, q, *x))
        if isinstance(found, str):
            self.reason = found
        else:
            self.recordings.append(found)
            self.results.append((h, q, *x, *results))
            self._guarded(self._compare)
        return results

    def traced(self) -> Traced | None:
        """The step for replaying; None, said once, where it cannot be replayed."""
        found: Traced | None = None
        if self.reason is None:
            try:
                found = self._checked()
            except RefusedError as error:
                self.reason = str(error)
            except RuntimeError as error:  # of an operation that torch does below `torch.func` alone
                self.reason = f"cannot be replayed: {str(error).splitlines()[0]}"
        if self.reason is not None:
            say(self.reason, (time.perf_counter() - self.start) / self.steps * self.chain.steps)
        return found

    def _guarded(self, look: Any) -> None:
        try:
            look()
        except RefusedError as error:
            self.reason = str(error)

    def _remember(self) -> None:
        self.memory = memory_of(self.step)

    def _compare(self) -> None:
        if memory_of(self.step) != self.memory:
            raise RefusedError("keeps something that changes from call to call")

    def _checked(self) -> Traced:
        first, second = self.recordings[-2:]
        rows_first = not isinstance(self.step, TangentStep)
        whole = compiled(second, rows_first=rows_first)
        if compiled(first, rows_first=rows_first) is not whole:  # numbers that lie otherwise take other operations
            first, second = (self._again(result) for result in self.results[-2:])
            whole = compiled(second, rows_first=rows_first)
        if compiled(first, rows_first=rows_first) is not whole or not same_tensors(first, second):
            raise RefusedError("does not do the same at every call")
        h, q, *x, _, _ = self.results[-1]
        traced = Traced(self.step, whole, [second.tensors[i] for i in second.externals], (h, q, x))
        with torch.no_grad():
            constants = traced.compiled.constants(traced.externals)
            for result in self.results[-2:]:
                self._check(traced, constants, [value.detach() for value in result])
        return traced

    def _again(self, result: tuple[Any, ...]) -> Recording:
        """A recording of a step whose state, tangent vectors and inputs lie in memory as their axes go."""
        given = [value.detach().clone(memory_format=torch.contiguous_format) for value in result[:-2]]
        given = [g.requires_grad_(value.requires_grad) for g, value in zip(given, result, strict=False)]
        found, _ = record(lambda *tensors: advance(self.step, *tensors), given)
        if isinstance(found, str):
            raise RefusedError(found)
        self._compare()
        return found

    def _check(self, traced: Traced, constants: list[Tensor], result: list[Tensor]) -> None:
        """Raise a RefusedError where the replayed step gives other numbers than the map."""
        h, q, *x, after, pushed = result
        whole, stages = traced.compiled, traced.compiled.stages
        drives = [d[0] for d in whole.drives(constants, x[0][None] if x else None)]
        twice = evaluate(stages.body, [after, pushed, *drives, *constants])
        with whole.program() as program:
            for number, value in zip(stages.body.inputs, (h, q, *drives, *constants), strict=True):
                program.bind(number, value)
            # A second step from where the first one ends: state and tangent vectors may share memory with results.
            for wanted in ((after, pushed), twice):
                program.run()
                if not all(alike(a, b) for a, b in zip(program.results, wanted, strict=True)):
                    raise RefusedError("gives other numbers when it is replayed")
                program.feed_back()


def probe_of(step: Step, chain: Chain) -> Probe | None:
    """A probe of a chain that may be replayed and is long enough to gain from it."""
    tensors = [chain.h, chain.q] if chain.inputs is None else [chain.h, chain.q, chain.inputs]
    if not chain.traced or chain.steps < _LEAST or chain.orthonormaliser is not orthonormalise:
        return None
    if any(t.device.type != "cpu" or type(t) not in (Tensor, torch.nn.Parameter) for t in tensors):
        return None
    if is_transformed(*tensors) or torch._C._len_torch_dispatch_stack() or torch.compiler.is_compiling():
        return None
    return Probe(step, chain)


def say(reason: str, seconds: float) -> None:
    """That a step is not replayed, once; as a warning where it costs much."""
    if reason not in _said:
        _said.add(reason)
        level = logging.WARNING if seconds > _NOTICED else logging.INFO
        LOGGER.log(level, "floss: the map %s, so that its tangent step is computed anew at every step", reason)
