"""Someone who types the commands of a page: quickly, in this process, in an empty folder, and knowing what each is.

A command of `floss` runs with sizes that make it quick, but with every key that its line sets, except the scale of a
reproduction. What cannot run here (pip, sbatch, make, a cluster) is checked for what it refers to. A line that is none
of these is an error.
"""

import re
import shlex
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path

from command import inside, jobs
from docs.pages import ROOT

SMALL = {"arch.n": "8", "flossing.k": "4", "device": "cpu"}
TRAINING = {
    **SMALL,
    "train.epochs": "10",
    "train.steps": "80",
    "train.batch": "2",
    "train.log_every": "5",
    "train.evaluation_batches": "1",
    "flossing.epochs": "3",
}
ANALYSIS = {**SMALL, "steps": "20", "transient": "5", "flossing.steps": "20", "flossing.epochs": "2"}
BENCH = {
    **{
        "device": "cpu",
        "networks": "[1,2]",
        "cells": "[]",
        "repeats": "3",
        "seconds": "0.001",
        "n": "8",
        "k": "4",
        "steps": "20",
        "batch": "2",
    },
    **{"flossing_steps": "20", "spectrum_sizes": "[[4,4]]", "spectrum_steps": "20", "spectrum_networks": "[1]"},
    **{f"scaling_{size}": "[]" for size in ("n", "k", "steps", "flossing_steps", "batch")},
}
QUICK: dict[str, dict[str, str]] = {
    "train": TRAINING,
    "plan": TRAINING,
    "sbatch": {"device": "cpu"},
    "collect": {},
    "spectrum": ANALYSIS,
    "condition": {**ANALYSIS, "at": "10", "horizons": "4"},
    "reproduce": {"scale": "smoke", "fig": "15", "device": "cpu"},
    "figures": {},
    "report": {},
    "bench": BENCH,
}
"""What is added to a command of `floss`, unless its line has that key."""
_DIRECTIONS = ("flossing.k", "k", "dims")
_LOOKS = ("grep", "ls")
"""Programs that only read."""


def _loggers(overrides: list[str]) -> list[str]:
    """The packages that the value of `logger=` names."""
    values = [word.partition("=")[2] for word in overrides if word.startswith("logger=")]
    return re.findall(r"\w+", " ".join(values))


class UnknownLineError(Exception):
    """A line of a page that nobody could type, or that this reader has not been taught."""


def lines_of(text: str) -> list[str]:
    """The commands of a console block, each as one line.

    Raises:
        UnknownLineError: a line without a prompt. Outputs are not shown in examples, as they would have to be true.
    """
    lines = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("$ "):
            raise UnknownLineError(f"{line!r}: a line of a console block begins with '$ '")
        lines.append(line.removeprefix("$ "))
    return lines


def quickened(command: str, overrides: list[str]) -> list[str]:
    """The overrides of a command, and those that make it quick.

    Raises:
        UnknownLineError: a command that is not known.
    """
    if command not in QUICK:
        raise UnknownLineError(f"floss {command}: no such command")
    given = dict(override.split("=", 1) for override in overrides if "=" in override)
    added = {key: value for key, value in QUICK[command].items() if key not in given}
    if "checkpoint" in given:  # which has its own architecture
        added.pop("arch.n", None)
    elif "arch.n" in added:  # as many units as a line asks for exponents
        named = [int(number) for key in _DIRECTIONS for number in re.findall(r"\d+", given.get(key, ""))]
        added["arch.n"] = str(max([int(added["arch.n"]), *named]))
    if command == "reproduce" and "paper" in given and "fig" in added:
        added["fig"] = "2"  # a quick one of the second paper
    if command == "reproduce" and "scale" in given:
        if given["scale"] not in ("paper", "small", "smoke"):
            raise UnknownLineError(f"scale={given['scale']}: no such scale")
        overrides = [override for override in overrides if not override.startswith("scale=")]
        added["scale"] = "smoke"
    return [*overrides, *(f"{key}={value}" for key, value in added.items())]


