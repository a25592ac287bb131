"""Analyses of networks that `floss train` has trained, and of checkpoints that cannot be used."""

import functools
import itertools
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis.analyses import COLUMNS, TABLES, TINY, TRANSIENT, contents, done, near, numbers, pick
from command import inside, job, jobs, rows, run_jobs, without_pictures
from problems import DOUBLE
from sweep.damage import empty, flip_a_byte, truncate
from twins import step_twin

from floss import lyapunov_spectrum
from floss.lyapunov.chain import initial_tangent
from floss.random import Stream
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import CHECKPOINT, NETWORKS
from floss.runtime.training_checkpoint import Trained
from floss.sweep.folders import write_sweep
from floss.tasks import TASKS

TRAINED = (
    "scale=smoke",
    "arch.n=6",
    "flossing.k=4",
    "flossing=pre",
    "train.steps=20",
    "train.batch=2",
    "d=4",
    "seeds=3",
)


@pytest.fixture(scope="module")
def training_runs(tmp_path_factory) -> dict[str, Path]:
    """Folders of short training runs, by architecture."""
    with without_pictures():
        folder = tmp_path_factory.mktemp("trained")
        vanilla = job(*TRAINED, f"results={folder}")
        lstm = job(*TRAINED, "arch=lstm", "task=spatial_xor", "seed=7", f"results={folder}")
        for each in (vanilla, lstm):
            assert set(run_jobs([each]).status.values()) == {"done"}
    return {"vanilla": vanilla.folder, "lstm": lstm.folder}


@pytest.fixture
def trained(training_runs, tmp_path) -> Path:
    """A copy of the run of the tanh networks, in run/."""
    return shutil.copytree(training_runs["vanilla"], tmp_path / "run")


def to_checkpoint(run: Path) -> Path:
    """A run as earlier versions left it, with a checkpoint of its trained networks."""
    trained = Trained.load(run / NETWORKS)
    (run / NETWORKS).unlink()
    training = {f"parameters.{name}": value for name, value in trained.parameters.items()}
    content = {"networks": trained.networks, "training": {**training, "diverged_at": trained.diverged_at}}
    save_checkpoint(run / CHECKPOINT, content)
    return run


@pytest.mark.parametrize(("arch", "first", "task"), [("vanilla", 0, "xor"), ("lstm", 7, "spatial_xor")])
def test_trained_networks(training_runs, tmp_path, arch, first, task):
    shutil.copytree(training_runs[arch], tmp_path / "run")
    folder = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6", "states=2")
    table = pick(rows(folder / "spectrum.csv"), flossing="before")
    assert [row["arch"] for row in table] == [arch] * len(table)
    trained = Trained.load(tmp_path / "run" / NETWORKS)
    x = TASKS[task].sample(torch.arange(3) + first, Stream.EVALUATION, 0, steps=36, batch=1, dtype=DOUBLE)[:, :, 0]
    for i, which in itertools.product(range(3), (0, 1)):
        p = {name: value[i].double() for name, value in trained.parameters.items()}
        size = p["h0"].shape[-1]
        q0 = initial_tangent(torch.tensor([first + i]), size, size)[0]
        step = functools.partial(step_twin, arch, p)
        wanted = lyapunov_spectrum(step, p["h0"][which], x[i], transient=TRANSIENT, q0=q0)
        assert numbers(pick(table, seed=first + i, state=which), "lambda") == near(wanted)


def test_a_checkpoint_and_its_folder_are_the_same(trained, tmp_path):
    first = [each for each in TINY["condition"] if not each.startswith("arch.")]
    said = inside(tmp_path, "condition", *first, "checkpoint=run/networks.safetensors")
    assert said.stdout.startswith("finished condition of 3 vanilla networks, n=6\n")
    again = inside(tmp_path, "condition", *first, "checkpoint=run", "arch=vanilla", "seeds=3", "arch.g=1")
    assert (again.returncode, again.stdout) == (0, said.stdout.replace("finished", "known   "))
    assert {row["seed"] for row in rows(next(tmp_path.glob("results/*/condition.csv")))} == {"0", "1", "2"}


def test_other_weights_are_another_analysis(trained, tmp_path):
    first = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    networks = Trained.load(trained / NETWORKS)
    networks.parameters["W"] *= 0.5
    networks.save(trained)
    second = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    assert first.name != second.name
    assert contents(first) != contents(second)


