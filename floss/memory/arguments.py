"""What the functions of this room take as numbers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from floss.lyapunov.arguments import shown


def numbers(name: str, value: Any, *, real: bool = False) -> Tensor:
    """A tensor of real or complex numbers, from a tensor, a NumPy array, or a number, which become float64.

    Raises:
        ValueError: anything else, whole numbers in a tensor, or a complex number where only real ones are taken.
    """
    tensor = value
    if isinstance(value, int | float | complex | np.number | np.ndarray) and not isinstance(value, bool):
        array = np.asarray(value)
        if array.dtype.kind in "iufc":
            tensor = torch.as_tensor(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64))
    if not isinstance(tensor, Tensor) or not (tensor.is_floating_point() or (tensor.is_complex() and not real)):
        allowed = "a real number" if real else "a real or complex number"
        raise ValueError(f"{name}={shown(value)} must be {allowed}, or a tensor or a NumPy array of them")
    return tensor


def real(name: str, value: Any) -> Tensor:
    """One finite real number, as a tensor."""
    tensor = numbers(name, value, real=True)
    if tensor.ndim or not bool(torch.isfinite(tensor)):
        raise ValueError(f"{name}={shown(value)} must be one finite real number")
    return tensor


def require(condition: Tensor, message: str, worst: Tensor) -> None:
    """Raise a ValueError, which names one of the wrong values, where a condition does not hold for all of them."""
    if not bool(condition.all()):
        value = torch.broadcast_to(worst.detach(), condition.shape)[~condition][0].item()
        raise ValueError(f"{message}, not {value:.6g}")
