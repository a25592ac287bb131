"""Choosing an engine, what is said where the native one cannot be built, and what environment.json says of each."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, floss

from floss.lyapunov import compiler as build
from floss.training import engines
from floss.training.engines.call_arguments import NAMES
from floss.training.engines.graph import GraphEngine
from floss.training.engines.native import NativeEngine
from floss.training.engines.processor import used_instructions
from floss.training.engines.shared_library import library
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

needs_compiler = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")
TRAIN = ("train", *TINY, "flossing=none", "train.epochs=3")


@pytest.fixture
def no_compiler(monkeypatch):
    """A process that has not asked for the library before, on a machine without a compiler."""
    monkeypatch.setattr(build, "compiler", lambda: None)
    monkeypatch.delenv("CXX", raising=False)
    caches = (library, engines._native_reason, engines._warn)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@needs_compiler
def test_auto_is_the_fastest_that_works():
    assert engines.find("auto", arch="vanilla", device="cpu") is NativeEngine
    for arch in NAMES:
        assert engines.find("auto", arch=arch, device="cpu") is NativeEngine
    assert engines.find("auto", arch="linear_dense", device="cpu") is TorchEngine
    assert engines.find("auto", arch="vanilla", device="cuda") is GraphEngine
    assert engines.find("torch", arch="vanilla", device="cpu") is TorchEngine
    assert engines.find("native", arch="vanilla", device="cpu") is NativeEngine
    assert engines.available("cpu") == ["torch", "native"]
    assert engines.available("cuda") == ["torch", "graph"]


def test_without_a_compiler_auto_is_torch_and_says_so_once(no_compiler, capsys):
    for _ in range(2):
        assert engines.find("auto", arch="vanilla", device="cpu") is TorchEngine
    assert engines.find("auto", arch="gru", device="cpu") is TorchEngine
    said = capsys.readouterr().err
    assert said == (
        "floss: the native engine cannot be used, so training is slower: "
        "no C++ compiler (g++, clang++, c++) on the path\n"
    )
    assert engines.available("cpu") == ["torch"]
    with pytest.raises(engines.BuildError, match=r"^no C\+\+ compiler \(g\+\+, clang\+\+, c\+\+\) on the path$"):
        engines.find("native", arch="vanilla", device="cpu")


@needs_compiler
def test_other_architectures_are_refused():
    students = Ensemble([Network(seed=0, d=2)], Protocol(task="teacher", arch="linear_dense", n=4, steps=5))
    with pytest.raises(ValueError, match=r"^engine=native is for arch=vanilla,relu,linear,lstm,gru,lru on the CPU$"):
        Training(students, NativeEngine)


@needs_compiler
def test_tensors_that_are_not_contiguous_are_refused():
    ours = Training(Ensemble([Network(seed=0, d=2)], Protocol(n=4, steps=5, batch=2)), NativeEngine)
    ours.ensemble.parameters["W"] = ours.ensemble.parameters["W"].mT
    with pytest.raises(ValueError, match="contiguous"):
        ours.train_epochs(1)


# --- from the command line -------------------------------------------------------------------------------------------


def environment_of(folder: Path) -> dict[str, Any]:
    """That of the one ensemble that was computed here, which the folder of its job has as well."""
    (ensemble,) = folder.glob("results/ensembles/*/environment.json")
    (view,) = folder.glob("results/xor-*/environment.json")
    environment = json.loads(ensemble.read_text())
    assert json.loads(view.read_text()) == {ensemble.parent.name: environment}
    return environment


@pytest.mark.parametrize("engine", ["auto", "native"])
def test_a_run_without_a_compiler(tmp_path, engine):
    done = floss(tmp_path, *TRAIN, f"engine={engine}", CXX="no-such-compiler")
    reason = "no C++ compiler (CXX=no-such-compiler) on the path"
    if engine == "native":
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"floss train: engine=native: cannot be used here: {reason}; engine=torch can\n"
        assert not any(tmp_path.iterdir())
    else:
        assert done.returncode == 0
        assert done.stderr == f"floss: the native engine cannot be used, so training is slower: {reason}\n"
        environment = environment_of(tmp_path)
        assert environment["engine"] == "torch"
        assert environment["torch_instructions"] == torch.backends.cpu.get_cpu_capability()
        assert not {"native_instructions", "compiler"} & set(environment)


@needs_compiler
def test_a_run_with_the_native_engine(tmp_path):
    done = floss(tmp_path, *TRAIN, "engine=native")
    assert (done.returncode, done.stderr) == (0, "")
    environment = environment_of(tmp_path)
    assert environment["engine"] == "native"
    assert environment["native_instructions"] == used_instructions()
    assert environment["torch_instructions"] == torch.backends.cpu.get_cpu_capability()
    assert environment["compiler"]
    assert build.version(build.compiler() or ()).startswith(environment["compiler"] + "\n")
