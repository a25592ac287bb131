"""Hydra's glob() and --config-dir, in every command that is composed of files."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import TINY, inside

from floss.commands.hydra_app import WRITE_NOTHING
from floss.jobs.checked import train_job
from floss.jobs.compose import sweep_jobs
from floss.jobs.extensions import shipped
from floss.jobs.options import parse

OWN = "name: vanilla\nn: 6\ng: 1.5\ninit: gaussian\nmean: 0.0\nbias: 0.1\nreadout: 1.0\nrelaxation: 0\n"
LINE = ("arch=mine", "task=xor", "d=4", "scale=smoke", "flossing=none", "train.steps=20", "train.batch=2", "seeds=1")


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own/arch").mkdir(parents=True)
    (tmp_path / "own/arch/mine.yaml").write_text(OWN)
    (tmp_path / "own/quick.yaml").write_text("defaults:\n  - train\n  - _self_\ntrain:\n  epochs: 3\n")
    return tmp_path


@pytest.mark.parametrize(
    "command", [("train",), ("train", "-m"), ("plan",), ("plan", "-m"), ("sbatch",), ("train", "-m", "seed=0,1")]
)
def test_a_folder_of_further_files_is_read_by_every_command(own, no_pictures, command):
    done = inside(own, *command, *LINE, "--config-dir", "own")
    assert (done.returncode, done.stderr) == (0, "")
    assert inside(own, *command, *LINE).returncode == 2
    missing = inside(own, *command, *LINE, "--config-dir", "nowhere")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
    assert "nowhere" in missing.stderr


def test_the_script_for_slurm_names_the_folder_wherever_it_is_started(own):
    script = inside(own, "sbatch", *LINE, "--config-dir", "own", "--config-name", "quick").stdout
    (command,) = (line for line in script.splitlines() if line.strip().startswith("floss "))
    options = parse("train", shlex.split(command)[2:-1])
    assert options.config_dir == str(own / "own")
    (job,) = sweep_jobs("train", options.overrides, lambda values, _: train_job(values), options)
    assert (job.arch.n, job.arch.g, job.train.epochs) == (6, 1.5, 3)


def test_a_file_of_ones_own_may_stand_for_the_command(own, no_pictures):
    line = ("train", "-m", *LINE, "seed=0,1", "train.epochs=2", "--config-dir", "own", "--config-name", "quick")
    assert inside(own, *line).returncode == 0
    assert inside(own, "plan", *line[1:]).stdout.startswith("2 networks, 2 done, 0 to compute")


def test_a_file_of_ones_own_says_nothing_of_where_hydra_writes(own, no_pictures):
    """It may lack everything that floss's own files say of Hydra, by itself or in a sweep."""
    (own / "own/whole.yaml").write_text(inside(own, "train", *LINE, "--config-dir", "own", "--cfg", "job").stdout)
    name = ("--config-dir", "own", "--config-name", "whole", "train.epochs=2")
    for line in (name, ("-m", "seed=0,1", *name)):
        assert inside(own, "train", *line).returncode == 0
    assert {path.name for path in own.iterdir()} == {"own", "results"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("poor", "seeds: the file of --config-name does not have this key"),
        (
            "poorer",
            "--config-name poorer: there is no such file; it takes train, or a file of one's own in --config-dir own",
        ),
    ],
)
def test_a_file_of_ones_own_that_is_not_there_or_lacks_a_key(own, name, words):
    (own / "own/poor.yaml").write_text("d: 4\nseed: 0\n")
    done = inside(own, "train", "seeds=2", "--config-dir", "own", "--config-name", name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"floss train: {words}")


@pytest.mark.parametrize("command", ["spectrum", "condition"])
def test_an_analysis_reads_a_folder_of_further_files(own, no_pictures, command):
    line = ("arch=mine", "steps=4", "flossing.epochs=0", "transient=1", *(("at=2",) * (command == "condition")))
    for arguments in (line, ("-m", "seed=0,1", *line)):
        done = inside(own, command, *arguments, "--config-dir", "own")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--config-dir", "--config-name"])
@pytest.mark.parametrize("command", ["collect", "reproduce"])
def test_a_command_without_files_says_so(own, command, option):
    done = inside(own, command, option, "own")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"floss {command}: {option}: this command reads no such files; --help lists the keys\n"


def test_other_files_in_place_of_flosss_own_are_refused(own):
    done = inside(own, "train", "--config-path", "own")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("floss train: --config-path: floss has files of its own")


OF_ANY_TASK = [name for name in shipped("arch") if not name.startswith("linear_")]


@pytest.mark.parametrize(
    ("key", "count"), [("flossing=glob(p*)", 1), ("arch=glob(*,exclude=linear_*)", len(OF_ANY_TASK))]
)
def test_a_glob_means_the_files_that_match(tmp_path, no_pictures, key, count):
    line = (*TINY, "seeds=1", key)
    done = inside(tmp_path, "plan", "-m", *line)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{count} networks")
    assert inside(tmp_path, "sbatch", "-m", *line).returncode == 0
    if count == 1:
        assert inside(tmp_path, "train", "-m", *line).returncode == 0
    one = inside(tmp_path, "train", *line)
    assert (one.returncode, one.stderr.count("\n")) == (2, 1)


def test_what_hydra_is_told_beside_a_file_of_ones_own_is_what_ours_say():
    shared: Any = yaml.safe_load(
        (Path(__file__).resolve().parents[2] / "conf/command.yaml").read_text(encoding="utf-8")
    )
    said = {key.removeprefix("override /"): value for choice in shared["defaults"] for key, value in choice.items()}
    for node in ("run", "sweep"):
        said |= {f"hydra.{node}.{key}": value for key, value in shared["hydra"][node].items()}
    said |= {"hydra.output_subdir": None, "hydra.job.chdir": False}
    assert (shared["hydra"]["output_subdir"], shared["hydra"]["job"]["chdir"]) == (None, False)
    told = dict(setting.split("=") for setting in WRITE_NOTHING)
    assert {key: yaml.safe_load(value) if key.startswith("hydra.") else value for key, value in told.items()} == said
