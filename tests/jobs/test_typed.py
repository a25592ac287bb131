"""A key that takes a text has the characters that were typed."""

import functools
from pathlib import Path

import pytest
from command import TINY, inside, job, jobs
from omegaconf import OmegaConf

from floss.jobs.compose import Composer, selection
from floss.jobs.help import COMMANDS
from floss.jobs.keys import known_keys
from floss.jobs.options import parse
from floss.jobs.train import config_yaml
from floss.jobs.typed import text_keys

LIKE_NUMBERS = ("2024_01_02", "1e-3", "98e7654", "1e3", "0x10", "007", "+1", "-1", ".5", "nan", "-inf", "12e4567")
LIKE_OTHERS = ("yes", "no", "on", "true", "False", "NULL", "Null", "~", "0b1", "1:30", "12:30:00", "größe", "a=b")


def composed(command: str, override: str) -> dict:
    options = parse(command, [override], groups=())
    if command in ("collect", "reproduce"):
        return selection(command, options.overrides)
    return composer(command).values(options.overrides)


composer = functools.cache(Composer)
"""One for each command: it reads the files once."""


def value_of(values: dict, key: str):
    for name in key.split("."):
        values = values[name]
    return values


CHOSEN = {"task", "arch", "flossing", "scale"}
KEYS = [
    (command, key)
    for command in COMMANDS
    for key in text_keys(COMMANDS[command].job)
    if not key.startswith("hydra.") and (key not in CHOSEN or command == "collect")
]


@pytest.mark.parametrize(("command", "key"), KEYS)
def test_every_text_of_every_command_is_what_was_typed(command, key):
    is_list = "list" in known_keys(COMMANDS[command].job)[key].metadata["check"].allowed
    for text in (*LIKE_NUMBERS, *LIKE_OTHERS):
        if text == "~":
            continue
        value = value_of(composed(command, f"{key}=[{text}]" if is_list else f"{key}={text}"), key)
        expected = [text] if is_list else text
        assert value == expected, (command, key, text)


@pytest.mark.parametrize("text", LIKE_NUMBERS)
def test_a_folder_has_the_name_that_was_typed(tmp_path, no_pictures, text):
    if text == "nan":  # one of them is run
        assert inside(tmp_path, "train", *TINY, "flossing=none", f"results={text}").returncode == 0
        assert [path.name for path in tmp_path.iterdir()] == [text]
    options = parse("train", [f"results={text}"])
    assert {each.results for each in jobs(*options.overrides)} == {text}
    again = OmegaConf.create(config_yaml(job(*options.overrides)))
    assert again.results == text  # and config.yaml says so


def test_each_value_of_a_sweep_and_of_a_list_is_a_text():
    options = parse("train", ["-m", "results=1e3,2024_01_02,'5e1',a b", "train.lr=1e-3,2e-3", "seed=1_0"])
    values = [(each.results, each.train.lr, each.seed) for each in jobs(*options.overrides)]
    folders = ("1e3", "2024_01_02", "5e1", "a b")
    assert values == [(folder, lr, 10) for folder in folders for lr in (1e-3, 2e-3)]
    collected = selection("collect", parse("collect", ["task=[1e3,x]", "flossing=1e3, 2_0"], groups=()).overrides)
    assert collected == {"task": ["1e3", "x"], "flossing": ["1e3", "2_0"]}


def test_null_is_null_where_a_key_may_have_none_and_a_text_where_not():
    assert composed("sbatch", "slurm.partition=null")["slurm"]["partition"] is None
    assert composed("spectrum", "checkpoint=null")["checkpoint"] is None
    assert composed("train", "results=null")["results"] == "null"


def test_interpolations_and_quoted_texts_stay(monkeypatch):
    monkeypatch.setenv("FOLDER", "1e3")
    assert composed("train", "results='1e3'")["results"] == "1e3"
    assert composed("train", 'results="2_0"')["results"] == "2_0"
    assert str(composed("train", "results=${oc.env:FOLDER}")["results"]) == "1e3"
    assert composed("train", "results=a/${seed}")["results"] == "a/0"


def test_a_script_for_slurm_has_what_was_typed(tmp_path):
    typed = ("results=2024_01_02", "d=6")
    done = inside(tmp_path, "sbatch", "slurm.partition=1e3", "slurm.memory=007", *typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "#SBATCH --partition=1e3\n#SBATCH --cpus-per-task=2\n#SBATCH --mem=007\n" in done.stdout
    assert "floss train -m results=2024_01_02 d=6 parts=4 &\n" in done.stdout


def test_hydras_own_texts_are_what_was_typed():
    options = parse("train", ["-m", "hydra.launcher.partition=1e3", "hydra.job.name=2024_01_02"])
    assert options.overrides == ["hydra.launcher.partition='1e3'", "hydra.job.name='2024_01_02'"]
    assert options.arguments[1:] == options.overrides
    assert Path(options.typed[1].partition("=")[2]) == Path("2024_01_02")
