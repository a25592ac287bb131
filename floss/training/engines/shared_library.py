"""The native engine's libraries, one for each architecture: built, loaded and checked once in a process."""

import ctypes
import functools

from floss.lyapunov.compiler import built, compiler, load, version
from floss.training.engines.calls import check_layouts
from floss.training.engines.processor import SOURCES, used_instructions

_FUNCTIONS = [f"floss_{loop}{what}" for loop in ("train", "floss") for what in ("", "_workspace", "_team", "_layout")]


@functools.cache
def library(arch: str) -> ctypes.CDLL:
    """The functions of `cpp/entry.h` for an architecture; built before, where they are not yet, which is said.

    Raises:
        BuildError: no compiler, or it does not build, or the cache folder cannot be written.
        RuntimeError: Python and C++ do not agree on the structs that they share.
    """
    path = built(SOURCES / f"{arch}.cpp", used_instructions(), notice=f"the native engine for arch={arch}")
    functions = load(path, *_FUNCTIONS)
    check_layouts(functions)
    return functions


def recipe() -> dict[str, str]:
    """What the bits of these libraries depend on: the instruction set, and what the compiler says of itself first."""
    return {
        "native_instructions": used_instructions(),
        "compiler": version(compiler() or ()).partition("\n")[0],
    }
