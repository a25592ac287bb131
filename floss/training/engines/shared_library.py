"""The native engine's library: built, loaded and checked once in a process."""

import ctypes
import functools
from dataclasses import dataclass

from floss.lyapunov.compiler import built, compiler, load, version
from floss.training.engines.calls import check_layouts
from floss.training.engines.processor import SOURCES, used_instructions

SOURCE = SOURCES / "native.cpp"


@dataclass(frozen=True)
class Library:
    """The functions of `native.cpp`, and what their bits depend on."""

    functions: ctypes.CDLL
    instructions: str
    """The instruction set that it was built for."""
    compiler: str
    """The first line of what the compiler says of itself."""


@functools.cache
def library() -> Library:
    """The library for this machine; built before, where this has not been done yet, which is said in one line.

    Raises:
        BuildError: no compiler, or it does not build, or the cache folder cannot be written.
        RuntimeError: Python and C++ do not agree on the structs that they share.
    """
    instructions = used_instructions()
    functions = load(built(SOURCE, instructions, notice="the native engine"))
    check_layouts(functions)
    return Library(functions, instructions, version(compiler() or ()).partition("\n")[0])
