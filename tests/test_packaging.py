"""The wheel holds everything: built, installed beside nothing of the checkout, and run."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from command import ENVIRONMENT, TINY, files
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
END = "=" * 9
IN_TURN = f"""
import runpy, sys
program, *lines = sys.argv[1:]
for line in lines:
    sys.argv = [program, *line.split()]
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as stop:
        assert not stop.code, stop.code
    print("{END}", end="", flush=True)
"""
"""Runs the installed program with some lines, one after the other: each process would import for two seconds."""


def run(*command: object, folder: Path) -> str:
    """What a command prints; it must succeed, and not find the checkout."""
    environment = {k: v for k, v in ENVIRONMENT.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of the sources alone."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("floss", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    quiet = ("--quiet", "--disable-pip-version-check")
    run(
        *(sys.executable, "-m", "pip", "wheel", *quiet, "--no-index", "--no-build-isolation", "--no-deps"),
        *("--wheel-dir", target, source),
        folder=source,
    )
    (found,) = target.glob("*.whl")
    return found


def test_the_wheel_holds_every_file(wheel):
    sources = [*(ROOT / "floss").rglob("*"), *(ROOT / "conf").rglob("*")]
    kinds = (".py", ".yaml", ".cpp", ".h", ".css", ".j2", ".typed")
    names = [str(path.relative_to(ROOT)) for path in sources if path.suffix in kinds]
    expected = {f"floss/{name}" if name.startswith("conf/") else name for name in names}
    expected = {re.sub("^floss/commands/hydra_plugin/", "hydra_plugins/floss/", name) for name in expected}
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_installed_wheel_trains(wheel, tmp_path):
    home, work = tmp_path / "venv", tmp_path / "empty"
    work.mkdir()
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--no-index", "--no-deps", wheel, folder=work)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=work).strip())
    # torch and the rest are found where they are; the .pth files there, such as that of the checkout, are not read.
    (own / "elsewhere.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    packages = ("floss", "floss.conf", "hydra_plugins.floss")
    code = f"import {', '.join(packages)}; print({', '.join(f'{name}.__file__' for name in packages)})"
    place = run(python, "-c", code, folder=work)
    assert [Path(name).is_relative_to(own) for name in place.split()] == [True, True, True]
    program = home / "bin" / "floss"
    train, sweep = [f"train {' '.join(TINY)} flossing=pre", f"train -m {' '.join(TINY)} flossing=none,pre"]
    trained, swept = run(python, "-c", IN_TURN, program, train, sweep, folder=work).split(END)[:2]
    assert trained.startswith("finished xor d=4 flossing=pre: final_accuracy 0.")
    assert [path.name for path in work.iterdir()] == ["results"]
    (folder,) = (work / "results").glob("xor-d4-*-pre-*")
    assert "learning_curves.png" in files(folder)
    assert re.findall(r"^(finished|known) +xor", swept, re.MULTILINE) == ["finished", "known"]  # Hydra has our plugins
    assert swept.endswith("networks 2 done\n")
    assert "flossing: during, early, none, pre, throughout" in run(program, "train", "--help", folder=work)


def test_every_package_that_an_install_names_is_pinned():
    """An extra whose packages are not pinned takes an installer minutes to resolve, and installs others every day."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    assert len(pins) == len(lines)
    for extra, packages in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        for package in map(Requirement, packages):
            name = canonicalize_name(package.name)
            assert name in pins, f"{extra}: {package} is not in constraints.txt"
            assert package.specifier.contains(pins[name]), f"{extra}: {package} is not {pins[name]}"
