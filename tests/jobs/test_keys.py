"""Every key of the command line: the values that it takes, and those that it refuses in one line."""

import re

import pytest
import yaml
from jobs.key_values import (
    ANALYSIS_KEYS,
    NOT_CHOSEN,
    OF_COLLECT,
    OF_CONDITION,
    OF_SPECTRUM,
    REFERENCE,
    SLURM,
    TABLES,
    TAKEN_AND_NOT,
    changed,
    changed_analysis,
    get,
)
from omegaconf import OmegaConf

from floss.errors import ConfigError
from floss.jobs.analysis import ConditionJob, SpectrumJob
from floss.jobs.bench import BenchJob
from floss.jobs.collect import CollectJob
from floss.jobs.help import COMMANDS
from floss.jobs.keys import build, known_keys
from floss.jobs.train import SbatchJob, TrainJob

# The same for what `floss sbatch` has beside those, and for `floss collect`.
OF_SLURM = {
    "slurm.tasks": ([1, 4, 1e2], [0, -1, 1.5, None, "four", True]),
    "slurm.time": (
        ["04:00:00", "1-12", 3, "90", "10:30", "2-0:30", "1-12:30:15", "UNLIMITED"],
        ["", " ", None, True, "banana", "0", "00:00:00", "1:2:3:4", "-1", "1e3", "4h", "1-", "1-12:"],
    ),
    "slurm.partition": ([None, "gpu", "a,b", 3], ["", " ", "a b", "a\n#SBATCH", True, ["gpu"]]),
    "slurm.cpus": ([1, 64], [0, -1, 0.5, None, "all"]),
    "slurm.gpus": ([0, 8], [-1, 0.5, None, "a100"]),
    "slurm.memory": ([None, "8G", "500mb", 3], ["", " ", "banana", "8.5G", "8 G", "-1", True, ["8G"]]),
    "slurm.grace": ([1, 600], [0, -1, 0.5, None, "long"]),
    "slurm.setup": ([None, "module load gcc", 3], ["", " ", False]),
}


def test_the_table_of_this_test_has_every_key():
    assert list(TAKEN_AND_NOT) == list(known_keys(TrainJob))
    assert [*TAKEN_AND_NOT, *OF_SLURM] == list(known_keys(SbatchJob))
    assert sorted(OF_COLLECT) == sorted(known_keys(CollectJob))
    assert sorted(OF_SPECTRUM) == sorted(known_keys(SpectrumJob))
    assert sorted(OF_CONDITION) == sorted(known_keys(ConditionJob))


@pytest.mark.parametrize("key", TAKEN_AND_NOT)
def test_values_of_a_key(reference, key):
    taken, not_taken = TAKEN_AND_NOT[key]
    for value in taken:
        found = get(changed(reference, key, value), key)
        expected = tuple(sorted(value)) if isinstance(value, list) else str(value) if value == 3 else value
        assert found in (expected, value), (key, value)
    for value in not_taken:
        shown = "null" if value is None else str(value)
        with pytest.raises(ConfigError, match=f"^{re.escape(f'{key}={shown}')}: [^\n]+$"):
            changed(reference, key, value)


@pytest.mark.parametrize("key", OF_SLURM)
def test_values_of_a_key_of_sbatch(key):
    values, name = REFERENCE | {"slurm": SLURM}, key.removeprefix("slurm.")
    del values["label"]
    taken, not_taken = OF_SLURM[key]
    for value in taken:
        found = getattr(build(SbatchJob, values | {"slurm": SLURM | {name: value}}).slurm, name)
        assert found == (str(value) if value == 3 else value), (key, value)
    for value in not_taken:
        shown = "null" if value is None else str(value)
        with pytest.raises(ConfigError, match=f"^{re.escape(f'{key}={shown}')}: [^\n]+$"):
            build(SbatchJob, values | {"slurm": SLURM | {name: value}})


@pytest.mark.parametrize("key", OF_COLLECT)
def test_values_of_a_key_of_collect(key):
    taken, not_taken = OF_COLLECT[key]
    for value in taken:
        found = getattr(build(CollectJob, NOT_CHOSEN | {key: value}), key)
        one = str(value) if key in ("results", "to") else (value,)
        assert found == (None if value is None else tuple(sorted(value)) if isinstance(value, list) else one), value
    for value in not_taken:
        shown = "null" if value is None else str(value)
        with pytest.raises(ConfigError, match=f"^{re.escape(f'{key}={shown}')}: [^\n]+$"):
            build(CollectJob, NOT_CHOSEN | {key: value})


@pytest.mark.parametrize(("command", "key"), ANALYSIS_KEYS)
def test_values_of_a_key_of_an_analysis(defaults, command, key):
    taken, not_taken = TABLES[command][key]
    for value in taken:
        found = get(changed_analysis(defaults[command], key, value), key)
        several = tuple(sorted(value)) if isinstance(value, list) else (value,)
        assert found in (several, value) or found == str(value) == "3", (key, value)
    for value in not_taken:
        # What does not fit the state size is named alone, without the others of its list.
        shown = {None: "null", "[1, 81]": "81"}.get(None if value is None else str(value), str(value))
        also = r"|flossing\.steps=100" if key == "flossing.transient" else ""
        with pytest.raises(ConfigError, match=f"^({re.escape(f'{key}={shown}')}{also}): [^\n]+$"):
            changed_analysis(defaults[command], key, value)


@pytest.mark.parametrize("command", COMMANDS)
def test_known_keys_are_those_of_the_composed_configuration(command):
    from hydra import compose, initialize_config_module

    def leaves(values: dict, prefix: str = "") -> set[str]:
        nested = (leaves(v, f"{prefix}{k}.") if isinstance(v, dict) else {prefix + k} for k, v in values.items())
        return set().union(*nested)

    with initialize_config_module("floss.conf", version_base="1.3"):
        composed = compose(command)
    assert leaves(yaml.safe_load(OmegaConf.to_yaml(composed))) == set(known_keys(COMMANDS[command].job))
    assert build(COMMANDS[command].job, yaml.safe_load(OmegaConf.to_yaml(composed, resolve=True)))


def test_every_key_has_a_meaning():
    for command in (each.job for each in COMMANDS.values()):
        for name, field in known_keys(command).items():
            assert len(field.metadata["meaning"]) > 5, name


@pytest.mark.parametrize(("key", "value"), [("networks", [0]), ("networks", 8), ("repeats", 2), ("seconds", 0)])
def test_keys_of_bench(key, value):
    good = {
        "networks": [1],
        "repeats": 3,
        "seconds": 1,
        "epochs": None,
        "n": 8,
        "k": 4,
        "steps": 20,
        "flossing_steps": 55,
        "batch": 2,
    }
    good |= {"spectrum_sizes": [[8, 4]], "spectrum_steps": 100, "spectrum_networks": [1], "device": "cpu"}
    good |= {f"scaling_{name}": [] for name in ("n", "k", "steps", "flossing_steps", "batch")}
    good |= {"scaling_networks": 8, "results": "results", "cells": [], "cell_networks": 2, "large": []}
    assert build(BenchJob, good).networks == (1,)
    with pytest.raises(ConfigError, match=f"^{key}={re.escape(str(value))}: must be "):
        build(BenchJob, {**good, key: value})
