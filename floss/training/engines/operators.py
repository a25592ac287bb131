"""The native engine's operators, `torch.ops.floss`: tensors in, one call of C++ (`cpp/entry.h`), tensors out.

All of them are for stacked networks of an architecture on the CPU: parameters in the order of `NAMES[arch]`,
contiguous, of one dtype, float32 or float64; seeds, delays, k and epochs int64. Networks are spread over torch's
threads.
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.networks import CELLS
from floss.random import Stream
from floss.tasks import TASKS
from floss.training.engines.calls import FlossCall, FlossedPointers, Pointers, TrainCall
from floss.training.engines.shared_library import library

_RATE = ("W", "V", "b", "U", "c", "h0")
NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("vanilla", "relu", "linear", "lstm"), _RATE),
    "gru": ("W", "V", "b", "b_h", "U", "c", "h0"),
    "lru": ("nu", "theta", "gamma", "B", "C", "D", "b", "U", "c", "h0"),
}
"""The parameters of each architecture that the engine has; flossed ones first, then U, c and h0 last."""
TASK_NUMBERS = {"xor": 0, "xor_continuous": 0, "copy": 1, "spatial_xor": 2}
_GRADIENT, _TRAIN, _EVALUATE = 0, 1, 2

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


def _pointers(tensors: Sequence[Tensor], array: Any = Pointers) -> Any:
    if not all(tensor.is_contiguous() for tensor in tensors):
        raise ValueError("the native engine works in place, on contiguous tensors alone")
    return array(*(tensor.data_ptr() for tensor in tensors))


_memory = torch.empty(0, dtype=torch.uint8)
_lock = threading.Lock()
_PAGE = 4096


def _prepare(loop: str, arch: str, call: ctypes.Structure, *, single: bool) -> int:
    """Tell a call how its networks are spread over threads; the bytes of workspace that all of them need.

    A network that several threads share has a team of them.
    """
    functions = library(arch)
    size, team = (getattr(functions, f"floss_{loop}_{what}") for what in ("workspace", "team"))
    size.restype = team.restype = ctypes.c_int64
    threads = torch.get_num_threads()
    call.team = team(ctypes.byref(call), ctypes.c_int64(threads))
    call.teams = min(call.networks, threads // call.team)
    call.workspace_bytes = (size(ctypes.byref(call), ctypes.c_int64(single)) + _PAGE - 1) // _PAGE * _PAGE
    return call.workspace_bytes * call.teams


def _run(loop: str, arch: str, call: ctypes.Structure, like: Tensor) -> None:
    """Give the call threads and a workspace, and run it.

    The workspace is kept between calls: taking it anew from the system costs as much as an epoch of a few networks.
    """
    global _memory
    single = like.dtype == torch.float32
    needed = _prepare(loop, arch, call, single=single) + 64
    with _lock:
        if len(_memory) < needed:
            _memory = torch.empty(needed, dtype=torch.uint8)
        call.workspace = (_memory.data_ptr() + 63) // 64 * 64
        getattr(library(arch), f"floss_{loop}")(ctypes.byref(call), ctypes.c_int64(single))


def workspace_bytes(
    arch: str, dtype: torch.dtype, networks: int, *, task: str, n: int, batch: int, steps: int, columns: int = 0
) -> int:
    """Memory that the engine works in, beside its networks: for all threads that torch has here.

    Args:
        arch: one of NAMES.
        dtype: float32 or float64.
        networks: how many there are.
        task: which has so many inputs.
        n: units N.
        batch: batch slots B.
        steps: of a training sequence, or of a flossing run.
        columns: tangent vectors k of a flossing run, or 0 for training.
    """
    sizes = {"networks": networks, "n": n, "inputs": TASKS[task].inputs, "batch": batch, "steps": steps}
    single = dtype == torch.float32
    if not columns:
        return _prepare("train", arch, TrainCall(**sizes), single=single)
    intervals = _intervals(steps, 1, 0)
    call = FlossCall(**sizes, columns=columns, interval=intervals.data_ptr())
    return _prepare("floss", arch, call, single=single)


def _sizes(arch: str, parameters: Sequence[Tensor]) -> dict[str, int]:
    """Units, inputs and batch slots."""
    named = dict(zip(NAMES[arch], parameters, strict=True))
    drive = named["D"] if arch == "lru" else named["V"]
    return {"n": named["U"].shape[-1], "inputs": drive.shape[-1], "batch": named["h0"].shape[1]}


def _train_call(
    arch: str,
    parameters: Sequence[Tensor],
    steps: int,
    task: str,
    delays: Tensor,
    *,
    first: Tensor | None = None,
    **further: Any,
) -> TrainCall:
    return TrainCall(
        networks=len(delays),
        **_sizes(arch, parameters),
        steps=steps,
        task=TASK_NUMBERS[task],
        uniform=not TASKS[task].binary,
        binary=TASKS[task].binary,
        parameters=_pointers(parameters),
        delays=delays.data_ptr(),
        first=(delays if first is None else first).data_ptr(),
        **further,
    )


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
    call = _train_call(
        arch,
        parameters,
        x.shape[1],
        task,
        d,
        first=first,
        mode=_GRADIENT,
        epochs=1,
        gradient=_pointers(gradient),
        x=x.data_ptr(),
        loss=loss.data_ptr(),
        accuracy=accuracy.data_ptr(),
    )
    _run("train", arch, call, x)
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
    call = _train_call(
        arch,
        parameters,
        steps,
        task,
        d,
        mode=_TRAIN,
        hold=hold,
        stream=int(Stream.TRAINING),
        first_epoch=first_epoch,
        epochs=epochs,
        lr=lr,
        clip=clip,
        mean=_pointers(mean),
        square=_pointers(square),
        adam_steps=adam_steps.data_ptr(),
        seeds=seeds.data_ptr(),
        diverged_at=diverged_at.data_ptr(),
        loss=measured[0].data_ptr(),
        accuracy=measured[1].data_ptr(),
    )
    _run("train", arch, call, parameters[0])
    return measured


@_operator()
def evaluate(
    arch: str, parameters: Sequence[Tensor], seeds: Tensor, d: Tensor, task: str, hold: int, steps: int, batches: int
) -> Tensor:
    """Mean loss and accuracy over batches of evaluation data, [2, R] float64."""
    measured = torch.empty(2, len(seeds), dtype=torch.float64)
    call = _train_call(
        arch,
        parameters,
        steps,
        task,
        d,
        mode=_EVALUATE,
        hold=hold,
        stream=int(Stream.EVALUATION),
        epochs=batches,
        seeds=seeds.data_ptr(),
        loss=measured[0].data_ptr(),
        accuracy=measured[1].data_ptr(),
    )
    _run("train", arch, call, parameters[0])
    return measured


def _floss_call(
    arch: str, parameters: Sequence[Tensor], q0: Tensor, intervals: Tensor, k: Tensor, target: Tensor, **further: Any
) -> FlossCall:
    return FlossCall(
        networks=len(q0),
        **_sizes(arch, parameters),
        steps=len(intervals),
        columns=q0.shape[-1],
        parameters=_pointers(parameters),
        interval=intervals.data_ptr(),
        q0=q0.data_ptr(),
        k=k.data_ptr(),
        target=target.data_ptr(),
        **further,
    )


def _intervals(steps: int, t_ons: int, transient: int) -> Tensor:
    """For each step 0 within an orthonormalisation interval, 1 at the end of one, 2 at the end of one that counts."""
    intervals = torch.zeros(steps, dtype=torch.int8)
    for end, counts in orthonormalisation_times(steps, t_ons, transient):
        intervals[end - 1] = 2 if counts else 1
    return intervals


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
    intervals = _intervals(inputs.shape[1], t_ons, transient)
    call = _floss_call(
        arch,
        parameters,
        q0,
        intervals,
        k,
        target,
        mode=_GRADIENT,
        epochs=1,
        gradient=_pointers(gradient, FlossedPointers),
        index=index.data_ptr(),
        x=inputs.data_ptr(),
        loss=loss.data_ptr(),
        exponents=exponents.data_ptr(),
    )
    _run("floss", arch, call, inputs)
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
    intervals = _intervals(steps, t_ons, transient)
    call = _floss_call(
        arch,
        parameters,
        q0,
        intervals,
        k,
        target,
        mode=_TRAIN,
        uniform=uniform,
        hold=hold,
        stream=int(Stream.FLOSSING),
        epochs=epochs,
        lr=lr,
        mean=_pointers(mean, FlossedPointers),
        square=_pointers(square, FlossedPointers),
        adam_steps=adam_steps.data_ptr(),
        index=index.data_ptr(),
        seeds=seeds.data_ptr(),
        first_life=life.data_ptr(),
        diverged=diverged.data_ptr(),
        loss=loss.data_ptr(),
        exponents=exponents.data_ptr(),
    )
    _run("floss", arch, call, q0)
    return diverged == 0, loss, exponents
