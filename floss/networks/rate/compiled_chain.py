"""Steps of one rate network as one call of compiled code (`cpp/rate_chain.cpp`), where there is a compiler.

One library serves all sizes; it is built where it is first asked for, in half a second. Whether there is one depends on
the machine alone, and so do the last digits of what it gives.
"""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.blas import blas, instructions
from floss.lyapunov.compiler import BuildError, built, load
from floss.networks.rate.activation import Activation

_SOURCE = Path(__file__).with_name("cpp") / "rate_chain.cpp"
_DTYPES = {torch.float64: "float64", torch.float32: "float32"}


@functools.cache
def _library() -> Any:
    """The library; None where it cannot be built or used."""
    if blas() is None:
        return None
    try:
        library = load(built(_SOURCE, instructions()), "floss_supported")
    except BuildError:
        return None
    return library if library.floss_supported() else None


class CompiledChain:
    """Steps of h [N] and of tangent vectors as rows [k, N] through Wᵀ [N, N], contiguous."""

    def __init__(self, function: Any, Wt: Tensor, k: int) -> None:
        """Of a function of the library."""
        self._function, self._Wt, self._k = function, Wt, k
        n = len(Wt)
        self._scaled, self._after = (torch.empty(k + 1, n, dtype=Wt.dtype) for _ in range(2))
        self._work = torch.empty(33 * k + 64, dtype=Wt.dtype)

    def __call__(self, h: Tensor, rows: Tensor, drive: Tensor, ends: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """The state and the tangent vectors after the steps of drive [C, N], and the diagonals of R [M, k] in float64.

        `ends` are the steps, counted from 1, after which the tangent vectors are orthonormalised.
        """
        h, rows, drive = h.clone(), rows.clone(memory_format=torch.contiguous_format), drive.contiguous()
        marks = torch.zeros(len(drive), dtype=torch.uint8)
        marks[[end - 1 for end in ends]] = 1
        diagonals = torch.empty(len(ends), self._k, dtype=torch.float64)
        tensors = (self._Wt, drive, h, rows, marks, diagonals, self._scaled, self._after, self._work)
        sizes = (len(self._Wt), self._k, len(drive))
        self._function(blas(), *map(ctypes.c_long, sizes), *(ctypes.c_void_p(t.data_ptr()) for t in tensors))
        return h, rows, diagonals


def compiled_chain(Wt: Tensor, k: int, activation: Activation) -> CompiledChain | None:
    """Compiled steps of one network; None where there is no compiler, or no such transfer function in the library."""
    name, dtype = activation.compiled, _DTYPES.get(Wt.dtype)
    if name is None or dtype is None:
        return None
    library = _library()
    return None if library is None else CompiledChain(getattr(library, f"floss_{name}_{dtype}"), Wt, k)
