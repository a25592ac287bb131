"""Architectures and tasks of other installed packages work as our own do, and broken ones are named in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from command import ENVIRONMENT, TINY, files, floss, inside, job, rows
from jobs.key_values import ARCHITECTURES
from other_packages import install

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.networks import network_ids
from floss.networks import CELLS
from floss.tasks import TASKS
from floss.training import engines
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

WITH_LEAKY = ARCHITECTURES.replace("gru, ", "gru, leaky, ")

pytestmark = pytest.mark.usefixtures("no_pictures")

EXAMPLE = Path(__file__).with_name("example_package")
BOTH = ("arch=leaky", "task=recall")
SHORT = ("flossing.steps=16", "flossing.epochs=2")
TRAIN = ("train", *TINY, *BOTH, *SHORT, "flossing.at=[0,10]", "seeds=2", "train.checkpoint_every=4")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The example package, built."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("wheel")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    offline = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation", "--no-deps")
    command = [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(target), str(source)]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=200)
    (path,) = target.glob("floss_example-1.0-*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder in which the example package is installed, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


COMMANDS = ("train", "plan", "spectrum", "condition")
COMPLETED = [("arch=le", ["arch=leaky"]), ("arch=leaky task=re", ["task=recall"])]
ANSWERED = """
import json, os, sys
from pathlib import Path
from unittest.mock import patch
from command import inside

answers = []
for arguments, variables in json.load(sys.stdin):
    with patch.dict(os.environ, variables):
        done = inside(Path(), *arguments)
    answers.append((done.returncode, done.stdout, done.stderr))
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(site, tmp_path_factory) -> dict[str, list[Any]]:
    """Status, output and errors of some lines of a process in which the package is installed from its start.

    All in one process: each of its own would import for longer than it takes to answer.
    """
    lines = {f"{command} --help": ([command, "--help"], {}) for command in COMMANDS}
    for words, _ in COMPLETED:
        line = f"floss train {words}"
        lines[words] = (["-sc", "query=bash"], {"COMP_LINE": line, "COMP_POINT": str(len(line))})
    lines["arch=leakyy"] = (["train", "arch=leakyy"], {})
    return answered(lines, site, tmp_path_factory.mktemp("answers"))


def answered(lines: dict[str, tuple[list[str], dict[str, str]]], site: Path, folder: Path) -> dict[str, list[Any]]:
    """What one process that finds the packages of `site` answers in a folder to lines with their variables."""
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", ANSWERED],
        input=json.dumps([*lines.values()]),
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(site), tests])},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(lines, json.loads(done.stdout), strict=True))


@pytest.fixture
def installed(site, forgotten, monkeypatch) -> None:
    """The example package can be imported in this process."""
    monkeypatch.syspath_prepend(str(site))


# --- they work as our own do ----------------------------------------------------------------------------------------


def test_an_installed_package_trains_from_the_command_line(site, tmp_path):
    done = floss(tmp_path, *TRAIN, PYTHONPATH=str(site))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("finished recall d=4 flossing=at-0-10: final_accuracy 0.")
    (folder,) = (tmp_path / "results").glob("recall-d4-leaky-at-0-10-*")
    assert "learning_curves.png" in files(folder)
    phases = [row["phase"] for row in rows(folder / "metrics.csv")]
    assert {phases.count(phase) > 0 for phase in ("train", "floss")} == {True}
    assert {(row["arch"], row["task"], row["status"]) for row in rows(folder / "summary.csv")} == {
        ("leaky", "recall", "done")
    }
    assert "packages:\n  arch: floss-example 1.0\n  task: floss-example 1.0\n" in (folder / "config.yaml").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_it(command, answers):
    status, out, err = answers[f"{command} --help"]
    assert (status, err) == (0, "")
    assert f"\narch: {WITH_LEAKY}\n" in out
    assert ("\ntask: copy, recall, spatial_xor, teacher, xor, xor_continuous\n" in out) == (
        command in ("train", "plan")
    )


@pytest.mark.parametrize(("line", "words"), COMPLETED)
def test_the_shell_completes_it(line, words, answers):
    status, out, err = answers[line]
    assert (status, out.split(), err) == (0, words, "")


def test_nothing_is_imported_that_is_not_asked_for(site, tmp_path):
    """Not for the help, and not for training something else."""
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "floss_example.py").write_text("raise RuntimeError('imported')")
    lines = (["--help"], ["train", "--help"], ["train", *TINY, "flossing=none"], ["train", *TINY, *BOTH])
    *others, asked = answered({" ".join(line): (line, {}) for line in lines}, tmp_path / "site", tmp_path).values()
    assert [(status, err) for status, _, err in others] == [(0, "")] * 3
    assert asked[0] == 2
    assert "imported" in asked[2]


