"""Threads and working memory of a call of the native engine: how much it needs, and the call itself."""

import ctypes
import threading

import torch
from torch import Tensor

from floss.tasks import TASKS
from floss.training.engines.call_arguments import interval_ends
from floss.training.engines.calls import FlossCall, TrainCall
from floss.training.engines.shared_library import library

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


def run(loop: str, arch: str, call: ctypes.Structure, like: Tensor) -> None:
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
    intervals = interval_ends(steps, 1, 0)
    call = FlossCall(**sizes, columns=columns, interval=intervals.data_ptr())
    return _prepare("floss", arch, call, single=single)
