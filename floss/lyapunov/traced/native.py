"""Chains of a recorded step as one call of compiled code, where there is a compiler, and the run is long enough.

Compiling takes about a second, once for a step of some sizes on a machine; it is done for steps that have been replayed
for longer than that already, and for those that were compiled before.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.blas import blas, instructions
from floss.lyapunov.compiler import BuildError, built_text, load
from floss.lyapunov.traced.emission import TYPES, Emission, UnknownError
from floss.lyapunov.traced.replay import Program

WORTH = 4.0
"""Seconds of replaying for which compiling pays, which takes one to three."""
_MOST_LINES = 6000
"""Operations of a step that a compiler does in a few seconds."""

_HEAD = """
#include <cmath>
#include <cstring>
typedef const char* C; typedef const int* I;
#define PRODUCTS(T, x, gemm_at, gemv_at) \\
static inline void x##gemm(void** f, char ta, char tb, int m, int n, int k, const T* a, int lda, \\
                           const T* b, int ldb, T* c, int ldc, int beta) { \\
    T one = 1, keep = beta; \\
    ((void (*)(C, C, I, I, I, const T*, const T*, I, const T*, I, const T*, T*, I))f[gemm_at])( \\
        &ta, &tb, &m, &n, &k, &one, a, &lda, b, &ldb, &keep, c, &ldc); } \\
static inline void x##gemv(void** f, char t, int m, int n, const T* a, int lda, const T* v, int inc, T* c, \\
                           int beta) { \\
    T one = 1, keep = beta; int step = 1; \\
    ((void (*)(C, I, I, const T*, const T*, I, const T*, I, const T*, T*, I))f[gemv_at])( \\
        &t, &m, &n, &one, a, &lda, v, &inc, &keep, c, &step); }
PRODUCTS(double, d, 0, 2)
PRODUCTS(float, s, 1, 3)
#define FACTOR(T, geqrf_at, orgqr_at) \\
static inline void factor(void** f, int n, int k, T* a, double* diagonal, T* work, int size) { \\
    int info; T* tau = work; T* rest = work + k; \\
    ((void (*)(I, I, T*, I, T*, T*, I, int*))f[geqrf_at])(&n, &k, a, &n, tau, rest, &size, &info); \\
    for (int i = 0; i < k; i++) diagonal[i] = a[(long)i * n + i]; \\
    ((void (*)(I, I, I, T*, I, T*, T*, I, int*))f[orgqr_at])(&n, &k, &k, a, &n, tau, rest, &size, &info); }
