"""One-step Jacobians one after the other: those of a tensor, or of a map, of which none is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.derivatives import refuse_transforms
from floss.lyapunov.entry import checked_trajectory
from floss.lyapunov.step import advance


@dataclass(frozen=True)
class JacobianSequence:
    """D[0], …, D[T-1] of several trajectories, in order and as often as they are wanted."""

    steps: int
    """T."""
    batch: torch.Size
    """Leading axes of the trajectories."""
    n: int
    device: torch.device
    dtype: torch.dtype
    """Of the states, or of the Jacobians that were given."""
    walk: Callable[[], Iterator[Float[Tensor, "B n n"]]]
    """Goes through them once; the trajectories are along one axis. Raises a ValueError at one that is not finite."""


def of_tensor(caller: str, jacobians: Any) -> JacobianSequence:
    """Those of a tensor [T, ..., n, n], which are looked at now."""
    jacobians = arguments.real_tensor(caller, "jacobians", jacobians, "[T, ..., n, n]")
    refuse_transforms(caller, jacobians)
    shape = jacobians.shape
    if jacobians.ndim < 3 or shape[0] < 1 or shape[-1] < 1 or shape[-1] != shape[-2]:
        raise ValueError(f"{caller}: needs Jacobians [T, ..., n, n] with T >= 1 and n >= 1, got {list(shape)}")
    if not torch.isfinite(jacobians).all():
        for step, D in enumerate(jacobians):
            _check_finite(caller, step, D)
    D = jacobians.flatten(1, -3) if jacobians.ndim > 3 else jacobians[:, None]
    return JacobianSequence(len(D), shape[1:-2], shape[-1], D.device, D.dtype, lambda: iter(D))


def of_step(caller: str, step: Any, h0: Any, inputs: Any, steps: Any) -> JacobianSequence:
    """Those along the trajectory of a map, computed anew at each walk and kept by nobody."""
    h0, inputs, total = checked_trajectory(caller, step, h0, inputs, steps)
    refuse_transforms(caller, h0, *(() if inputs is None else (inputs,)))
    h0, n = h0.detach().contiguous(), h0.shape[-1]
    identity = torch.eye(n, dtype=h0.dtype, device=h0.device).expand(*h0.shape, n)

    def walk() -> Iterator[Tensor]:
        h = h0
        for s in range(total):
            h, D = advance(step, h, identity, *(() if inputs is None else (inputs[s],)))
            _check_finite(caller, s, D)
            yield D.reshape(-1, n, n)

    return JacobianSequence(total, h0.shape[:-1], n, h0.device, h0.dtype, walk)


def _check_finite(caller: str, step: int, D: Tensor) -> None:
    finite = torch.isfinite(D).all(-1).all(-1)
    if not finite.all():
        place = f" at batch index {tuple((~finite).nonzero()[0].tolist())}" if finite.ndim else ""
        raise ValueError(f"{caller}: the Jacobian of step {step}{place} is not finite")
