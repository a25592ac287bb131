"""Choosing an engine, and building the native one: once, safely, and what is said where it cannot be built."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command import TINY, floss

from floss.training import engines
from floss.training.engines import build
from floss.training.engines.graph import GraphEngine
from floss.training.engines.native import NativeEngine
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.training import Training

needs_compiler = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")
TRAIN = ("train", *TINY, "flossing=none", "train.epochs=3")


def quick(folder: Path, value: int = 0) -> Path:
    """A C++ source, another one for each value."""
    path = folder / f"quick{value}.cpp"
    path.write_text(f'extern "C" int value() {{ return {value}; }}\n')
    return path


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, nothing remembered in this process, and a source that is quick to build."""
    monkeypatch.setenv("FLOSS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "SOURCE", quick(tmp_path))
    caches = (build.library, engines._native_reason, engines._warn)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path / "cache"
    for cache in caches:
        cache.cache_clear()


def no_compiler(monkeypatch):
    monkeypatch.setattr(build, "compiler", lambda: None)


@needs_compiler
def test_auto_is_the_fastest_that_works():
    assert engines.find("auto", arch="vanilla", device="cpu") is NativeEngine
    assert engines.find("auto", arch="lstm", device="cpu") is TorchEngine
    assert engines.find("auto", arch="vanilla", device="cuda") is GraphEngine
    assert engines.find("torch", arch="vanilla", device="cpu") is TorchEngine
    assert engines.find("native", arch="vanilla", device="cpu") is NativeEngine
    assert engines.available("cpu") == ["torch", "native"]
    assert engines.available("cuda") == ["torch", "graph"]


def test_without_a_compiler_auto_is_torch_and_says_so_once(fresh, monkeypatch, capsys):
    no_compiler(monkeypatch)
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


@pytest.mark.parametrize("arch", ["relu", "lstm"])
@needs_compiler
def test_other_architectures_are_refused(arch):
    with pytest.raises(ValueError, match=r"^engine=native is for arch=vanilla on the CPU$"):
        Training([Network(seed=0, d=2)], Protocol(arch=arch, n=4, steps=5), engine=NativeEngine)


@needs_compiler
def test_tensors_that_are_not_contiguous_are_refused():
    ours = Training([Network(seed=0, d=2)], Protocol(n=4, steps=5, batch=2), engine=NativeEngine)
    ours.parameters["W"] = ours.parameters["W"].mT
    with pytest.raises(ValueError, match="contiguous"):
        ours.train_epochs(1)


# --- the build ---------------------------------------------------------------------------------------------------


@needs_compiler
def test_it_is_built_once(fresh, capsys):
    build.library()
    assert capsys.readouterr().err == (
        f"floss: building the native engine ({build.instruction_set()}), once, into {fresh}\n"
    )
    (built,) = fresh.glob("native-*.so")
    before = built.stat().st_mtime_ns
    build.library.cache_clear()
    build.library()
    assert capsys.readouterr().err == ""
    assert built.stat().st_mtime_ns == before
    assert {path.name for path in fresh.iterdir()} == {built.name, "build.lock"}


@needs_compiler
def test_another_source_compiler_or_machine_is_another_library(fresh, monkeypatch, tmp_path):
    names = {build._built(build.instruction_set()).name}
    with monkeypatch.context() as patch:
        patch.setattr(build, "SOURCE", quick(tmp_path, 1))
        names.add(build._built(build.instruction_set()).name)
        names.add(build._built("PORTABLE").name)
        patch.setattr(build, "_version", lambda found: "another compiler")
        names.add(build._built(build.instruction_set()).name)
    assert len(names) == 4


@needs_compiler
def test_processes_that_start_together_build_once(tmp_path):
    code = f"""
from pathlib import Path
from floss.training.engines import build
build.SOURCE = Path({str(quick(tmp_path))!r})
compile = build._compile
def slowly(*arguments):
    import time
    time.sleep(1)
    compile(*arguments)
build._compile = slowly
build.library()
"""
    environment = {**os.environ, "FLOSS_CACHE": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(said).count("building the native engine") == 1
    assert len(list(tmp_path.glob("*.so"))) == 1


@pytest.fixture
def broken(tmp_path) -> Path:
    """A compiler that fails as compilers do."""
    path = tmp_path / "broken-c++"
    path.write_text("#!/bin/sh\n[ $1 = --version ] && exit\necho 'x.cpp:3: error: no such thing' >&2\nexit 1\n")
    path.chmod(0o755)
    return path


def test_a_build_that_fails(fresh, monkeypatch, broken):
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(build.BuildError, match=f"^{re.escape(str(broken))} fails: x\\.cpp:3: error: no such thing$"):
        build.library()
    assert not list(fresh.glob("*.so"))
    assert {path.name for path in fresh.iterdir()} <= {"build.lock"}


def test_a_compiler_that_is_not_there(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(build.BuildError, match=r"^no C\+\+ compiler \(CXX=no-such-compiler\) on the path$"):
        build.library()


@needs_compiler
def test_a_cache_folder_that_cannot_be_written(monkeypatch, fresh):
    fresh.write_text("a file, not a folder")
    with pytest.raises(build.BuildError, match=f"^cannot write to {fresh}: "):
        build.library()


@needs_compiler
def test_a_library_that_cannot_be_loaded(fresh):
    path = build._built(build.instruction_set())
    path.write_bytes(b"not a library")
    build.library.cache_clear()
    with pytest.raises(build.BuildError, match=f"^{path} cannot be loaded: "):
        build.library()


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"FLOSS_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/floss"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/d"}, "/home/d/.cache/floss"),
    ],
)
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has another folder")
def test_where_it_lies(monkeypatch, variables, folder):
    monkeypatch.delenv("FLOSS_CACHE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert build.cache_folder() == Path(folder)


CHECK = """
import torch
from floss.training import engines
from floss.training.engines import build
from floss.training.ensemble import Network, Protocol
from floss.training.training import Training

torch.set_num_threads(1)
networks = [Network(seed=s, d=4, k=9 + s, episodes=(0, 2), flossing_steps=21) for s in range(2)]
for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 2e-3)):
    states = []
    for name in ("native", "torch"):
        engine = engines.find(name, arch="vanilla", device="cpu")
        protocol = Protocol(n=21, epochs=4, steps=12, batch=7, flossing_epochs=3, dtype=dtype)
        training = Training(networks, protocol, engine=engine)
        list(training.run())
        states.append(torch.cat([p.flatten() for p in training.parameters.values()]))
    torch.testing.assert_close(*states, rtol=0, atol=tolerance)
print(build.instruction_set())
"""


@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
@needs_compiler
def test_every_instruction_set_computes_the_same(capability):
    """Those that this machine has; torch's own environment variable hides the better ones."""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = {"default": "PORTABLE", "avx2": "AVX2", "avx512": "AVX512"}[capability]
    if done.stdout.strip() != wanted:
        pytest.skip(f"this machine has no {wanted}")


def test_torch_names_its_capabilities_as_we_expect():
    assert torch.backends.cpu.get_cpu_capability() in (
        "DEFAULT",
        "AVX2",
        "AVX512",
        "NO AVX",
        "ZVECTOR",
        "VSX",
        "SVE256",
    )


# --- from the command line -------------------------------------------------------------------------------------------


def engine_of(folder: Path) -> str:
    """The engine of the one ensemble that was computed here, which the folder of its job names as well."""
    (ensemble,) = folder.glob("results/ensembles/*/environment.json")
    (view,) = folder.glob("results/xor-*/environment.json")
    environment = json.loads(ensemble.read_text())
    assert json.loads(view.read_text()) == {ensemble.parent.name: environment}
    return environment["engine"]


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
        assert engine_of(tmp_path) == "torch"


@needs_compiler
def test_a_run_with_the_native_engine(tmp_path):
    done = floss(tmp_path, *TRAIN, "engine=native")
    assert (done.returncode, done.stderr) == (0, "")
    assert engine_of(tmp_path) == "native"
