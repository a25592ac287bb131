"""The native engine's operators, `torch.ops.floss`: tensors in, one call of C++ (`cpp/entry.h`), tensors out.

All of them are for stacked networks of an architecture on the CPU: parameters in the order of `NAMES[arch]`
(`call_arguments`), contiguous, of one dtype, float32 or float64; seeds, delays, k and epochs int64. Networks are spread
over torch's threads.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from floss.networks import CELLS
from floss.random import Stream
from floss.training.engines.call_arguments import (
    EVALUATE,
    GRADIENT,
    TRAIN,
    floss_call,
    interval_ends,
    pointers,
    train_call,
)
from floss.training.engines.calls import FlossedPointers
from floss.training.engines.workspace import run

_library = torch.library.Library("floss", "DEF")


def _operator(*mutates: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a function an operator of torch, which changes the arguments of these names in place.

    `torch.library.custom_op` does the same, but the first call of what it makes imports torch's compiler, which takes
    longer than many a run.
    """

    def registered(function: Callable[..., Any]) -> Any:
        schema = torch.library.infer_schema(function, mutates_args=mutates)
        _library.define(f"{function.__name__}{schema}")
        _library.impl(function.__name__, function, "CPU")
        return getattr(torch.ops.floss, function.__name__)

    return registered


@_operator()
def task_gradient(
    arch: str, parameters: Sequence[Tensor], x: Tensor, d: Tensor, task: str, first: Tensor | None = None
) -> list[Tensor]:
    """Loss [R] and accuracy [R] in float64, and the gradient of each parameter, on inputs x [R, T, B, S].

    Of the steps t ≥ d, or t ≥ `first` [R] ≥ d.
    """
    parameters = [p.contiguous() for p in parameters]
    x, d = x.contiguous(), d.contiguous()
    first = d if first is None else first.contiguous()
    gradient = [torch.empty_like(p) for p in parameters]
    loss, accuracy = torch.empty(2, len(x), dtype=torch.float64)
    call = train_call(
        arch,
        parameters,
        x.shape[1],
        task,
        d,
        first=first,
        mode=GRADIENT,
        epochs=1,
        gradient=pointers(gradient),
        x=x.data_ptr(),
        loss=loss.data_ptr(),
        accuracy=accuracy.data_ptr(),
    )
    run("train", arch, call, x)
    return [loss.clone(), accuracy.clone(), *gradient]


@_operator("parameters", "mean", "square", "adam_steps", "diverged_at")
def train(
    arch: str,
    parameters: Sequence[Tensor],
    mean: Sequence[Tensor],
    square: Sequence[Tensor],
    adam_steps: Tensor,
    diverged_at: Tensor,
    seeds: Tensor,
    d: Tensor,
    task: str,
    hold: int,
    steps: int,
    first_epoch: int,
    epochs: int,
    lr: float,
    clip: float,
) -> Tensor:
    """Training epochs of all networks in place; loss and accuracy of the last epoch, before its step, [2, R] float64.

    A network whose loss or gradient is not finite is marked in `diverged_at` and stays as it is.
    """
    measured = torch.full((2, len(seeds)), torch.nan, dtype=torch.float64)
    call = train_call(
        arch,
        parameters,
        steps,
        task,
        d,
        mode=TRAIN,
        hold=hold,
        stream=int(Stream.TRAINING),
        first_epoch=first_epoch,
        epochs=epochs,
        lr=lr,
        clip=clip,
        mean=pointers(mean),
        square=pointers(square),
        adam_steps=adam_steps.data_ptr(),
        seeds=seeds.data_ptr(),
        diverged_at=diverged_at.data_ptr(),
        loss=measured[0].data_ptr(),
        accuracy=measured[1].data_ptr(),
    )
    run("train", arch, call, parameters[0])
    return measured