def test_networks_that_diverged_in_training_are_left_out(trained, tmp_path):
    wanted = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    networks = Trained.load(trained / NETWORKS)
    networks.diverged_at[1] = 5
    networks.parameters["W"][1] = math.nan
    networks.save(trained)
    table = rows(done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6") / "spectrum.csv")
    assert {row["seed"] for row in table} == {"0", "2"}
    assert pick(table, seed=2) == pick(rows(wanted / "spectrum.csv"), seed=2)


def test_trained_networks_with_other_inputs(trained, tmp_path):
    found = [
        contents(done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6", f"input={kind}"))["spectrum.csv"]
        for kind in ("auto", "bits", "gaussian", "none")
    ]
    assert found[0] == found[1]  # those of the task
    assert len(set(found)) == 3


def test_networks_that_were_trained_in_several_ensembles(training_runs, tmp_path, monkeypatch):
    run_jobs([job(*TRAINED, "seed=2", "seeds=1", f"results={tmp_path / 'trained'}")])
    again = job(*TRAINED, f"results={tmp_path / 'trained'}")
    run_jobs([again])
    assert len(list(tmp_path.glob("trained/ensembles/*/networks.safetensors"))) == 2
    found = done(tmp_path, "spectrum", f"checkpoint={again.folder}", "arch.n=6")
    wanted = done(tmp_path, "spectrum", f"checkpoint={training_runs['vanilla']}", "arch.n=6")
    for name in TABLES["spectrum"]:
        theirs, ours = rows(wanted / f"{name}.csv"), rows(found / f"{name}.csv")
        assert [row["seed"] for row in ours] == [row["seed"] for row in theirs]
        for column in COLUMNS[name]:
            assert numbers(ours, column) == near(numbers(theirs, column), 1e-5), (name, column)


def spectra(folder: Path, *arguments: str) -> tuple[bytes, Path]:
    """spectrum.csv of an analysis, and its folder."""
    settings = [each for each in TINY["spectrum"] if not each.startswith(("arch.", "seeds="))]
    said = inside(folder, "spectrum", *settings, *arguments)
    assert (said.returncode, said.stderr) == (0, "")
    path = folder / said.stdout.split("table    ")[-1].splitlines()[0]
    return (path.parent / "spectrum.csv").read_bytes(), path.parent


def test_the_folder_of_an_ensemble_of_one_run_is_that_run(training_runs, tmp_path):
    (ensemble,) = (training_runs["vanilla"].parent / "ensembles").glob("xor-*")
    with without_pictures():
        wanted, _ = spectra(tmp_path, f"checkpoint={training_runs['vanilla']}")
        for path in (ensemble, ensemble / NETWORKS):
            assert spectra(tmp_path, f"checkpoint={path}")[0] == wanted


def test_a_checkpoint_of_an_earlier_version_is_that_of_its_networks(trained, tmp_path, no_pictures):
    wanted, place = spectra(tmp_path, "checkpoint=run")
    assert spectra(tmp_path, "checkpoint=run/checkpoint.pt") == (wanted, place)  # a file that a finished run has not
    networks = (trained / NETWORKS).read_bytes()
    found, place = spectra(tmp_path, f"checkpoint={to_checkpoint(trained)}")
    assert found == wanted
    assert spectra(tmp_path, "checkpoint=run/checkpoint.pt") == (wanted, place)
    (trained / NETWORKS).write_bytes(networks)  # as a later version has added it
    assert spectra(tmp_path, "checkpoint=run") == (wanted, place)


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> list[Any]:
    """The jobs of a sweep that is computed in one ensemble."""
    folder = tmp_path_factory.mktemp("swept")
    several = jobs(*TRAINED[:3], *TRAINED[4:6], "flossing=none,pre", "d=4,6", "seeds=2", f"results={folder}")
    with without_pictures():
        write_sweep(run_jobs(several).request)
    return several


@pytest.mark.parametrize("kind", ["ensembles/xor-*", "sweep-*"])
def test_a_run_of_several_is_chosen_by_its_number(swept, tmp_path, no_pictures, kind):
    (folder,) = Path(swept[0].results).glob(kind)
    said = inside(tmp_path, "spectrum", f"checkpoint={folder}")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith(
        f"floss spectrum: checkpoint={folder}: has several runs; choose one by run=: 1 (xor d="
    )
    shown = re.findall(r"(\d) \(xor d=(\d) arch=vanilla n=6 flossing=(\w+) seeds 0 to 1\)", said.stderr)
    assert [number for number, _, _ in shown] == ["1", "2", "3", "4"]
    assert {(d, flossing) for _, d, flossing in shown} == {(d, f) for d in "46" for f in ("none", "pre")}
    analysed = {}
    for number, d, flossing in shown:
        found, place = spectra(tmp_path, f"checkpoint={folder}", f"run={number}")
        (own,) = (each.folder for each in swept if (str(each.d), each.flossing.label) == (d, flossing))
        assert found == spectra(tmp_path, f"checkpoint={own}")[0]
        analysed[place] = found
    assert len(analysed) == len(set(analysed.values())) == 4  # each in a folder of its own
    wrong = inside(tmp_path, "spectrum", f"checkpoint={folder}", "run=5")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith("floss spectrum: run=5: must be one of 1 (xor d=")


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    said = inside(tmp_path, "spectrum", "run=1")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "floss spectrum: run=1: chooses a run of a checkpoint, and checkpoint=null\n"


def in_file(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda run: damage(run / NETWORKS)


def in_checkpoint(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda run: damage(to_checkpoint(run) / CHECKPOINT)


def random_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(3000))


def without_config(run: Path) -> None:
    (run / "config.yaml").unlink()


def of_something_else(path: Path) -> None:
    save_checkpoint(path, {"flossing": {"epoch": 3}, "rows": ""})


def without_states(run: Path) -> None:
    networks = Trained.load(run / NETWORKS)
    Trained(networks.networks, {}, networks.diverged_at).save(run)


def of_fewer_networks(run: Path) -> None:
    networks = Trained.load(run / NETWORKS)
    networks.select(networks.networks[:2]).save(run)


def of_fewer_networks_in_a_part(path: Path) -> None:
    content = load_checkpoint(path)
    content["training"]["diverged_at"] = content["training"]["diverged_at"][:2]
    save_checkpoint(path, content)


def all_diverged(run: Path) -> None:
    networks = Trained.load(run / NETWORKS)
    networks.diverged_at.add_(6)
    networks.save(run)


def edit(old: str, new: str) -> Callable[[Path], None]:
    """Another config.yaml."""

    def change(run: Path) -> None:
        text = (run / "config.yaml").read_text()
        assert text.count(old) == 1
        (run / "config.yaml").write_text(text.replace(old, new))

    return change


def whole_config(text: str) -> Callable[[Path], object]:
    return lambda run: (run / "config.yaml").write_text(text)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (in_file(truncate), "networks.safetensors: these networks are damaged (their SHA-256 does not fit)"),
    "flipped byte": (in_file(flip_a_byte), "networks.safetensors: these networks are damaged (their SHA-256 does not"),
    "random": (in_file(random_bytes), "networks.safetensors: is damaged, or holds no networks of floss train"),
    "empty": (in_file(empty), "networks.safetensors: is damaged, or holds no networks of floss train"),
    "truncated checkpoint": (in_checkpoint(truncate), "this checkpoint is damaged"),
    "flipped byte of a checkpoint": (in_checkpoint(flip_a_byte), "this checkpoint is damaged"),
    "random checkpoint": (in_checkpoint(random_bytes), "this checkpoint is damaged"),
    "empty checkpoint": (in_checkpoint(empty), "this checkpoint is damaged"),
    "missing": (in_file(Path.unlink), "cannot be read: No such file or directory"),
    "without config": (without_config, "needs the config.yaml of its run beside it"),
    "of something else": (in_checkpoint(of_something_else), "is not a checkpoint of floss train"),
    "of fewer networks in a part": (in_checkpoint(of_fewer_networks_in_a_part), ""),
    "without states": (without_states, "its networks are not those of arch=vanilla with 6 units"),
    "of fewer networks": (of_fewer_networks, ""),
    "all diverged": (all_diverged, "all of its networks have diverged"),
    "lstm": (edit("name: vanilla", "name: lstm"), "its networks are not those of arch=lstm with 6 units"),
    "gru": (edit("name: vanilla", "name: gru"), "its networks are not those of arch=gru with 6 units"),
    "more units": (edit("'n': 6", "'n': 7"), "its networks are not those of arch=vanilla with 7 units"),
    "more seeds": (edit("seeds: 3", "seeds: 4"), "its networks are not those of arch=vanilla with 6 units"),
    "more inputs": (edit("name: xor", "name: spatial_xor"), "its networks are not those of arch=vanilla with 6 units"),
    "another batch": (edit("batch: 2", "batch: 3"), "its networks are not those of arch=vanilla with 6 units"),
    "no batch": (edit("batch: 2", "batch: many"), ""),
    "unknown task": (edit("name: xor", "name: rox"), ""),
    "no task": (edit("task:", "tusk:"), ""),
    "no training": (edit("train:", "trian:"), ""),
    "list": (whole_config("[1, 2]"), "needs the config.yaml of its run beside it"),
    "not yaml": (whole_config("a: b: c"), "needs the config.yaml of its run beside it"),
    "empty config": (whole_config(""), "needs the config.yaml of its run beside it"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_checkpoint_that_cannot_be_used_is_answered_in_one_line(trained, tmp_path, name):
    damage, wanted = DAMAGE[name]
    damage(trained)
    settings = [each for each in TINY["spectrum"] if not each.startswith("arch.")]
    said = inside(tmp_path, "spectrum", *settings, "checkpoint=run")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith("floss spectrum: checkpoint=run: ")
    assert wanted in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["metrics.csv", "config.yaml", "environment.json"])
def test_a_file_of_another_kind_is_no_damaged_checkpoint(trained, tmp_path, name):
    said = inside(tmp_path, "spectrum", f"checkpoint=run/{name}")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == (
        f"floss spectrum: checkpoint=run/{name}: is no networks.safetensors and no checkpoint.pt of floss train; it "
        "takes one of these, or the folder of a run, a sweep or an ensemble\n"
    )


def test_a_config_that_is_not_of_the_networks_is_noticed(trained, tmp_path, no_pictures):
    edit("name: xor", "name: copy")(trained)
    said = inside(tmp_path, "spectrum", *(each for each in TINY["spectrum"] if "arch." not in each), "checkpoint=run")
    assert said.returncode == 0
    assert said.stderr == (
        "floss: checkpoint=run: the config.yaml beside it is not that of its networks: it was changed, or is of an "
        "earlier version\n"
    )


def test_networks_may_have_another_name(trained, tmp_path, no_pictures):
    wanted, place = spectra(tmp_path, "checkpoint=run")
    (trained / NETWORKS).rename(trained / "mine.safetensors")
    assert spectra(tmp_path, "checkpoint=run/mine.safetensors") == (wanted, place)


AGAINST_CHECKPOINT = {
    "arch=lstm": "arch=lstm: the networks of the checkpoint have arch=vanilla; leave it out",
    "arch.n=7": "arch.n=7: the networks of the checkpoint have arch.n=6; leave it out",
    "arch.g=2": "arch.g=2: the networks of the checkpoint have arch.g=1.0; leave it out",
    "seeds=2": "seeds=2: the networks of the checkpoint have seeds=3; leave it out",
    "seed=1": "seed=1: the networks of the checkpoint have seed=0; leave it out",
    "random_g=true": "random_g=True: the networks of the checkpoint have random_g=False; leave it out",
    "inputs=2": "inputs=2: the networks of the checkpoint have inputs=its task's; leave it out",
    "states=3": "states=3: must be at most 2, the initial states of the checkpoint",
    "k=7": "k=7: must be at most the state size, 6 for arch=vanilla",
    "flossing.k=7": "flossing.k=7: must be at most the state size, 6 for arch=vanilla",
}


@pytest.mark.parametrize("override", AGAINST_CHECKPOINT)
def test_what_contradicts_the_checkpoint_is_answered_in_one_line(trained, tmp_path, override):
    settings = [each for each in TINY["spectrum"] if not each.startswith("arch.")]
    said = inside(tmp_path, "spectrum", *settings, "checkpoint=run", override)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"floss spectrum: {AGAINST_CHECKPOINT[override]}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