@pytest.mark.usefixtures("installed")
def test_it_has_its_own_defaults():
    ours = job(*BOTH, "flossing.k=4", "d=6")
    assert (ours.arch.n, ours.arch.g, ours.arch.bias, ours.arch.relaxation) == (32, 1.2, 0.1, 100)
    assert (ours.task.name, ours.task.delay, ours.d) == ("recall", 6, 6)
    assert job(*BOTH, "arch.n=9", "flossing.k=4").arch.n == 9
    assert job("task=recall").arch == job().arch


@pytest.mark.usefixtures("installed")
def test_a_sweep_over_ours_and_theirs(tmp_path):
    sweep = ("train", "-m", *TINY, "arch=vanilla,leaky", "task=recall,xor", "flossing=pre", *SHORT, "train.epochs=3")
    done = inside(tmp_path, *sweep)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("networks 4 done\n")
    done = inside(tmp_path, *sweep)
    assert [line.split()[0] for line in done.stdout.splitlines()[:4]] == ["known"] * 4


@pytest.mark.usefixtures("installed")
def test_it_goes_on_to_the_same_bytes_and_its_spectrum_is_found(tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    assert inside(whole, *TRAIN).returncode == 0
    run_epochs = Training.train_epochs

    def stop_at_13(self: Training, count: int):
        if self.epoch + count > 13:
            signal.raise_signal(signal.SIGTERM)
        return run_epochs(self, count)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_epochs", stop_at_13)
        assert inside(parts, *TRAIN).returncode == 143
    done = inside(parts, *TRAIN)
    assert (done.returncode, done.stderr) == (0, "")
    tables = [next((folder / "results").glob("recall-*/metrics.csv")) for folder in (whole, parts)]
    assert tables[0].read_bytes() == tables[1].read_bytes()

    seen = ("spectrum", f"checkpoint={tables[0].parent}", "flossing.epochs=0", "steps=30", "transient=5")
    done = inside(tmp_path, *seen)
    assert done.returncode == 0, done.stderr
    (spectrum,) = (tmp_path / "results").glob("spectrum-leaky-*/spectrum.csv")
    assert [(row["seed"], row["i"]) for row in rows(spectrum)] == [(s, str(i + 1)) for s in "01" for i in range(8)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("command", ["spectrum", "condition"])
def test_fresh_networks_are_analysed_before_and_after_flossing(command, tmp_path):
    sizes = ("arch.n=6", "flossing.k=3", *SHORT, "steps=20", "transient=5")
    done = inside(tmp_path, command, "arch=leaky", *sizes, *(("at=10",) if command == "condition" else ()))
    assert done.returncode == 0, done.stderr
    (table,) = (tmp_path / "results").glob(f"{command}-leaky-*/{command}.csv")
    assert {row["flossing"] for row in rows(table)} == {"before", "after"}


@pytest.mark.usefixtures("installed")
def test_the_tables_import_what_they_are_asked_for():
    assert type(CELLS["leaky"]).__name__ == "Leaky"
    assert type(TASKS["recall"]).__name__ == "Recall"
    for table in (CELLS, TASKS):
        with pytest.raises(KeyError, match="nothing"):
            table["nothing"]
    training = Training(Ensemble([Network(seed=0, d=2)], Protocol(task="recall", arch="leaky", n=5, steps=9, batch=2)))
    assert torch.isfinite(training.train_epochs(2).loss).all()


@pytest.mark.usefixtures("installed")
def test_the_native_engine_has_our_tasks_alone(tmp_path):
    assert engines.find("auto", arch="vanilla", device="cpu", task="recall") is engines.ENGINES["torch"]
    done = inside(tmp_path, "train", "task=recall", "engine=native")
    said = "floss train: engine=native: is for floss's own tasks, and task=recall; engine=torch has all\n"
    assert (done.returncode, done.stderr) == (2, said)
    with pytest.raises(ValueError, match=r"^engine=native does not have the task recall$"):
        Training(Ensemble([Network(seed=0, d=2)], Protocol(task="recall", n=4, steps=9)), engines.ENGINES["native"])


@pytest.mark.usefixtures("installed")
def test_a_task_of_another_package_trains_where_the_native_engine_would_be_chosen(tmp_path):
    """Vanilla networks on the CPU, with engine=auto: by the torch engine."""
    short = ("task=recall", "d=2", "train.epochs=2", "train.steps=9", "arch.n=5", "device=cpu", "flossing=none")
    done = inside(tmp_path, "train", *short, "results=results", "engine=auto")
    assert done.returncode == 0, done.stderr
    assert [row["task"] for row in rows(*tmp_path.glob("results/recall-*/summary.csv"))] == ["recall"]


@pytest.mark.usefixtures("installed")
def test_singular_values_need_a_matrix_that_is_flossed(tmp_path):
    assert job(*BOTH, "flossing.k=4", "diagnostics=[svd]").diagnostics == ("svd",)
    with pytest.raises(ConfigError, match="needs a recurrent weight matrix, and arch=lru has none"):
        job("arch=lru", "diagnostics=[svd]")


# --- which networks they are ----------------------------------------------------------------------------------------


def test_the_version_of_the_package_is_a_part_of_the_key(tmp_path, monkeypatch, forgotten):
    """And that of our own networks is the same as without any package."""
    ours, keys = network_ids(job("flossing.k=4")), []
    source = (EXAMPLE / "floss_example.py").read_text()
    entries = "[floss.cells]\nleaky = floss_example:LEAKY\n[floss.tasks]\nrecall = floss_example:RECALL\n"
    for version in ("1.0", "1.0", "1.1"):
        folder = tmp_path / str(len(keys))
        install(folder, source, entries, "floss_example", version)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            extensions._registered.cache_clear()
            keys.append([network_ids(job(*chosen, "flossing.k=4"))[0] for chosen in (BOTH, BOTH[:1], BOTH[1:])])
            assert network_ids(job("flossing.k=4")) == ours
    assert keys[0] == keys[1]
    assert len({*keys[0], *keys[2], *ours}) == 7


@pytest.mark.usefixtures("forgotten")
def test_values_of_our_own_come_from_no_package():
    for key, table in (("arch", CELLS), ("task", TASKS)):
        assert set(extensions.shipped(key)) == set(table)
        assert extensions.added(key) == []
        assert [extensions.package(key, name) for name in table] == [None] * len(table)


# --- broken ones ----------------------------------------------------------------------------------------------------

GOOD = (EXAMPLE / "floss_example.py").read_text()
BROKEN = {
    "leaky = broken:LEAKY": "raise ImportError('no\\nsuch thing')",
    "leaky = broken:NOTHING": GOOD,
    "leaky = broken:Leaky": GOOD,
    "other = broken:LEAKY": GOOD,
    "vanilla = broken:LEAKY": GOOD.replace('"leaky"', '"vanilla"'),
    "leaky = broken:LEAKY\nleaky = broken:Leaky": GOOD,
    "leaky = broken:LEAKY ": GOOD.replace('"g": 1.2', '"gain": 1.2'),
}
SAID = [
    "arch=leaky: broken:LEAKY of broken 1.0 cannot be imported: ImportError: no such thing",
    "arch=leaky: broken:NOTHING of broken 1.0 cannot be imported: AttributeError: module 'broken' has no attribute "
    "'NOTHING'",
    "arch=leaky: broken:Leaky of broken 1.0 must be a floss.networks.Cell, and is a ABCMeta",
    "arch=other: broken:LEAKY of broken 1.0 has the name leaky, which must be that of its entry point",
    "arch=vanilla: broken 1.0 registers a name that floss has itself; remove that package",
    "arch=leaky: broken 1.0 and broken 1.0 register the same name; remove all but one",
    "arch=leaky: broken:LEAKY of broken 1.0 has a default for arch.gain, and there is no such key",
]


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(("entry", "said"), list(zip(BROKEN, SAID, strict=True)), ids=SAID)
def test_a_broken_one_is_said_in_one_line_when_it_is_asked_for(entry, said, tmp_path, monkeypatch):
    install(tmp_path / "site", BROKEN[entry], f"[floss.cells]\n{entry}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    name = entry.split()[0]
    for command in ("train", "plan", "spectrum", "condition"):
        done = inside(tmp_path, command, f"arch={name}")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"floss {command}: {said}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert job("arch=relu").arch.name == "relu"


@pytest.mark.usefixtures("forgotten")
def test_a_broken_task_is_said_in_one_line_when_it_is_asked_for(tmp_path, monkeypatch):
    install(tmp_path, GOOD, "[floss.tasks]\nrecall = broken:LEAKY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"^task=recall: broken:LEAKY of broken 1.0 must be a floss.tasks.Task,"):
        job("task=recall")
    assert job().task.name == "xor"


def test_a_name_that_nobody_has(answers):
    allowed = f"must be one of {WITH_LEAKY}; did you mean leaky?"
    assert answers["arch=leakyy"] == [2, "", f"floss train: arch=leakyy: {allowed}\n"]


@pytest.mark.usefixtures("installed")
def test_a_name_that_nobody_has_in_the_key_itself():
    with pytest.raises(ConfigError, match=r"^arch.name=leakyy: must be one of gru, .*, leaky; choose it by arch=$"):
        job("arch.name=leakyy")


@pytest.mark.usefixtures("installed")
def test_checkpoints_of_a_task_that_is_gone(tmp_path):
    assert inside(tmp_path, *TRAIN).returncode == 0
    (folder,) = (tmp_path / "results").glob("recall-*")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("name: recall", "name: gone"))
    done = inside(tmp_path, "spectrum", f"checkpoint={folder}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"floss spectrum: checkpoint={folder}: task.name=gone: must be one of copy, ")
    assert done.stderr.count("\n") == 1