@_operator()
def evaluate(
    arch: str, parameters: Sequence[Tensor], seeds: Tensor, d: Tensor, task: str, hold: int, steps: int, batches: int
) -> Tensor:
    """Mean loss and accuracy over batches of evaluation data, [2, R] float64."""
    measured = torch.empty(2, len(seeds), dtype=torch.float64)
    call = train_call(
        arch,
        parameters,
        steps,
        task,
        d,
        mode=EVALUATE,
        hold=hold,
        stream=int(Stream.EVALUATION),
        epochs=batches,
        seeds=seeds.data_ptr(),
        loss=measured[0].data_ptr(),
        accuracy=measured[1].data_ptr(),
    )
    run("train", arch, call, parameters[0])
    return measured


@_operator()
def flossing_gradient(
    arch: str,
    parameters: Sequence[Tensor],
    inputs: Tensor,
    q0: Tensor,
    k: Tensor,
    target: Tensor,
    t_ons: int,
    transient: int,
) -> list[Tensor]:
    """Loss [R], unsorted exponents [R, k] in float64, and the gradient of each flossed parameter, on inputs [R, T, S].

    Beyond a network's own k, exponents are NaN.
    """
    parameters = [p.contiguous() for p in parameters]
    inputs, q0, k, target = inputs.contiguous(), q0.contiguous(), k.contiguous(), target.double()
    gradient = [torch.empty_like(p) for p in parameters[: len(CELLS[arch].flossed)]]
    index = torch.arange(len(q0))
    loss = torch.empty(len(q0), dtype=torch.float64)
    exponents = torch.full((len(q0), q0.shape[-1]), torch.nan, dtype=torch.float64)
    intervals = interval_ends(inputs.shape[1], t_ons, transient)
    call = floss_call(
        arch,
        parameters,
        q0,
        intervals,
        k,
        target,
        mode=GRADIENT,
        epochs=1,
        gradient=pointers(gradient, FlossedPointers),
        index=index.data_ptr(),
        x=inputs.data_ptr(),
        loss=loss.data_ptr(),
        exponents=exponents.data_ptr(),
    )
    run("floss", arch, call, inputs)
    return [loss, exponents, *gradient]


@_operator("parameters", "mean", "square", "adam_steps")
def floss(
    arch: str,
    parameters: Sequence[Tensor],
    mean: Sequence[Tensor],
    square: Sequence[Tensor],
    adam_steps: Tensor,
    index: Tensor,
    seeds: Tensor,
    life: Tensor,
    q0: Tensor,
    k: Tensor,
    target: Tensor,
    uniform: bool,
    hold: int,
    steps: int,
    t_ons: int,
    transient: int,
    epochs: int,
    lr: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Flossing epochs of the networks `index` in place, which the arguments after it belong to.

    Returns which networks took the last step, the loss [m] and the unsorted exponents [m, k] of the last epoch in
    float64, before its step; NaN beyond a network's own k.
    """
    m, columns = len(index), q0.shape[-1]
    q0, target = q0.contiguous(), target.double()
    loss = torch.full((m,), torch.nan, dtype=torch.float64)
    exponents = torch.full((m, columns), torch.nan, dtype=torch.float64)
    diverged = torch.zeros(m, dtype=torch.int8)
    intervals = interval_ends(steps, t_ons, transient)
    call = floss_call(
        arch,
        parameters,
        q0,
        intervals,
        k,
        target,
        mode=TRAIN,
        uniform=uniform,
        hold=hold,
        stream=int(Stream.FLOSSING),
        epochs=epochs,
        lr=lr,
        mean=pointers(mean, FlossedPointers),
        square=pointers(square, FlossedPointers),
        adam_steps=adam_steps.data_ptr(),
        index=index.data_ptr(),
        seeds=seeds.data_ptr(),
        first_life=life.data_ptr(),
        diverged=diverged.data_ptr(),
        loss=loss.data_ptr(),
        exponents=exponents.data_ptr(),
    )
    run("floss", arch, call, q0)
    return diverged == 0, loss, exponents
