"""Engines, the implementations of the two hot loops that `engine=` chooses from.

`torch` (`torch_engine`) runs everything everywhere and is the reference; on GPUs its epochs are replayed as CUDA graphs
(`graph`). `native` is for rate networks and gated cells on CPUs, `convolution` for linear students that learn from a
linear teacher.
"""

import functools
import logging

from floss.lyapunov.compiler import BuildError, compiler
from floss.networks.linear_students import CELLS as LINEAR_STUDENTS
from floss.training.engine import Engine
from floss.training.engines.call_arguments import NAMES, TASK_NUMBERS
from floss.training.engines.convolution import ConvolutionEngine
from floss.training.engines.graph import GraphEngine
from floss.training.engines.native import NativeEngine
from floss.training.engines.processor import lower_capability
from floss.training.engines.shared_library import library
from floss.training.engines.torch_engine import TorchEngine

LOGGER = logging.getLogger("floss")

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (TorchEngine, GraphEngine, NativeEngine, ConvolutionEngine)
}


def available(device: str) -> list[str]:
    """Names of the engines that work here for vanilla networks."""
    lower_capability()
    if device == "cuda":
        return ["torch", "graph"]
    return ["torch", "native"] if _native_reason("vanilla") is None else ["torch"]


def find(name: str, *, arch: str, device: str, task: str = "xor") -> type[Engine]:
    """The engine of this name; of `auto` the fastest that works here, with a warning where it could be faster.

    Raises:
        BuildError: `native` is asked for and cannot be built here.
    """
    lower_capability()
    if name == "native":
        library(arch)
    if name == "auto" and task == "teacher" and arch in LINEAR_STUDENTS:
        return ConvolutionEngine
    if device == "cuda" and name in ("auto", "torch"):
        return GraphEngine
    if name != "auto":
        return ENGINES[name]
    if arch not in NAMES or task not in TASK_NUMBERS:
        return TorchEngine
    reason = _native_reason(arch)
    if reason is None:
        return NativeEngine
    _warn(reason)
    return TorchEngine


@functools.cache
def _native_reason(arch: str) -> str | None:
    """Why the native engine cannot be used for an architecture; None where it can."""
    try:
        library(arch)
    except BuildError as error:
        return str(error)
    return None


@functools.cache
def _warn(reason: str) -> None:
    LOGGER.warning("the native engine cannot be used, so training is slower: %s", reason)


__all__ = ["ENGINES", "BuildError", "available", "compiler", "find"]
