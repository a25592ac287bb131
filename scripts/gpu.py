#!/usr/bin/env python3
"""On a machine with a CUDA card: the tests marked `gpu`, then how fast 480 networks train and floss.

    make gpu                            with python3 and what is installed for it
    make gpu PYTHON=python3.12          with another interpreter
    make gpu WHEELS=folder              with the wheels in a folder for what is missing

Nothing is installed and no network is used: torch (2.10 or later, with CUDA) and Python (3.11 to 3.13) are those that
are there, and floss runs from this checkout. What else is needed are its dependencies in pyproject.toml, and pytest.
`python3 scripts/gpu.py --list` names what is missing of them. On a machine with a network and the same Python,

    python3 -m pip wheel --wheel-dir folder REQUIREMENT ...

makes the wheels of these and of what they need. Where the machine cannot do it: one line, and exit status 2.

The networks are as many and as large as those of Fig. 4C (eight delays, three schedules, twenty seeds; N = 80, k = 75,
T = 300, batch 16, T_f = 55). Each loop runs for 200 epochs in every round, by torch one operation after the other
(`torch`), and replayed as a CUDA graph (`graph`). The rows, with the card's name, are in results/bench/CARD/bench.csv.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
FLOSS = (sys.executable, "-c", "from floss.commands.main import main; main()")
SCANS = ("n", "k", "steps", "flossing_steps", "batch")
BENCH = (
    *("device=cuda", "networks=[480]", "epochs=200", "repeats=3", "cells=[]"),
    *(f"scaling_{name}=[]" for name in SCANS),
    *("spectrum_sizes=[[80,75]]", "spectrum_networks=[16]", "spectrum_steps=200"),
)


def stop(text: str) -> NoReturn:
    """Say one line, and leave with exit status 2."""
    print(f"make gpu: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(2)


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def version_of(name: str) -> str | None:
    """Version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def release(version: str) -> tuple[int, ...]:
    """(2, 10, 0) of 2.10.0a0+local: a build of a version that is to come counts as it."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[: version.count(".") + 1]))


def missing() -> list[str]:
    """The requirements, of floss and of its tests, that this interpreter does not meet."""
    needed = [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    unmet = []
    for line in needed:
        name, _, least = line.partition(",")[0].partition(">=")
        wanted = line in project()["dependencies"] or name == "pytest"
        version = version_of(name)
        if wanted and (version is None or release(version) < release(least)):
            unmet.append(line)
    return unmet


def card() -> str:
    """Name of the card, asked in a process of its own; stops where there is none."""
    code = "import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["torch cannot be imported"])[-1]
        stop(f"{sys.executable}: {reason}; make gpu PYTHON=... takes another interpreter")
    version, _, name = done.stdout.strip().partition(" ")
    if name == "False":
        stop(f"torch {version} finds no CUDA card on this machine")
    return name


def unpack(wheels: Path, site: Path) -> None:
    """Put the wheels of packages that are not installed into a folder; the interpreter's own stay as they are."""
    if not wheels.is_dir():
        stop(f"WHEELS={wheels}: there is no such folder")
    new = [str(wheel) for wheel in sorted(wheels.glob("*.whl")) if version_of(wheel.name.split("-")[0]) is None]
    options = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", str(site))
    command = [sys.executable, "-m", "pip", "install", *options, *new]
    done = (
        subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False) if new else None
    )
    if done and done.returncode:
        stop(f"WHEELS={wheels}: {(done.stderr.strip().splitlines() or ['pip fails'])[-1]}")


def lay_out(site: Path) -> None:
    """Make floss importable from a folder as if it were installed: links into the checkout, and its metadata."""
    (site / "floss").mkdir()
    for path in (ROOT / "floss").iterdir():
        (site / "floss" / path.name).symlink_to(path)
    (site / "floss" / "conf").symlink_to(ROOT / "conf")
    (site / "hydra_plugins").mkdir(exist_ok=True)
    (site / "hydra_plugins" / "floss").symlink_to(ROOT / "floss" / "commands" / "hydra_plugin")
    version = project()["version"]
    information = site / f"floss-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: floss\nVersion: {version}\n", encoding="utf-8")


def main() -> int:
    """Check, test, measure; 1 where a test or the measurement fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="folder with wheels of what is missing")
    parser.add_argument("--list", action="store_true", help="name what is missing, one requirement a line, and stop")
    options = parser.parse_args()
    if not (3, 11) <= sys.version_info < (3, 14):
        stop(f"floss needs Python 3.11 to 3.13, and {sys.executable} is {sys.version.split()[0]}")
    if options.list:
        print("".join(f"{line}\n" for line in missing()), end="")
        return 0
    name = card()
    with tempfile.TemporaryDirectory(prefix="floss-gpu-") as folder:
        site = Path(folder)
        if options.wheels:
            unpack(options.wheels, site)
            sys.path.insert(0, folder)
        if lines := missing():
            stop(f"missing: {', '.join(lines)}; make gpu WHEELS=folder takes them from a folder of wheels")
        lay_out(site)
        path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        tests = ROOT / "tests" / "gpu"
        pytest = ("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-c", str(tests / "pytest.ini"))
        test = [sys.executable, *pytest, f"--confcutdir={tests}", str(tests)]
        results = Path("results", "bench", re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
        bench = [*FLOSS, "bench", *BENCH, f"results={results}"]
        failed = [
            part
            for part, command in (("the tests", test), ("floss bench", bench))
            if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        ]
    print(f"make gpu: {name}: " + (f"{' and '.join(failed)} failed" if failed else f"all passed; {results}/bench.csv"))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
