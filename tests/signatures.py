"""Checks of shapes and dtypes in signatures: at the first calls of every function in every test, at all in slow tests.

A check takes longer than a step of a small network, and the calls of a loop are alike. Left to itself, it would more
than double the time of all training.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import jaxtyping
import pytest

FIRST = 5
"""Calls of a function that are checked in a test that is not slow."""
_checks: list["_Checks"] = []


class _Checks:
    """How many further calls of one function are checked."""

    left: float = FIRST


def check_signatures(modules: Sequence[str], load: Callable[[], object]) -> None:
    """Check the signatures of some modules, which `load` imports."""
    jaxtyping.install_import_hook(modules, "beartype.beartype")
    with patch.object(jaxtyping, "jaxtyped", functools.partial(_sparing, jaxtyping.jaxtyped)):
        load()


def start_anew(item: pytest.Item) -> None:
    """Before a test: its first calls are checked."""
    most = math.inf if item.get_closest_marker("slow") else FIRST
    for each in _checks:
        each.left = most


def _sparing(checking: Any, decorated: Any = None, *, typechecker: Any) -> Any:
    """In place of `jaxtyping.jaxtyped`: what is checked as long as checks are left."""
    decorate = functools.partial(_sparing, checking, typechecker=typechecker)
    if decorated is None:
        return decorate
    if isinstance(decorated, property):
        return property(*(f and decorate(f) for f in (decorated.fget, decorated.fset, decorated.fdel)))
    if isinstance(decorated, classmethod | staticmethod):
        return type(decorated)(decorate(decorated.__func__))
    if isinstance(decorated, type):
        made: Any = decorated.__init__
        if getattr(made, "__code__", None) is not _EITHER:  # or it is inherited, and wrapped already
            checking(decorated, typechecker=typechecker)  # which changes that of a dataclass
            if made is not decorated.__init__:
                decorated.__init__ = _either(made, decorated.__init__)
        return decorated
    return _either(decorated, checking(decorated, typechecker=typechecker))


def _either(bare: Any, checked: Any) -> Any:
    checks = _Checks()
    _checks.append(checks)

    @functools.wraps(bare)
    def either(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if checks.left > 0:
            checks.left -= 1
            return checked(*arguments, **named)
        return bare(*arguments, **named)

    return either


_EITHER = _either(len, len).__code__
"""Of everything that is checked as long as checks are left."""
