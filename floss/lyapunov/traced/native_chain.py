"""Steps of a chain without gradients as one call of compiled code."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from floss.lyapunov.traced.emission import Emission
from floss.lyapunov.traced.native import Native, addresses, copied, native, over_batch, pointer, type_of
from floss.lyapunov.traced.replay import Program


class NativeChain:
    """A program whose steps, one after the other, are one call."""

    def __init__(self, code: Native, driven: Sequence[int]) -> None:
        """Of compiled code, and the numbers of what changes from step to step."""
        self._code, self.program = code, code.program
        self._driven = [self.program.value(number) for number in driven]

    def __call__(
        self, steps: int, ends: Tensor, diagonals: Tensor, drives: Sequence[Tensor], first: int, work: Tensor
    ) -> None:
        """Steps, each with its rows of `drives` [T, ...] from `first` on.

        `ends` [steps] says after which of them the tangent vectors are orthonormalised; the diagonals of R are written
        into `diagonals` [M, ..., k], in float64.
        """
        sizes = [value.numel() * value.element_size() for value in self._driven]
        rows = addresses([d.data_ptr() + first * size for d, size in zip(drives, sizes, strict=True)])
        self._code.call("floss_chain", ctypes.c_long(steps), pointer(ends), pointer(diagonals), rows, pointer(work))


def native_chain(
    program: Program, driven: Sequence[int], constants: Sequence[int], *, build: bool
) -> NativeChain | None:
    """The steps of a program, as `native` has it."""
    code = native(program, constants, lambda emission: _text(emission, driven), build=build)
    return None if code is None else NativeChain(code, driven)


def work_of(q: Tensor) -> Tensor:
    """Memory for the QR decompositions of a chain."""
    n, k = q.shape[-2:]
    return torch.empty(n * k + 2 * k * k, dtype=torch.float64)


def _text(emission: Emission, driven: Sequence[int]) -> str:
    """The loop over steps."""
    program = emission.program
    h, q = (program.value(number) for number in program.graph.inputs[:2])
    after, pushed = program.results[:2]
    n, k = q.shape[-2:]
    drives = []
    for i, number in enumerate(driven):
        value = program.value(number)
        kind, size = type_of(value), value.numel()
        place = emission.place(value)
        drives.append(f"std::memcpy({place}, ({kind}*)drives[{i}] + s * {size}, sizeof({kind}) * {size});")

    def entry(t: Tensor, at: str) -> str:
        return f"({emission.place(t)})[{at} + i * {t.stride(-2)} + j * {t.stride(-1)}]"

    each = f"for (int j = 0; j < {k}; j++) for (int i = 0; i < {n}; i++)"
    start = " + ".join([f"b{j} * {s}" for j, s in enumerate(pushed.stride()[:-2])] or ["0"])
    diagonal = f"for (int i = 0; i < {k}; i++) diagonals[i] = r[(long)i * {k + 1}];"
    return "\n".join(
        [
            'extern "C" void floss_chain(char** p, void** f, long steps, const unsigned char* ends, double* diagonals,',
            "                            char** drives, double* work) {",
            "(void)drives; floss_begin(p);",
            f"auto* a = ({type_of(q)}*)work; auto* r = a + {n * k};",
            "for (long s = 0; s < steps; s++) {",
            *drives,
            "floss_body(p, f);",
            "if (ends[s]) {",
            over_batch(
                q,
                f"{each} a[j * {n} + i] = {entry(pushed, start)};\n"
                f"orthonormalise({n}, {k}, a, {n}, r, r + {k * k});\n"
                f"{diagonal} diagonals += {k};\n"
                f"{each} {entry(q, 'at')} = a[j * {n} + i];",
            ),
            "} else {",
            copied(emission, q, pushed),
            "}",
            copied(emission, h, after),
            "} }",
        ]
    )
