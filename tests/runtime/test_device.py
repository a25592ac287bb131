"""Which device is meant, and that products of float32 are products of float32 on it."""

import ast
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from floss.errors import ConfigError
from floss.runtime.device import check_device, device_of, free_gpu_memory

ROOT = Path(__file__).resolve().parents[2] / "floss"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = cudnn


@pytest.mark.parametrize(("there", "auto"), [(True, "cuda"), (False, "cpu")])
def test_which_device_is_meant(there, auto, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_of("cpu") == "cpu"
    assert device_of("auto") == auto
    assert device_of("auto", auto="cpu") == "cpu"
    check_device("cpu")
    check_device("auto")


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^device=cuda: this machine has no CUDA device .*; allowed are auto, cpu$"):
        check_device("cuda")


@pytest.mark.parametrize("wanted", ["cuda", "auto"])
def test_no_tf32_whatever_was_set_before(wanted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    assert device_of(wanted) == "cuda"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("value", "allowed"), [(None, True), ("0", True), ("1", False)])
def test_nvidias_own_switch(value, allowed, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    if value is not None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", value)
    assert device_of("cpu") == "cpu"
    with nullcontext() if allowed else pytest.raises(ConfigError, match=r"^NVIDIA_TF32_OVERRIDE: must be 0 or not set"):
        assert device_of("cuda") == "cuda"


def test_every_command_asks_here_for_its_device():
    """Nobody else looks whether there is CUDA, but for who waits until it has finished."""
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "is_available"
    }
    assert found == {"runtime/device.py", "sweep/forecast.py"}


def test_what_torch_keeps_unused_counts_as_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1000, 8000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 200)
    assert free_gpu_memory() == 1500.0
