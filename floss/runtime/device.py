"""The device that `device=` means, with products in full single precision on it."""

import os

import torch

from floss.errors import ConfigError


def check_device(device: str) -> None:
    """Raise a ConfigError where CUDA is asked for and not there."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: this machine has no CUDA device that torch can use; allowed are auto, cpu")


def device_of(wanted: str, *, auto: str = "cuda") -> str:
    """`cpu` or `cuda`; `auto` is what `auto` says, where there is CUDA.

    On a GPU products of float32 may be computed with the ten bits of TF32, which ruins orthonormal vectors within a few
    steps. So that is switched off here, whatever was set before.

    Raises:
        ConfigError: NVIDIA's own switch, which nothing can undo, is set the other way.
    """
    device = wanted if wanted != "auto" else auto if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        if os.environ.get("NVIDIA_TF32_OVERRIDE", "0") != "0":
            raise ConfigError("NVIDIA_TF32_OVERRIDE: must be 0 or not set; with it products lose 13 of their 23 bits")
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    return device


def free_gpu_memory() -> float:
    """Bytes that this process may still take of the GPU's memory: what is free, and what torch keeps unused."""
    free, _ = torch.cuda.mem_get_info()
    return float(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
