"""What the functions of this room take as numbers."""

from collections.abc import Mapping
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
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has {np.ma.count_masked(value)} masked numbers; fill them first (filled())")
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


def parameter_groups(caller: str, parameters: Any) -> dict[str, list[Tensor]]:
    """Tensors by the name of their group, from a module, or a mapping of names to tensors or lists of tensors.

    Raises:
        ValueError: no group, an empty one, what is no floating-point tensor that requires gradients, or a tensor twice.
    """
    allowed = "a torch module, or a mapping of names to tensors or to lists of tensors"
    if isinstance(parameters, torch.nn.Module):
        parameters = {name: p for name, p in parameters.named_parameters() if p.requires_grad}
    if not isinstance(parameters, Mapping):
        raise ValueError(f"{caller}: parameters={shown(parameters)} must be {allowed}")
    groups: dict[str, list[Tensor]] = {}
    for name, value in parameters.items():
        groups[name] = [value] if isinstance(value, Tensor) else list(value) if isinstance(value, list | tuple) else []
        if not groups[name]:
            raise ValueError(f"{caller}: parameters[{name!r}]={shown(value)} must be a tensor or a list of tensors")
    seen: dict[int, str] = {}
    for name, tensors in groups.items():
        for tensor in tensors:
            _check_parameter(caller, name, tensor)
            if id(tensor) in seen:
                raise ValueError(
                    f"{caller}: parameters[{name!r}] has a tensor that parameters[{seen[id(tensor)]!r}] has"
                )
            seen[id(tensor)] = name
    if not groups:
        raise ValueError(f"{caller}: parameters={shown(parameters)} has no tensor that requires gradients")
    return groups


def _check_parameter(caller: str, name: str, tensor: Any) -> None:
    if not isinstance(tensor, Tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"{caller}: parameters[{name!r}] must be floating-point tensors, got {shown(tensor)}")
    if not tensor.requires_grad:
        raise ValueError(f"{caller}: parameters[{name!r}] must require gradients (requires_grad_()), {shown(tensor)}")
    if not tensor.numel():
        raise ValueError(f"{caller}: parameters[{name!r}] must have at least one number, got {shown(tensor)}")


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def refuse_inference_mode(caller: str) -> None:
    """Raise a ValueError where torch records nothing at all, not even where it is asked to."""
    if torch.is_inference_mode_enabled():
        raise ValueError(
            f"{caller}: cannot take derivatives within torch.inference_mode(); torch.no_grad() is no obstacle"
        )
