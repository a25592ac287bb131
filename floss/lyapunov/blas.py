"""The BLAS and the LAPACK of torch by their addresses, and the instructions that it uses, for code that is compiled."""

import ctypes
import functools
from typing import Any

import torch

from floss.lyapunov.compiler import INSTRUCTION_SETS

_NAMES = ("gemm_", "gemv_", "geqrf_", "orgqr_")


@functools.cache
def blas() -> Any:
    """Addresses of dgemm, sgemm, and so on for gemv, geqrf and orgqr; None where torch has none."""
    try:
        library = ctypes.CDLL("libtorch_cpu.so")
        found = [ctypes.cast(getattr(library, kind + name), ctypes.c_void_p) for name in _NAMES for kind in "ds"]
    except (OSError, AttributeError):
        return None
    return (ctypes.c_void_p * len(found))(*found)


def instructions() -> str:
    """The instruction set that torch uses, one of `compiler.INSTRUCTION_SETS`."""
    capability = torch.backends.cpu.get_cpu_capability()
    return capability if capability in INSTRUCTION_SETS else INSTRUCTION_SETS[0]
