"""What the public functions take as arguments: a helper for each kind, and an error of one line for what does not fit.

NumPy arrays are taken where tensors are, and NumPy's whole numbers where counts are. Lists of numbers, whole numbers as
floats, and truth values as numbers are refused.
"""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np
import torch
from torch import Tensor

from floss.lyapunov.derivatives import numbers_of

_FLOATS = (torch.float32, torch.float64)
_WIDTH = 60
"""Longest value that a message shows in full."""


def shown(value: Any) -> str:
    """A value in one line: tensors and arrays by dtype and shape, what is long by its beginning."""
    if isinstance(value, Tensor) and value.is_nested:
        return f"a nested tensor of {value.dtype}"
    if isinstance(value, Tensor):
        return f"{value.dtype} {list(value.shape)}{' on meta' if value.is_meta else ''}"
    if isinstance(value, np.ndarray):
        return f"numpy {value.dtype} {list(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({type(value).__name__})"


def real_tensor(caller: str, name: str, value: Any, shape: str) -> Tensor:
    """A tensor of float32 or float64 numbers, from a tensor or a NumPy array of them; `shape` is for the message."""
    tensor = _tensor(caller, name, value, f"float32 or float64 of shape {shape}")
    if tensor.dtype not in _FLOATS:
        raise ValueError(f"{caller}: {name} must be float32 or float64 of shape {shape}, got {shown(value)}")
    return tensor


def exponents(caller: str, value: Any) -> Tensor:
    """Exponents [..., k], of at least one direction."""
    allowed = "floating point of shape [..., k]"
    tensor = _tensor(caller, "exponents", value, allowed)
    if not tensor.is_floating_point() or tensor.ndim < 1 or tensor.shape[-1] < 1:
        raise ValueError(f"{caller}: exponents must be {allowed}, got {shown(value)}")
    return tensor


def tensor_of_steps(caller: str, name: str, value: Any) -> Tensor:
    """A tensor of real or whole numbers with a leading axis of steps, from a tensor or a NumPy array of them."""
    return real_or_whole_tensor(caller, name, value, "[T, ...], one row per step", axes=1)


def real_or_whole_tensor(caller: str, name: str, value: Any, shape: str, *, axes: int = 0) -> Tensor:
    """A tensor of real or whole numbers with so many axes or more, from a tensor or a NumPy array of them."""
    allowed = f"real numbers of shape {shape}"
    tensor = _tensor(caller, name, value, allowed)
    if tensor.dtype == torch.bool or tensor.is_complex() or tensor.ndim < axes:
        raise ValueError(f"{caller}: {name} must be {allowed}, got {shown(value)}")
    return tensor


def _tensor(caller: str, name: str, value: Any, allowed: str) -> Tensor:
    if np.ma.is_masked(value):
        raise ValueError(f"{caller}: {name} has {np.ma.count_masked(value)} masked numbers; fill them first (filled())")
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc":
        try:
            return torch.as_tensor(np.array(value, dtype=value.dtype.newbyteorder("=")))
        except TypeError:  # a dtype that torch does not have
            pass
    # Tensors that are sparse or nested are none of numbers on axes, and those of the device meta have no numbers; a
    # packed sequence is no tensor.
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_nested or value.is_meta:
        raise ValueError(f"{caller}: {name}={shown(value)} must be a tensor or a NumPy array, {allowed}")
    # Those made in torch's inference mode cannot be part of a graph, of which a copy can.
    return value.clone() if value.is_inference() and not torch.is_inference_mode_enabled() else value


def check_finite_tensor(caller: str, name: str, tensor: Tensor) -> None:
    """Raise a ValueError where a number is NaN or infinite."""
    if not numbers_of(torch.isfinite(tensor).all()).all():
        raise ValueError(f"{caller}: {name} has a value that is not finite")


def whole_number(
    caller: str, name: str, value: Any, low: int, high: int | None = None, *, allowed: str | None = None
) -> int:
    """A whole number from `low` to `high`; `allowed` says so in words."""
    allowed = allowed or (f"at least {low}" if high is None else f"from {low} to {high}")
    is_bool = isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool)
    try:
        number = index(None if is_bool else value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise ValueError(f"{caller}: {name}={shown(value)} must be a whole number, {allowed}") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{caller}: {name}={number} must be {allowed}")
    return number


def whole_numbers(caller: str, name: str, value: Any, low: int, high: int | None = None) -> tuple[list[int], bool]:
    """One whole number or several, and whether there is one alone."""
    allowed = f"at least {low}" if high is None else f"from {low} to {high}"
    one = isinstance(value, str) or not hasattr(value, "__iter__") or getattr(value, "ndim", 1) == 0
    numbers = [whole_number(caller, name, number, low, high, allowed=allowed) for number in ([value] if one else value)]
    if not numbers:
        raise ValueError(f"{caller}: {name}={shown(value)} is empty")
    return numbers, one


def real_number(caller: str, name: str, value: Any, allowed: str, fits: Callable[[float], bool]) -> float:
    """A number for which `fits` holds; `allowed` says in words what that is."""
    numeric = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if isinstance(value, Tensor) and value.ndim == 0 and value.dtype in _FLOATS and not value.is_meta:
        if value.requires_grad:
            raise ValueError(
                f"{caller}: {name} must be a number without a gradient, since none goes through it: detach()"
            )
        value, numeric = float(value), True
    try:
        number = float(value) if numeric else math.nan
    except OverflowError:  # a whole number that no float reaches
        number = math.nan
    if not numeric or not fits(number):
        raise ValueError(f"{caller}: {name}={shown(value)} must be {allowed}")
    return number


def check_broadcast(caller: str, name: str, shape: Sequence[int], whole: Sequence[int]) -> None:
    """Raise a ValueError where an argument of some shape does not broadcast to a whole one."""
    try:
        fits = torch.broadcast_shapes(shape, whole) == tuple(whole)
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"{caller}: {name} must be of a shape that broadcasts to {list(whole)}, got {list(shape)}")


def function(caller: str, name: str, value: Any, allowed: str) -> None:
    """Raise a ValueError for what cannot be called."""
    if not callable(value):
        raise ValueError(f"{caller}: {name}={shown(value)} must be {allowed}")


def choice(caller: str, name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise a ValueError for anything but one of these words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{caller}: {name}={shown(value)} must be one of {', '.join(map(repr, choices))}")
