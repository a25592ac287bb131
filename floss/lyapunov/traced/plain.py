"""Replayed chains without gradients: few calls per step, and no look at a number before a chunk of steps is over.

As in `floss.networks.rate.fast_spectrum`: for small matrices calling an operation costs more than doing it. QR
decompositions are those of LAPACK, without signs, and a chunk is checked as a whole. Where only
the sum of the growth is wanted the intervals are lengthened while the condition number R_11/R_kk of each stays far
below the inverse of the precision, and the numbers within its range, so that the exponents do not depend on it. Where
a direction is lost, or a number is not finite, the run is done again step by step.
"""

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.orthonormalisation import size_bound
from floss.lyapunov.step import TangentStep, next_state
from floss.lyapunov.threads import one_thread
from floss.lyapunov.traced.native_chain import NativeChain, work_of
from floss.lyapunov.traced.operations import alike
from floss.lyapunov.traced.probe import Traced
from floss.lyapunov.traced.recording import RefusedError
from floss.lyapunov.traced.replay import Program

_WIDEST = {torch.float64: math.log(1e5), torch.float32: math.log(30.0)}
"""Largest logarithm of the condition number of an interval that is longer than was asked for."""
LOST = {torch.float64: math.log(4e11), torch.float32: math.log(1e5)}
"""Logarithm of a condition number at which the smallest direction may be rounding noise."""
_FIRST_CHUNK, _CHUNK, _LONG_CHUNK, _LONGEST = 8, 128, 1024, 16
"""Steps of the first chunk, of the others, of those of compiled code, and of an interval, at most."""


class LostError(Exception):
    """A direction is lost, or a number is not finite: the run needs a look at every step."""