class Reader:
    """Types the commands of one page, one after the other, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def types(self, line: str) -> None:
        """One line.

        Raises:
            UnknownLineError: nobody could type it, or this reader has not been taught it.
            AssertionError: it does not work.
        """
        words = shlex.split(line, comments=True)
        if not words:
            raise UnknownLineError(f"{line!r}: is empty")
        program, *arguments = words
        if program == "floss":
            self._floss(arguments)
        elif program == "make":
            self._make(arguments)
        elif program == "pip":
            self._pip(arguments)
        elif program == "sbatch":
            (script,) = arguments
            assert subprocess.run(["sh", "-n", self.folder / script], check=False).returncode == 0, line
        elif program in _LOOKS:
            done = subprocess.run(line, shell=True, cwd=self.folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, line
            assert done.stdout, line
        elif program == ".venv/bin/python" and len(arguments) == 1:
            assert (ROOT / arguments[0]).is_file(), line
        elif program.startswith("scripts/") and not arguments:
            assert subprocess.run(["bash", "-n", ROOT / program], check=False).returncode == 0, line
        elif program == "git" and arguments[:2] == ["tag", "-a"]:
            assert arguments[2] == f"v{_project()['version']}", line
        else:
            raise UnknownLineError(f"{line!r}: no way to try it; teach tests/docs/reader.py")

    def _floss(self, words: list[str]) -> None:
        words, target = (words[:-2], words[-1]) if ">" in words[-2:] else (words, None)
        command, *arguments = words
        options = [word for word in arguments if word.startswith("-")]
        overrides = [self._named(word) for word in arguments if word not in options]
        if command == "--help" or "--help" in options:
            done = inside(self.folder, *words)
        elif "hydra/launcher=slurm" in overrides:
            self._on_a_cluster(overrides)
            return
        else:
            done = inside(self.folder, command, *options, *quickened(command, overrides))
            absent = [name for name in _loggers(overrides) if find_spec(name) is None]
            if absent:  # what it does where they are there, a slow test tries
                assert done.returncode == 2, words
                assert f"logger={absent[0]}: needs {absent[0]}, which is not installed" in done.stderr
                return
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert done.stdout, words
        if target is not None:
            (self.folder / target).write_text(done.stdout)

    def _named(self, word: str) -> str:
        """A word with the folder of a training run in the place of RUN."""
        if not word.endswith("/RUN"):
            return word
        runs = sorted(path.parent for path in (self.folder / "results").glob("[!s]*/networks.safetensors"))
        return word.replace("results/RUN", str(runs[0].relative_to(self.folder)))

    def _on_a_cluster(self, overrides: list[str]) -> None:
        """The jobs of the sweep are right, and the launcher takes its keys."""
        own = [override for override in overrides if override.startswith("hydra")]
        assert jobs(*(override for override in overrides if override not in own))
        composed = inside(self.folder, "train", *own, "--cfg", "hydra")
        assert composed.returncode == 0, composed.stderr
        for key, value in (override.split("=") for override in own):
            assert key == "hydra/launcher" or f"{key.rpartition('.')[2]}: {value}" in composed.stdout, key

    def _make(self, targets: list[str]) -> None:
        makefile = (ROOT / "Makefile").read_text()
        help_ = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert targets
        for target in targets:
            assert re.search(f"^{target}:", makefile, re.MULTILINE), target
            assert re.search(f"^  make {target} ", help_, re.MULTILINE), target

    def _pip(self, arguments: list[str]) -> None:
        wanted = re.fullmatch(r"install (?:-e )?(?:\.|floss)(?:\[([\w,]+)\])?", " ".join(arguments))
        if wanted is None:
            raise UnknownLineError(f"pip {' '.join(arguments)}: no way to try it; teach tests/docs/reader.py")
        for extra in (wanted[1] or "").split(",") if wanted[1] else ():
            assert extra in _project()["optional-dependencies"], extra


def _project() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
