"""What Python objects a map keeps, so that one that changes them at each call is not taken for a function.

Looked at are the numbers, texts, containers, arrays and tensors that can be reached from a function's closure, globals
and defaults, from an object's attributes, and from those of a module that a function names. What has no attributes and
may hold something all the same (a deque, a buffer of bytes, an object of another language) is refused.
"""

import functools
import random
import types
import weakref
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from floss.lyapunov.traced.recording import RefusedError

_VALUES = (bool, int, float, complex, str, bytes, type(None))
_MOST = 5_000
"""Objects that are looked at, at most."""
_FOREIGN = {"torch", "numpy", "builtins", "functools", "jaxtyping", "beartype", "abc", "collections", "math", "typing"}
_FOREIGN |= {"floss"}
"""Packages whose globals and classes a map does not change, by their names."""
_LARGE = 2**16
"""Bytes of an array up to which its numbers are kept; of larger ones a checksum is."""
_CONSTANT = (
    *(np.generic, np.dtype, range, slice, type(...), types.CodeType, types.BuiltinFunctionType, weakref.ReferenceType),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)
"""Without attributes, and without anything that changes."""


def memory_of(step: Any) -> list[Any]:
    """What a map keeps, and the states of the random generators of Python and NumPy; equal as long as nothing changes.

    Raises:
        RefusedError: it holds an iterator, which tells nobody where it stands.
    """
    states = [random.getstate(), _frozen_state(np.random.get_state())]
    return states + _kept(step, _summary)


def likeness_of(step: Any) -> list[Any] | None:
    """The same but for numbers in tensors and the identity of the map itself, to know it again in another run.

    None where it keeps what cannot be looked at.
    """
    try:
        return _kept(step, _likeness, step.__code__ if isinstance(step, types.FunctionType) else id(step))
    except RefusedError:
        return None


def _kept(step: Any, summary: Callable[[Any], Any], root: Any = None) -> list[Any]:
    found: list[Any] = [root]
    seen: set[int] = set()
    stack: list[Any] = [step]
    while stack:
        thing = stack.pop()
        if isinstance(thing, _VALUES):
            found.append((type(thing), thing if thing == thing else repr(thing)))
        elif id(thing) not in seen:
            seen.add(id(thing))
            if len(seen) > _MOST:
                raise RefusedError("keeps more than can be looked at")
            found.append(type(thing) if thing is step and root is not None else summary(thing))
            stack += _inside(thing)
    return found


def _summary(thing: Any) -> Any:
    """What tells one object from another, and from itself after a change."""
    if isinstance(thing, Tensor):
        return id(thing), None if thing.is_inference() else thing._version
    if isinstance(thing, np.ndarray):
        numbers = thing.tobytes()
        return id(thing), numbers if len(numbers) <= _LARGE else zlib.crc32(numbers)
    if isinstance(thing, random.Random):
        return thing.getstate()
    if isinstance(thing, np.random.Generator):
        return _frozen_state(thing.bit_generator.state)
    if hasattr(type(thing), "__next__"):
        raise RefusedError(f"keeps a {type(thing).__name__}, which changes at every call")
    if isinstance(thing, list | tuple | set | frozenset):
        return id(thing), len(thing)
    if isinstance(thing, dict):
        return id(thing), tuple(map(str, thing))
    if _is_opaque(thing):
        raise RefusedError(f"keeps a {type(thing).__name__}, into which nobody can look")
    return id(thing)


def _is_opaque(thing: Any) -> bool:
    """Whether an object has no attributes that could be looked at, and is not known to be constant."""
    slots = any("__slots__" in vars(cls) and not _foreign(cls.__module__) for cls in type(thing).__mro__)
    return not (hasattr(thing, "__dict__") or slots or isinstance(thing, _CONSTANT))


def _likeness(thing: Any) -> Any:
    """The summary of what may be kept from one run to the next."""
    if isinstance(thing, Tensor):
        return id(thing), thing.requires_grad, tuple(thing.shape), thing.dtype
    known = (types.FunctionType, types.MethodType, types.ModuleType, types.BuiltinFunctionType, type, np.ndarray)
    plain = (list, tuple, dict, set, frozenset, functools.partial, torch.dtype, torch.device, weakref.ReferenceType)
    if not isinstance(thing, (*known, *plain)) and not hasattr(thing, "__dict__"):
        raise RefusedError("keeps what cannot be looked at")
    if isinstance(thing, np.ndarray) and thing.nbytes > _LARGE:
        raise RefusedError("keeps what cannot be looked at")
    if isinstance(thing, types.FunctionType):
        return thing.__code__
    if isinstance(thing, types.MethodType | tuple | dict | list | set | frozenset):  # made anew at each look
        return type(thing), len(thing) if not isinstance(thing, types.MethodType) else 0
    return _summary(thing)


def _frozen_state(state: Any) -> Any:
    if isinstance(state, dict):
        return tuple((name, _frozen_state(value)) for name, value in state.items())
    if isinstance(state, np.ndarray):
        return state.tobytes()
    return tuple(map(_frozen_state, state)) if isinstance(state, tuple) else state


def _inside(thing: Any) -> list[Any]:
    """What an object holds."""
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, types.FunctionType):
        return _of_function(thing)
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, types.ModuleType | type | Tensor | types.BuiltinFunctionType):
        return []
    inside = list(getattr(thing, "__dict__", {}).values())
    for cls in type(thing).__mro__:
        if _foreign(cls.__module__):
            continue
        slots = getattr(cls, "__slots__", ())
        inside += [getattr(thing, name, None) for name in ((slots,) if isinstance(slots, str) else slots)]
        inside += [value for name, value in vars(cls).items() if _counts(name, value)]
    return inside


def _counts(name: str, value: Any) -> bool:
    """Whether an attribute of a class is something that may change, or that computes."""
    if name == "__call__":
        return isinstance(value, types.FunctionType)
    kinds = (*_VALUES, list, dict, set, tuple, Tensor, np.ndarray, types.FunctionType)
    return not name.startswith("__") and isinstance(value, kinds)


def _of_function(function: types.FunctionType) -> list[Any]:
    inside: list[Any] = [function.__defaults__, function.__kwdefaults__, function.__dict__]
    for cell in function.__closure__ or ():
        try:
            inside.append(cell.cell_contents)
        except ValueError:  # not yet filled
            inside.append(None)
    if _foreign(function.__module__):
        return inside
    names = _names(function.__code__)
    inside += [value for name, value in function.__globals__.items() if name in names]
    modules = [m for m in inside if isinstance(m, types.ModuleType) and not _foreign(m.__name__)]
    return inside + [value for m in modules for name, value in vars(m).items() if name in names]


def _names(code: types.CodeType) -> set[str]:
    """Globals and attributes that a function and those within it name."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _foreign(module: str | None) -> bool:
    """Whether code is of Python, torch or ourselves, whose globals are no business of a map."""
    top = (module or "").split(".")[0]
    return top in _FOREIGN
