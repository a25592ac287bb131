"""What the native engine is called with: C structs, whose twins are in `cpp/calls.h`."""

import ctypes
import itertools
from typing import Any

Pointers = ctypes.c_void_p * 10
"""One for each parameter of an architecture; the rest is empty."""
FlossedPointers = ctypes.c_void_p * 4
"""One for each flossed parameter."""


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class TrainCall(ctypes.Structure):
    """Training, evaluation, or the gradient of the task's loss."""

    _fields_ = [
        *_fields(ctypes.c_int64, "networks n inputs batch steps teams team mode task uniform binary hold stream"),
        *_fields(ctypes.c_int64, "first_epoch epochs"),
        *_fields(ctypes.c_double, "lr clip"),
        *_fields(Pointers, "parameters mean square gradient"),
        *_fields(ctypes.c_void_p, "adam_steps seeds delays first diverged_at x loss accuracy workspace"),
        *_fields(ctypes.c_int64, "workspace_bytes"),
    ]


class FlossCall(ctypes.Structure):
    """Flossing, or the gradient of its loss."""

    _fields_ = [
        *_fields(ctypes.c_int64, "networks n inputs batch steps columns teams team mode uniform hold stream epochs"),
        *_fields(ctypes.c_double, "lr"),
        *_fields(Pointers, "parameters"),
        *_fields(FlossedPointers, "mean square gradient"),
        *_fields(ctypes.c_void_p, "adam_steps index seeds first_life k target diverged interval q0 x loss exponents"),
        *_fields(ctypes.c_void_p, "workspace"),
        *_fields(ctypes.c_int64, "workspace_bytes"),
    ]


class _Field(ctypes.Structure):
    """A row of the tables of `cpp/calls.h`."""

    _fields_ = [("name", ctypes.c_char_p), ("offset", ctypes.c_int64), ("size", ctypes.c_int64)]


def check_layouts(functions: ctypes.CDLL) -> None:
    """Compare the structs with those of a library: the same fields, at the same places, of the same sizes.

    Raises:
        RuntimeError: they differ, so a call would read and write at wrong places.
    """
    for call, table in ((TrainCall, functions.floss_train_layout), (FlossCall, functions.floss_floss_layout)):
        table.restype = ctypes.POINTER(_Field)
        python, compiled = _python_layout(call), _compiled_layout(table())
        for name in {**python, **compiled}:
            here, there = python.get(name), compiled.get(name)
            if here != there:
                raise RuntimeError(f"{name} has (offset, size) {here} in calls.py and {there} in calls.h")


def _python_layout(call: type[ctypes.Structure]) -> dict[str, tuple[int, int]]:
    """Offset and size of every field, and of the call as a whole."""
    fields = {f"{call.__name__}.{name}": getattr(call, name) for name, *_ in call._fields_}
    places = {name: (field.offset, field.size) for name, field in fields.items()}
    return {**places, call.__name__: (0, ctypes.sizeof(call))}


def _compiled_layout(table: Any) -> dict[str, tuple[int, int]]:
    """The same, of a table that ends with a row without a name."""
    rows = itertools.takewhile(lambda row: row.name, (table[i] for i in itertools.count()))
    return {row.name.decode(): (row.offset, row.size) for row in rows}
