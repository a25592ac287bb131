"""How stacked networks become a call of the native engine: which number a task has, where each parameter lies."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.tasks import TASKS
from floss.training.engines.calls import FlossCall, Pointers, TrainCall

_RATE = ("W", "V", "b", "U", "c", "h0")
NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("vanilla", "relu", "linear", "lstm"), _RATE),
    "gru": ("W", "V", "b", "b_h", "U", "c", "h0"),
    "lru": ("nu", "theta", "gamma", "B", "C", "D", "b", "U", "c", "h0"),
}
"""The parameters of each architecture that the engine has; flossed ones first, then U, c and h0 last."""
TASK_NUMBERS = {"xor": 0, "xor_continuous": 0, "copy": 1, "spatial_xor": 2}
GRADIENT, TRAIN, EVALUATE = 0, 1, 2
"""What a call is to do."""


def pointers(tensors: Sequence[Tensor], array: Any = Pointers) -> Any:
    """Where tensors lie, one for each parameter.

    Args:
        tensors: contiguous; a ValueError where one is not.
        array: type of the array of pointers.
    """
    if not all(tensor.is_contiguous() for tensor in tensors):
        raise ValueError("the native engine works in place, on contiguous tensors alone")
    return array(*(tensor.data_ptr() for tensor in tensors))


def _sizes(arch: str, parameters: Sequence[Tensor]) -> dict[str, int]:
    """Units, inputs and batch slots."""
    named = dict(zip(NAMES[arch], parameters, strict=True))
    drive = named["D"] if arch == "lru" else named["V"]
    return {"n": named["U"].shape[-1], "inputs": drive.shape[-1], "batch": named["h0"].shape[1]}


def train_call(
    arch: str,
    parameters: Sequence[Tensor],
    steps: int,
    task: str,
    delays: Tensor,
    *,
    first: Tensor | None = None,
    **further: Any,
) -> TrainCall:
    """A call of training, evaluation or the gradient of the task's loss; `further` are fields of the struct."""
    return TrainCall(
        networks=len(delays),
        **_sizes(arch, parameters),
        steps=steps,
        task=TASK_NUMBERS[task],
        uniform=not TASKS[task].binary,
        binary=TASKS[task].binary,
        parameters=pointers(parameters),
        delays=delays.data_ptr(),
        first=(delays if first is None else first).data_ptr(),
        **further,
    )


def floss_call(
    arch: str, parameters: Sequence[Tensor], q0: Tensor, intervals: Tensor, k: Tensor, target: Tensor, **further: Any
) -> FlossCall:
    """A call of flossing or the gradient of its loss, at the ends of `intervals` (`interval_ends`)."""
    return FlossCall(
        networks=len(q0),
        **_sizes(arch, parameters),
        steps=len(intervals),
        columns=q0.shape[-1],
        parameters=pointers(parameters),
        interval=intervals.data_ptr(),
        q0=q0.data_ptr(),
        k=k.data_ptr(),
        target=target.data_ptr(),
        **further,
    )


def interval_ends(steps: int, t_ons: int, transient: int) -> Tensor:
    """For each step 0 within an orthonormalisation interval, 1 at the end of one, 2 at the end of one that counts."""
    intervals = torch.zeros(steps, dtype=torch.int8)
    for end, counts in orthonormalisation_times(steps, t_ons, transient):
        intervals[end - 1] = 2 if counts else 1
    return intervals
