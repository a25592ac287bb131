"""Chains with a gradient as two calls of compiled code: forwards, keeping what the way back needs, and backwards.

What is kept of a step lies in rows of stacks, one for each step, on which both programs work in place.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from floss.lyapunov.traced.emission import Emission
from floss.lyapunov.traced.loops import UnknownError
from floss.lyapunov.traced.native import Native, Rows, addresses, copied, native, over_batch, pointer, type_of
from floss.lyapunov.traced.replay import Program


class NativeForward:
    """The steps of a chain as one call."""

    def __init__(self, code: Native) -> None:
        """Of compiled code with the function of `_forward`."""
        self.code = code

    def __call__(self, ends: Tensor, rows: Sequence[Tensor], factors: Tensor) -> None:
        """Fill the stacks of h, Q, drives and saved values of each step, in `rows`, and once more of h and Q.

        `ends` [T] says after which steps the tangent vectors are orthonormalised; their R are written into `factors`
        [M, ..., k, k], column by column, where its lower triangle is left as it is.
        """
        k = factors.shape[-1]
        work = torch.empty(k * k, dtype=factors.dtype)
        places = addresses([row.data_ptr() for row in rows])
        steps = ctypes.c_long(len(ends))
        self.code.call("floss_forward", steps, pointer(ends), places, pointer(factors), pointer(work))


class NativeBackward:
    """The reduced adjoint of a chain as one call."""

    def __init__(self, code: Native, cotangents: Sequence[int], totals: list[Tensor]) -> None:
        """Of compiled code with the function of `_backward`, which adds up `totals` over the steps."""
        self.code, self.totals = code, totals
        self._cotangents = [code.program.value(number) for number in cotangents]

    def __call__(
        self, ends: Tensor, rows: Sequence[Tensor], factors: Tensor, slopes: Tensor, gh: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the first state and tangent vectors.

        Args:
            ends: as forwards, with 2 for those of the intervals that count.
            rows: the stacks of h, Q, drives and saved values of each step, those that are to be filled with what is
                kept backwards, and once more of Q.
            factors: R of all intervals.
            slopes: gradient of their log R_ii [M', ..., k], or one row for all that count.
            gh: gradient of the last state.
        """
        for total in self.totals:
            total.zero_()
        cot_h, cot_q = self._cotangents
        cot_h.copy_(gh)
        cot_q.zero_()
        k = factors.shape[-1]
        work = torch.empty(k * min(k, 32), dtype=factors.dtype)  # PANEL of cpp/orthonormal.h
        back = 0 if len(slopes) == 1 else slopes[0].numel()
        places = addresses([row.data_ptr() for row in rows])
        ends_at = (pointer(factors[-1]), pointer(slopes[-1]), ctypes.c_long(back))
        self.code.call("floss_backward", ctypes.c_long(len(ends)), pointer(ends), places, *ends_at, pointer(work))
        return cot_h.clone(), cot_q.clone()


def native_forward(
    program: Program, constants: Sequence[int], drives: Sequence[int], saved: Sequence[Tensor], *, build: bool
) -> NativeForward | None:
    """Compiled steps that keep what the way back needs.

    Args:
        program: of a step.
        constants: its inputs that do not change within a run.
        drives: its inputs that change from step to step, besides state and tangent vectors.
        saved: memory of the values that are kept.
        build: whether to compile it where it has not been compiled before.
    """
    code = native(program, constants, lambda emission: _forward(emission, drives, saved), build=build)
    return None if code is None else NativeForward(code)


def native_backward(
    program: Program,
    constants: Sequence[int],
    drives: Sequence[int],
    given: Sequence[Tensor],
    cotangents: Sequence[int],
    gradients: Sequence[Tensor | None],
    kept: Sequence[Tensor],
    added: Sequence[Tensor],
    *,
    build: bool,
) -> NativeBackward | None:
    """The compiled reverse of a step, and its chain.

    Args:
        program: of the reverse.
        constants: its inputs that do not change within a run.
        drives: its inputs that change from step to step, besides state and tangent vectors.
        given: memory of the saved values.
        cotangents: of the state and of the tangent vectors.
        gradients: results that are the gradients of these two; None for zeros.
        kept: results that are kept of every step.
        added: results that are added up.
        build: whether to compile it where it has not been compiled before.
    """
    totals = [torch.zeros_like(out) for out in added]

    def text(emission: Emission) -> str:
        return _backward(emission, drives, given, cotangents, gradients, kept, list(zip(totals, added, strict=True)))

    code = native(program, constants, text, build=build)
    return None if code is None else NativeBackward(code, cotangents, totals)