def plain_chain(traced: Traced, chain: Chain, *, total: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What `floss.lyapunov.iteration.qr_chain` returns, without gradients.

    Raises:
        LostError: as it says.
        RefusedError: the map is not that of its first steps any more.
    """
    with torch.no_grad(), one_thread(numbers_in(chain.q)), traced.compiled.program() as program:
        return _Run(traced, chain, program, total).all()


class _Run:
    def __init__(self, traced: Traced, chain: Chain, program: Program, total: bool) -> None:
        self.traced, self.chain, self.total = traced, chain, total
        self.stages = traced.compiled.stages
        self.constants = traced.compiled.constants([t.detach() for t in traced.externals])
        self.native: NativeChain | None = None
        self.work = work_of(chain.q)
        self._take(program, chain.h, chain.q)
        self.sign = torch.ones_like(self.q[..., 0, :])
        self.shortest = self.length = chain.t_ons

    def _take(self, program: Program, h: Tensor, q: Tensor) -> None:
        """Go on with a program from a state and tangent vectors."""
        for number, value in zip(self.stages.constants, self.constants, strict=True):
            program.bind(number, value)
        self.program = program
        self.h, self.q = (program.tensors[number] for number in self.stages.body.inputs[:2])
        self.after, self.pushed = program.results
        self.h.copy_(h)
        self.q.copy_(q)

    def all(self) -> tuple[Tensor, Tensor, Tensor]:
        """Growth, last state and last tangent vectors."""
        chain, growth, size, number = self.chain, list[Tensor](), _FIRST_CHUNK, 0
        start_time, done = time.perf_counter(), 0
        with contextlib.ExitStack() as stack:
            for start, stop in ((0, chain.transient), (chain.transient, chain.steps)):
                begin = start
                while begin < stop:
                    end = min(begin + size, stop)
                    found = self._chunk(begin, end, stop, check=number & (number - 1) == 0)
                    if start == chain.transient and len(found):
                        growth.append(found.sum(0, keepdim=True) if self.total else found)
                    begin, size, number, done = (
                        end,
                        _CHUNK if self.native is None else _LONG_CHUNK,
                        number + 1,
                        done + end - begin,
                    )
                    if self.native is None and number & (number - 1) == 0:
                        elapsed = time.perf_counter() - start_time
                        self._compile(stack, elapsed / done * (chain.steps - done) + elapsed)
        if self.native is None:
            self.traced.compiled.spent += time.perf_counter() - start_time
        whole = torch.cat(growth)
        if self.total:
            whole = whole.sum(0, keepdim=True).to(chain.sums or self.q.dtype)
        return whole.to(whole.dtype if self.total else self.q.dtype), self.h.clone(), self.q * self.sign[..., None, :]

    def _compile(self, stack: contextlib.ExitStack, seconds: float) -> None:
        """Go on by compiled code, where a run of so many seconds is worth it."""
        drives = self._drives(0, 1)
        values = [self.h, self.q, *(d[0] for d in drives), *self.constants]
        self.native = stack.enter_context(self.traced.compiled.native(seconds, [v.clone() for v in values]))
        if self.native is not None:
            self._take(self.native.program, self.h, self.q)

    def _drives(self, begin: int, end: int) -> list[Tensor]:
        """What the inputs of some steps determine, each [steps, ...]."""
        inputs = None if self.chain.inputs is None else self.chain.inputs[begin:end].detach()
        return [d.contiguous() for d in self.traced.compiled.drives(self.constants, inputs)]

    def _chunk(self, begin: int, end: int, stop: int, *, check: bool) -> Tensor:
        """Log R_ii of the intervals that end in a chunk of steps [M, ..., k]."""
        drives = self._drives(begin, end)
        h, q = self.h.clone(), self.q.clone()
        wanted = self._first(begin, h) if check else None
        while True:
            diagonals = self._bare(end - begin, drives, self._ends(begin, end, stop), wanted)
            if not len(diagonals):
                return torch.zeros(0)
            diagonal = diagonals if isinstance(diagonals, Tensor) else torch.stack(diagonals)
            log_r = diagonal.abs().log_()
            spread = float((log_r.amax(-1) - log_r.amin(-1)).amax())
            filled = self._filled(log_r, spread)
            if not math.isfinite(spread):
                fitting = 1
            elif not self.total or self.length <= self.shortest or filled <= 1.0:
                if spread >= LOST[self.q.dtype]:
                    raise LostError
                break
            else:
                fitting = int(0.95 * self.length / filled)
            if self.length <= self.shortest:
                raise LostError
            self.length = max(fitting, self.shortest)
            self.h.copy_(h)
            self.q.copy_(q)
        if self.total:
            fitting = int(0.9 * self.length / max(filled, 1e-3))
            self.length = max(min(max(fitting, self.length), _LONGEST), self.shortest)
        self.sign *= diagonal.sign().prod(0)
        return log_r

    def _filled(self, log_r: Tensor, spread: float) -> float:
        """Which part the intervals take of what the condition number, and the numbers themselves, may come to."""
        return max(spread / _WIDEST[self.q.dtype], float(log_r.abs().amax()) / size_bound(self.q.dtype))

    def _ends(self, begin: int, end: int, stop: int) -> set[int]:
        """Steps of a chunk after which the tangent vectors are orthonormalised, counted from its begin."""
        if self.length > self.chain.t_ons:
            return {*range(self.length, end - begin, self.length), end - begin}
        part = 0 if begin < self.chain.transient else self.chain.transient
        length = self.chain.t_ons
        return {s - begin for s in range(begin + 1, end + 1) if (s - part) % length == 0 or s == stop}

    def _first(self, begin: int, h: Tensor) -> Tensor:
        """The state after the first step of a chunk, by the map itself."""
        return next_state(self.traced.step, h.clone(), *(x.detach() for x in self.chain.input(begin)))

    def _bare(
        self, steps: int, drives: Sequence[Tensor], ends: set[int], wanted: Tensor | None
    ) -> list[Tensor] | Tensor:
        """Through the steps of a chunk; the diagonals of R, whatever their signs."""
        if self.native is not None:
            return self._compiled(steps, drives, ends, wanted)
        h, q, after, pushed = self.h, self.q, self.after, self.pushed
        copies = [(a, b) for a, b in ((h, after), (q, pushed)) if a.data_ptr() != b.data_ptr()]
        of_state = [pair for pair in copies if pair[0] is h]
        give, rows = self.program.ports(self.stages.driven), list(zip(*(d.unbind(0) for d in drives), strict=True))
        calls, diagonals, qr = self.program.calls, list[Tensor](), torch.linalg.qr
        for s in range(steps):
            if rows:
                give(rows[s])
            for function, args, kwargs in calls:
                function(*args, **kwargs)
            if wanted is not None and s == 0:
                self._compare(wanted)
            if s + 1 in ends:
                vectors, r = qr(pushed)
                q.copy_(vectors)
                diagonals.append(r.diagonal(dim1=-2, dim2=-1).double())
                for target, source in of_state:
                    target.copy_(source)
            else:
                for target, source in copies:
                    target.copy_(source)
        return diagonals

    def _compiled(self, steps: int, drives: Sequence[Tensor], ends: set[int], wanted: Tensor | None) -> Tensor:
        """The same by compiled code."""
        assert self.native is not None
        marks = torch.zeros(steps, dtype=torch.uint8)
        marks[[s - 1 for s in ends]] = 1
        *batch, _, k = self.q.shape
        diagonals = torch.empty(len(ends), *batch, k, dtype=torch.float64)
        first = int(wanted is not None)
        if wanted is not None:
            self.native(1, marks, diagonals, drives, 0, self.work)
            self._compare(wanted)
        self.native(steps - first, marks[first:], diagonals[int(marks[:first].sum()) :], drives, first, self.work)
        return diagonals

    def _compare(self, wanted: Tensor) -> None:
        if not alike(self.after, wanted):
            raise RefusedError("does not do the same at every call")


def numbers_in(q: Tensor) -> int:
    """How many numbers the tangent vectors of one trajectory have."""
    return q.shape[-1] * q.shape[-2]


class Replayed(TangentStep):
    """A traced step as a map with its derivative, for chains that need a look at every step."""

    def __init__(self, traced: Traced) -> None:
        """Of a traced step, with the numbers that its tensors have now."""
        self.traced = traced
        self.constants = traced.compiled.constants([t.detach() for t in traced.externals])

    def __call__(self, h: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.traced.step(h, *args, **kwargs)

    def advance(self, h: Tensor, q: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        compiled = self.traced.compiled
        stages, drives = compiled.stages, compiled.drives(self.constants, args[0][None] if args else None)
        with compiled.program() as program:
            values = (*(d[0] for d in drives), *self.constants)
            for number, value in zip((*stages.driven, *stages.constants), values, strict=True):
                program.bind(number, value)
            for number, value in zip(stages.body.inputs[:2], (h, q), strict=True):
                program.tensors[number].copy_(value)
            program.run()
            after, pushed = (result.clone() for result in program.results)
        return after, pushed