FACTOR(double, 4, 5)
FACTOR(float, 6, 7)
extern "C" int floss_supported() { return SUPPORTED; }
"""
_SUPPORTED = {
    "PORTABLE": "1",
    "AVX2": '__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")',
    "AVX512": '__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")'
    ' && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")',
}


class Native:
    """A program whose calls are one, and a chain of its steps another.

    The program has memory for all its inputs.
    """

    def __init__(
        self, program: Program, source: str, library: Any, buffers: list[Tensor], driven: Sequence[int]
    ) -> None:
        """Of a program and the library that was built of its source."""
        self.program, self.source, self.library = program, source, library
        self._buffers = buffers
        starts = [b.untyped_storage().data_ptr() for b in buffers]
        self._places = (ctypes.c_void_p * max(len(starts), 1))(*starts)
        self._driven = [program.value(number) for number in driven]

    def run(self) -> None:
        """The body once."""
        self.library.floss_body(self._places, blas())

    def chain(
        self, steps: int, ends: Tensor, diagonals: Tensor, drives: Sequence[Tensor], first: int, work: Tensor
    ) -> None:
        """Steps one after the other, each with its rows of `drives` [T, ...] from `first` on.

        `ends` [steps] says after which of them the tangent vectors are orthonormalised; the diagonals of R are written
        into `diagonals` [M, ..., k], in float64.
        """
        rows = [d.data_ptr() + first * v.numel() * v.element_size() for d, v in zip(drives, self._driven, strict=True)]
        pointers = (ctypes.c_void_p * max(len(rows), 1))(*rows)
        places = (ctypes.c_void_p(t.data_ptr()) for t in (ends, diagonals))
        self.library.floss_chain(
            self._places, blas(), ctypes.c_long(steps), *places, pointers, ctypes.c_void_p(work.data_ptr())
        )


def native(program: Program, driven: Sequence[int], *, build: bool, chain: bool = True) -> Native | None:
    """Compiled code of a program without inputs that are given anew; None where there is none, or not yet.

    Args:
        program: with the state and the tangent vectors as its first two inputs and outputs.
        driven: inputs that change from step to step.
        build: whether to compile it where it has not been compiled before.
        chain: whether a chain of its steps is wanted.
    """
    if blas() is None:
        return None
    used = instructions()
    try:
        source, buffers = _source(program, driven, used, chain)
        path = built_text(source, "step", used, build=build)
        if path is None:
            return None
        library = load(path, "floss_supported")
    except (UnknownError, BuildError):
        return None
    return Native(program, source, library, buffers, driven) if library.floss_supported() else None


def can_be_emitted(program: Program, driven: Sequence[int]) -> bool:
    """Whether all operations of a program are known."""
    try:
        _source(program, driven, "PORTABLE", False)
    except UnknownError:
        return False
    return True


def _source(program: Program, driven: Sequence[int], instructions: str, chain: bool) -> tuple[str, list[Tensor]]:
    emission = Emission(program)
    body, emission.lines = emission.lines, []
    if len(body) > _MOST_LINES:
        raise UnknownError("too many operations")
    text = [_HEAD.replace("SUPPORTED", _SUPPORTED.get(instructions, "1"))]
    text += [_function(body)]
    if chain:
        text.append(_chain(program, emission, driven))
    return "\n".join(text), emission.buffers


def _function(body: list[str]) -> str:
    return "\n".join(['extern "C" void floss_body(char** p, void** f) {', *body, "(void)p; (void)f; }"])


def _chain(program: Program, emission: Emission, driven: Sequence[int]) -> str:
    """The loop over steps."""
    h, q = (program.value(number) for number in program.graph.inputs[:2])
    after, pushed = program.results[:2]
    *batch, n, k = q.shape

    def copied(target: Tensor, source: Tensor) -> str:
        emission.lines = []
        if target.data_ptr() != source.data_ptr() or target.stride() != source.stride():
            emission.copy(target, source)
        return "\n".join(emission.lines)

    drives = []
    for i, number in enumerate(driven):
        value = program.value(number)
        kind, size = TYPES.get(value.dtype), value.numel()
        if kind is None:
            raise UnknownError(f"{value.dtype}")
        place = emission.place(value)
        drives.append(f"std::memcpy({place}, ({kind}*)drives[{i}] + s * {size}, sizeof({kind}) * {size});")
    loops = " ".join(f"for (long b{j} = 0; b{j} < {size}; b{j}++)" for j, size in enumerate(batch))

    def index(t: Tensor) -> str:
        parts = [f"b{j} * {s}" for j, s in enumerate(t.stride()[:-2])]
        return " + ".join([*parts, f"i * {t.stride()[-2]}", f"j * {t.stride()[-1]}"])

    each = f"for (int j = 0; j < {k}; j++) for (int i = 0; i < {n}; i++)"
    lines = [
        'extern "C" void floss_chain(char** p, void** f, long steps, const unsigned char* ends, double* diagonals,',
        "                            char** drives, double* work) {",
        "(void)drives;",
        f"{TYPES[q.dtype]}* a = ({TYPES[q.dtype]}*)work; auto* rest = a + {n * k};",
        "for (long s = 0; s < steps; s++) {",
        *drives,
        "floss_body(p, f);",
        "if (ends[s]) {",
        f"{loops} {{",
        f"{each} a[j * {n} + i] = ({emission.place(pushed)})[{index(pushed)}];",
        f"factor(f, {n}, {k}, a, diagonals, rest, {32 * k}); diagonals += {k};",
        f"{each} ({emission.place(q)})[{index(q)}] = a[j * {n} + i];",
        "}",
        "} else {",
        copied(q, pushed),
        "}",
        copied(h, after),
        "} }",
    ]
    return "\n".join(lines)


def work_of(q: Tensor) -> Tensor:
    """Memory for the QR decompositions of a chain."""
    n, k = q.shape[-2:]
    return torch.empty(n * k + k + 32 * k + 64, dtype=torch.float64)