def _rows(emission: Emission, drives: Sequence[int], pieces: Sequence[Tensor]) -> Rows:
    """What both ways have of every step: h, Q, drives, and saved values."""
    rows, program = Rows(emission), emission.program
    for number in (*program.graph.inputs[:2], *drives):
        rows.add(program.value(number))
    for piece in pieces:
        rows.add(piece)
    return rows


def _vectors(q: Tensor) -> tuple[int, int, int]:
    """N, k, and the distance of two tangent vectors in memory."""
    n, k = q.shape[-2:]
    if q.stride(-2) != 1:
        raise UnknownError("tangent vectors in pieces")
    return n, k, max(q.stride(-1), n)


def _start(emission: Emission) -> str:
    """Places of its own, which a step may change."""
    count = len(emission.buffers)
    return f"char* p[{count}]; std::memcpy(p, fixed, sizeof p); floss_begin(p);"


def _forward(emission: Emission, drives: Sequence[int], saved: Sequence[Tensor]) -> str:
    program = emission.program
    h, q = (program.value(number) for number in program.graph.inputs[:2])
    after, pushed = program.results[:2]
    rows, next_h, next_q = _rows(emission, drives, saved), torch.empty_like(h), torch.empty_like(q)
    for tensor in (next_h, next_q):
        rows.add(tensor, 1)
    n, k, lead = _vectors(next_q)
    kind = type_of(q)
    orthonormalise = f"""orthonormalise({n}, {k}, {emission.place(next_q)} + at, {lead}, r, work);
r += {k * k};"""
    copies = [copied(emission, next_h, after), copied(emission, next_q, pushed)]
    return "\n".join(
        [
            'extern "C" void floss_forward(char** fixed, void** f, long steps, const unsigned char* ends, char** rows,',
            f"                              {kind}* r, {kind}* work) {{",
            _start(emission),
            "for (long s = 0; s < steps; s++) {",
            rows.text,
            "floss_body(p, f);",
            *copies,
            "if (ends[s])",
            over_batch(next_q, orthonormalise),
            "} }",
        ]
    )


def _backward(
    emission: Emission,
    drives: Sequence[int],
    given: Sequence[Tensor],
    cotangents: Sequence[int],
    gradients: Sequence[Tensor | None],
    kept: Sequence[Tensor],
    added: Sequence[tuple[Tensor, Tensor]],
) -> str:
    program = emission.program
    rows = _rows(emission, drives, given)
    each = [(torch.empty_like(out), out) for out in kept]
    for target, _ in each:
        rows.add(target)
    cot_h, cot_q = (program.value(number) for number in cotangents)
    next_q = torch.empty_like(cot_q)
    rows.add(next_q, 1)
    n, k, lead = _vectors(cot_q)
    kind, batch = type_of(cot_q), cot_q[..., 0, 0].numel()
    of_q, of_cot = (f"{emission.place(t)} + at" for t in (next_q, cot_q))
    adjoint = f"""adjoint({n}, {k}, {of_q}, factor, slope, {of_cot}, {lead}, work);
factor += {k * k}; if (slope) slope += {k};"""
    ends = over_batch(cot_q, adjoint)
    steps = []
    for target, source in [*each, *zip((cot_h, cot_q), gradients, strict=True)]:
        if source is not None:
            steps.append(copied(emission, target, source))
        else:
            emission.lines = []
            emission.pointwise("{0}", target, [0])
            steps += emission.lines
    for total, out in added:
        emission.lines = []
        emission.pointwise("@ + {0}", total, [out])
        steps += emission.lines
    return "\n".join(
        [
            'extern "C" void floss_backward(char** fixed, void** f, long steps, const unsigned char* ends,',
            f"char** rows, const {kind}* r, const {kind}* g, long back, {kind}* work) {{",
            _start(emission),
            "for (long s = steps - 1; s >= 0; s--) {",
            rows.text,
            "if (ends[s]) {",
            f"const {kind} *factor = r, *slope = ends[s] == 2 ? g : 0;",
            ends,
            f"r -= {batch * k * k}; if (ends[s] == 2) g -= back;",
            "}",
            "floss_body(p, f);",
            *steps,
            "} }",
        ]
    )
