"""`make gpu` where there is no card: what it says, what it would run, and that the tests of a card are sound."""

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from command import ENVIRONMENT, TINY, files

from floss.analysis.bench.contenders import compared, scanned
from floss.jobs.bench import BenchJob
from floss.jobs.compose import sweep_jobs
from floss.jobs.keys import build

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "gpu.py"


@pytest.fixture
def gpu() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(capsys, gpu: Any, *arguments: str) -> str:
    """The one line that the script stops with."""
    with pytest.raises(SystemExit) as stopped:
        sys.exit(run(gpu, *arguments))
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    return err.rstrip()


def run(gpu: Any, *arguments: str) -> int:
    before, sys.argv = sys.argv, ["gpu.py", *arguments]
    try:
        return gpu.main()
    finally:
        sys.argv = before


def test_a_machine_without_a_card_is_told_so_in_one_line():
    hidden = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, SCRIPT], env=hidden, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"make gpu: torch \S+ finds no CUDA card on this machine\n", done.stderr)


def test_an_interpreter_that_floss_cannot_use(gpu, capsys, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    assert said(capsys, gpu).startswith("make gpu: floss needs Python 3.11 to 3.13, and ")


def test_an_interpreter_without_torch(gpu, capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert said(capsys, gpu) == (
        "make gpu: /bin/false: torch cannot be imported; make gpu PYTHON=... takes another interpreter"
    )


@pytest.mark.parametrize(
    ("installed", "unmet"),
    [
        ({"filelock": None}, ["filelock>=3.15.4"]),
        ({"pytest": None}, ["pytest>=8.3"]),
        ({"hypothesis": None, "ruff": None}, []),  # what other tests need
        ({"torch": "2.9.1+cu128"}, ["torch>=2.10"]),
        ({"torch": "2.10.0a0+b558c98.nv25.11"}, []),
        ({"hydra-core": "1.3.7", "tqdm": "4.66.0"}, ["hydra-core>=1.3.8,<1.5"]),
    ],
)
def test_what_is_missing_is_named(installed, unmet, gpu, capsys, monkeypatch):
    have = gpu.version_of
    monkeypatch.setattr(gpu, "version_of", lambda name: installed.get(name, have(name)))
    monkeypatch.setattr(gpu, "card", lambda: "A Card")
    assert run(gpu, "--list") == 0
    assert capsys.readouterr().out.splitlines() == unmet
    if unmet:
        assert said(capsys, gpu).startswith(f"make gpu: missing: {', '.join(unmet)}; make gpu WHEELS=folder ")


def test_wheels_of_a_folder_are_used_where_a_package_is_not_there(gpu, tmp_path, capsys, monkeypatch):
    for name in ("nowhere_else", "filelock"):
        information = f"{name}-99.0.dist-info"
        with zipfile.ZipFile(tmp_path / f"{name}-99.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
            wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{information}/RECORD", "")
    site = tmp_path / "site"
    site.mkdir()
    gpu.unpack(tmp_path, site)
    assert sorted(path.name for path in site.glob("*.py")) == ["nowhere_else.py"]
    monkeypatch.setattr(gpu, "card", lambda: "A Card")
    (tmp_path / "other-1.0-py3-none-any.whl").write_text("no wheel")
    assert said(capsys, gpu, "--wheels", str(tmp_path)).startswith(f"make gpu: WHEELS={tmp_path}: ")
    assert said(capsys, gpu, "--wheels", "no/folder") == "make gpu: WHEELS=no/folder: there is no such folder"


@pytest.mark.parametrize("failing", [(), ("pytest",), ("bench",), ("pytest", "bench")])
def test_tests_and_measurement_both_run_whatever_fails(failing, gpu, capsys, monkeypatch):
    ran: list[list[str]] = []

    def record(command: list[str], **options: Any) -> Any:
        site = options["env"]["PYTHONPATH"].split(os.pathsep)[0]
        assert {path.name for path in Path(site).iterdir()} == {"floss", "hydra_plugins", f"floss-{version}.dist-info"}
        ran.append(command)
        return subprocess.CompletedProcess(command, int(bool({*failing} & {*command})))

    version = gpu.project()["version"]
    monkeypatch.setattr(gpu, "card", lambda: "NVIDIA A100-SXM4-80GB (MIG)")
    monkeypatch.setattr(gpu.subprocess, "run", record)
    assert run(gpu) == int(bool(failing))
    tests, bench = ran
    assert tests[1:7] == ["-m", "pytest", "-q", "-m", "gpu", "-p"]
    assert tests[-1] == str(ROOT / "tests" / "gpu")
    assert bench[2:4] == ["from floss.commands.main import main; main()", "bench"]
    assert bench[-1] == "results=results/bench/nvidia-a100-sxm4-80gb-mig"
    line = capsys.readouterr().out
    assert line.startswith("make gpu: NVIDIA A100-SXM4-80GB (MIG): ")
    assert ("the tests" in line, "floss bench" in line, "all passed" in line) == (
        "pytest" in failing,
        "bench" in failing,
        not failing,
    )


def test_what_is_measured(gpu):
    """As many networks as Fig. 4C has, both loops, one operation after the other and as a graph."""
    given = [override for override in gpu.BENCH if override != "device=cuda"]
    (job,) = sweep_jobs("bench", given, lambda values, _: build(BenchJob, values))
    assert len(gpu.BENCH) == len(given) + 1
    assert (job.n, job.k, job.steps, job.batch, job.flossing_steps, job.epochs) == (80, 75, 300, 16, 55, 200)
    found = [(each.loop, each.engine, each.networks) for each in compared(job, ["torch", "graph"], [])]
    assert found[:6] == [
        (loop, engine, networks)
        for loop in ("train", "floss")
        for engine, networks in (("torch-single", 1), ("torch", 480), ("graph", 480))
    ]
    assert [engine for _, engine, _ in found[6:]] == ["floss-step", "torch-single", "floss-step", "floss", "floss-step"]
    assert scanned(job, ["torch", "graph"]) == []


# --- slow: in an environment of its own ------------------------------------------------------------------------------


@pytest.mark.slow
def test_floss_runs_from_the_checkout_as_if_it_were_installed(gpu, tmp_path):
    home, site, work = tmp_path / "venv", tmp_path / "site", tmp_path / "work"
    for folder in (site, work):
        folder.mkdir()
    venv.create(home, symlinks=True)
    # torch and the rest are found where they are; the .pth files there, such as that of the checkout, are not read.
    (own,) = home.glob("lib/python*/site-packages")
    (own / "elsewhere.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    gpu.lay_out(site)
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "VIRTUAL_ENV"} | {"PYTHONPATH": str(site)}

    def floss(*arguments: str) -> str:
        command = [home / "bin" / "python", *gpu.FLOSS[1:], *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert floss("--version") == f"floss {gpu.project()['version']}\n"
    assert floss("train", "-m", *TINY, "flossing=none,pre").endswith("networks 2 done\n")  # Hydra has our plugins
    (folder,) = (work / "results").glob("sweep-*")
    assert "learning_curves.png" in files(folder)


@pytest.mark.slow
def test_the_tests_of_a_card_pass_on_the_cpu():
    """All of them but those that the CPU cannot stand in for; so none of them is wrong by itself."""
    tests = ROOT / "tests" / "gpu"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-c", tests / "pytest.ini"]
    environment = {**ENVIRONMENT, "FLOSS_TEST_DEVICE": "cpu"}
    done = subprocess.run(
        [*command, f"--confcutdir={tests}", tests], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    counts = re.search(r"^(\d+) passed, (\d+) skipped", done.stdout, re.MULTILINE)
    assert counts
    assert int(counts[1]) > 80
    assert int(counts[2]) == 6
