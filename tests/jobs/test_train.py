"""Keys of the command line: what each takes, what it answers to the rest, and what a run is named by."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import analysis, job, jobs
from omegaconf import OmegaConf

from floss.errors import ConfigError
from floss.jobs.analysis import AnalysisJob, ConditionJob, SpectrumJob, analysis_job
from floss.jobs.bench import BenchJob
from floss.jobs.collect import CollectJob
from floss.jobs.compose import selection, sweep_jobs
from floss.jobs.hashing import config_hash
from floss.jobs.help import COMMANDS
from floss.jobs.keys import build, key, known_keys, whole
from floss.jobs.train import SbatchJob, TrainJob, config_values, config_yaml, train_job

RESULTS = Path(__file__).parents[2] / "results"

# For each key of `floss train`: values that it takes, then values that it does not.
TAKEN_AND_NOT = {
    "d": ([2, 4, 298, 1e2], [-2, 4.5, None, "x", True, float("nan"), float("inf")]),
    "seed": ([0, 2**63 - 1], [-1, 2**63, 0.5, False, None]),
    "seeds": ([1, 20], [0, 1.5, "two"]),
    "task.name": (["xor", "copy"], ["", " ", None, True, "xorr"]),
    "task.delay": ([40], [-1, None, 40.5, 42]),
    "arch.name": (["vanilla", "relu", "linear", "lstm", "gru", "lru"], ["", "rnn", None]),
    "arch.n": ([75, 1000], [0, -1, 80.5, "80 units"]),
    "arch.g": ([0, 1, 2.5], [-0.1, float("inf"), float("nan"), "big"]),
    "arch.init": (["gaussian", "orthogonal"], ["Gaussian", "", None, 0]),
    "arch.mean": ([-0.1, 0, 3], [float("nan"), None, "zero"]),
    "arch.bias": ([0, 0.1, 2], [-0.1, float("inf"), None]),
    "arch.readout": ([0, 1, 0.1], [-1, float("nan"), None]),
    "arch.relaxation": ([0, 100], [-1, 0.5, None]),
    "flossing.name": (["during", "mine", 3], ["", None, True]),
    "flossing.at": ([[], [0], [500, 0]], [5, [-1], [0, 0], [0.5], "0", None, [[0]]]),
    "flossing.every": ([None, 1, 100], [0, -1, "often"]),
    "flossing.epochs": ([1, 500], [0, 0.5, None]),
    "flossing.k": ([1, 80], [0, 81, None, 75.5]),
    "flossing.t_ons": ([1, 44], [0, 45, None]),
    "flossing.steps": ([None, 13, 200], [0, 12, 13.5, "long"]),
    "flossing.transient": ([None, 0, 59], [-1, 60, 0.5, "short"]),
    "flossing.target": ([0, -1.0, 0.5], [float("inf"), None, "zero"]),
    "flossing.lr": ([1e-9, 1], [0, -1e-3, float("nan"), None]),
    "train.epochs": ([1, 1e4], [0, float("inf"), None]),
    "train.steps": ([41, 1000], [0, None]),
    "train.batch": ([1, 16], [0, "16 sequences"]),
    "train.lr": ([1e-9, 1], [0, -1, float("inf"), None]),
    "train.clip": ([1e-9, 1e9], [0, -1, float("inf"), None]),
    "train.log_every": ([1, 10**9], [0, None]),
    "train.checkpoint_every": ([1, 10**9], [0, None]),
    "train.evaluation_batches": ([1, 16], [0, None]),
    "device": (["auto", "cpu"], ["gpu", "", None, 0]),
    "dtype": (["float32", "float64"], ["float16", "double", None]),
    "engine": (["auto", "torch", "native"], ["cuda", "", None]),
    "diagnostics": (
        [[], ["svd"], ["svd", "grad_h0", "lyapunov"]],
        ["svd", ["norm"], ["svd", "svd"], [["svd"]], [None], None, True, 0],
    ),
    "scale": (["paper", "small", "smoke"], ["large", None]),
    "memory_limit": ([None, 0.5, 8, 1e-3], [0, -1, float("inf"), float("nan"), "8G", True, [8]]),
    "parts": ([1, 8, 1e2], [0, -1, 1.5, None, "two", True]),
    "results": (["results", "a b", 3], ["", " ", None, "/dev/null/x"]),
}

# The same for what `floss sbatch` has beside those, and for `floss collect`.
OF_SLURM = {
    "slurm.tasks": ([1, 4, 1e2], [0, -1, 1.5, None, "four", True]),
    "slurm.time": (["04:00:00", "1-12", 3], ["", " ", None, True]),
    "slurm.partition": ([None, "gpu", 3], ["", " ", True, ["gpu"]]),
    "slurm.cpus": ([1, 64], [0, -1, 0.5, None, "all"]),
    "slurm.gpus": ([0, 8], [-1, 0.5, None, "a100"]),
    "slurm.memory": ([None, "8G", 3], ["", " ", True, ["8G"]]),
    "slurm.grace": ([1, 600], [0, -1, 0.5, None, "long"]),
    "slurm.setup": ([None, "module load gcc", 3], ["", " ", False]),
}
TEXTS = ([None, "xor", ["xor"], ["xor", "copy"]], ["", " ", [], [""], ["xor", "xor"], [None], [["xor"]], True])
WHOLES = (
    [None, 0, 40, 2**53 + 1, [40], [40, 10, 20]],
    ["x", "", 0.5, -1, True, [], [1, 1], [1, 1.0], [None], [1, "x"], [[1]]],
)
NUMBERS = (
    [None, 0, 40, 0.5, -1, [40], [40, 10, 20]],
    ["x", "", float("nan"), float("inf"), True, [], [1, 1], [1, 1.0], [None], [1, "x"], [[1]]],
)
OF_COLLECT = {
    **dict.fromkeys(("task", "arch", "init", "flossing"), TEXTS),
    **dict.fromkeys(("d", "k", "t_ons", "seed"), WHOLES),
    "g": NUMBERS,
    "status": (
        [None, "done", ["done", "diverged", "failed", "interrupted"]],
        ["finished", "damaged", "", [], ["done", "done"], ["done", "lost"], [None], True, 0],
    ),
    "results": (["results", "a b", 3], ["", " ", None, True]),
    "to": ([None, "tables", 3], ["", " ", True, ["tables"]]),
}

# The same for the keys that `floss spectrum` and `floss condition` share, and for those of each alone.
OF_ANALYSES = {
    "seed": ([0, 2**63 - 1], [-1, 2**63, 0.5, False, None]),
    "seeds": ([1, 20, 1e5], [0, 1.5, 10**5 + 1, "two", None]),
    **{name: TAKEN_AND_NOT[name] for name in TAKEN_AND_NOT if name.startswith("arch.")},
    "arch.n": ([15, 1000], [0, -1, 80.5, "80 units"]),
    "random_g": ([False, True], [0, 1, "true", None]),
    "checkpoint": ([None], ["", " ", "nothing", True, 3, [1]]),
    "input": (["auto", "uniform", "bits", "gaussian", "none"], ["", "binary", None, False]),
    "inputs": ([1, 7], [0, 1.5, None]),
    "steps": ([100, 1e4], [0, -1, 10**8 + 1, 0.5, None]),
    "transient": ([0, 1e3], [-1, 10**8 + 1, 0.5, None]),
    "flossing.epochs": ([0, 500], [-1, 0.5, None]),
    "flossing.k": ([1, 80, [1], [15, 1]], [0, 81, [1, 81], [], [1, 1], [[1]], None, 15.5, "all"]),
    "flossing.target": ([0, -1.0, [-1, -0.5, 0]], [float("inf"), [0, float("nan")], [], [0, 0], None, "zero"]),
    "flossing.steps": ([13, 1e6], [0, 12, 10**6 + 1, 20.5, None, "long"]),
    "flossing.transient": ([None, 0, 99], [-1, 100, 0.5, "short"]),
    "flossing.t_ons": ([1, 80], [0, 0.5, None]),
    "flossing.lr": ([1e-9, 1], [0, -1e-3, float("nan"), None]),
    "device": (["auto", "cpu"], ["gpu", "", None, 0]),
    "dtype": (["float64", "float32"], ["float16", "double", None]),
    "results": (["results", "a b", 3], ["", " ", None, "/dev/null/x"]),
}
OF_SPECTRUM = {
    **OF_ANALYSES,
    "k": ([None, 1, 80], [0, 81, 1.5, "all", [1]]),
    "t_ons": ([1, 10**6, "adaptive"], [0, 1.5, "auto", "", None, True]),
    "states": ([1, 100], [0, 10**5 + 1, None]),
    "blocks": ([2, 100], [1, 2.5, None]),
    "show": ([[], [1], [7, 1, 1000]], [1, [0], [1, 1], None]),
}
OF_CONDITION = {
    **OF_ANALYSES,
    "horizons": ([1, 500], [0, 1.5, None]),
    "dims": ([None, 1, 80, [1], [80, 1]], [0, 81, [1, 81], [], [1, 1], 1.5, "all"]),
    "at": ([1, 500], [0, 501, 1.5, None]),
    "bits": ([None], [1, 0, -256, 10**6 + 1, 2.5, "foo", "", True, [256]]),
}
TABLES = {"spectrum": OF_SPECTRUM, "condition": OF_CONDITION}

NOT_HASHED = {
    "flossing.name",
    "train.checkpoint_every",
    "device",
    "engine",
    "scale",
    "memory_limit",
    "parts",
    "results",
}

WRONG = {
    "d=7": "d=7: task=xor needs an even d >= 2",
    "d=0": "d=0: task=xor needs an even d >= 2",
    "task=spatial_xor d=300": "d=300: must be smaller than train.steps=300",
    "task=copy d=-1": "d=-1: must be a whole number >= 0",
    "d=300": "d=300: must be smaller than train.steps=300",
    "train.steps=40": "d=40: must be smaller than train.steps=40",
    "d=abc": "d=abc: must be a whole number >= 0",
    "d=null": "d=null: must be a whole number >= 0",
    "seeds=0": "seeds=0: must be a whole number >= 1",
    "seed=-1": "seed=-1: must be a whole number >= 0 and <= 9223372036854775807",
    "seed=9223372036854775807 seeds=2": "seeds=2: seed + seeds must be at most 2**63, and seed=9223372036854775807",
    "arch.n=8": "flossing.k=75: must be at most the state size, 8 for arch=vanilla",
    "arch.n=0": "arch.n=0: must be a whole number >= 1",
    "arch.g=-1": "arch.g=-1: must be a finite number >= 0",
    "arch.init=haar": "arch.init=haar: must be one of gaussian, orthogonal",
    "arch.init=orthogonal arch.mean=-0.1": "arch.mean=-0.1: must be 0 with arch.init=orthogonal, which has no mean",
    "arch=rnn": "arch=rnn: must be one of gru, linear, lru, lstm, relu, vanilla",
    "arch=lsmt": "arch=lsmt: must be one of gru, linear, lru, lstm, relu, vanilla; did you mean lstm?",
    "arch.name=rnn": "arch.name=rnn: must be one of gru, linear, lru, lstm, relu, vanilla; choose it by arch=",
    "arch=lstm arch.n=37": "flossing.k=75: must be at most the state size, 74 for arch=lstm",
    "arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "arch=lru arch.g=0": "arch.g=0: must be above 0 and at most 1 for arch=lru",
    "arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "arch=lru arch.mean=0.5": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "arch=lru diagnostics=[svd]": "diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru has none",
    "arch=lru diagnostics=[lyapunov,svd]": "diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru has none",
    "diagnostics=svd": "diagnostics=svd: must be a list [a,b,...] of different values, each one of grad_h0, lyap",
    "diagnostics=[norm]": "diagnostics=['norm']: must be a list [a,b,...] of different values, each one of grad_h0, ly",
    "diagnostic=[svd]": "diagnostic: there is no such key; did you mean diagnostics?",
    "task=xorr": "task=xorr: must be one of copy, spatial_xor, xor, xor_continuous; did you mean xor?",
    "task.delay=42": "task.delay=42: must equal d=40; set the delay by d= alone",
    "flossing=durin": "flossing=durin: must be one of during, early, none, pre, throughout; did you mean during?",
    "flossing.at=5": "flossing.at=5: must be a list [a,b,...] of different values, each a whole number >= 0",
    "flossing.at=[1,1]": "flossing.at=[1, 1]: must be a list [a,b,...] of different values, each a whole number >= 0",
    "flossing.t_ons=0": "flossing.t_ons=0: must be a whole number >= 1",
    "flossing.t_ons=45": "flossing.t_ons=45: must be at most 44, the counted steps of a run of 60",
    "flossing.steps=12": "flossing.steps=12: must be more than the 12 steps that are not counted",
    "flossing.lr=0": "flossing.lr=0: must be a finite number > 0",
    "train.lr=nan": "train.lr=nan: must be a finite number > 0",
    "train.epochs=1e400": "train.epochs=inf: must be a whole number >= 1",
    "train=3": "train=3: this is a group of keys, not a value",
    "scale=smal": "scale=smal: must be one of paper, small, smoke; did you mean small?",
    "dtype=float16": "dtype=float16: must be one of float32, float64",
    "engine=cuda": "engine=cuda: must be one of auto, torch, native",
    "engine=native arch=relu": "engine=native: is for arch=vanilla, and arch=relu; engine=torch has all of them",
    "memory_limit=0": "memory_limit=0: must be null or a finite number > 0",
    "memory_limit=8G": "memory_limit=8G: must be null or a finite number > 0",
    "parts=0": "parts=0: must be a whole number >= 1",
    "partz=2": "partz: there is no such key; did you mean parts?",
    "results=": "results=: must be a text that is not empty",
    "results=/dev/null/x": "results=/dev/null/x: must be a folder that can be written; /dev/null is not",
    "dd=3": "dd: there is no such key; did you mean d?",
    "train.stepz=3": "train.stepz: there is no such key; did you mean train.steps?",
    "+train.momentum=1": "train.momentum: there is no such key",
    "d": "d: cannot be read as key=value",
}

# paper.md, sections 3 and 5.
REFERENCE = {
    "d": 40,
    "seed": 0,
    "seeds": 1,
    "task": {"name": "xor", "delay": 40},
    "arch": {
        "name": "vanilla",
        "n": 80,
        "g": 1.0,
        "init": "gaussian",
        "mean": 0.0,
        "bias": 0.1,
        "readout": 1.0,
        "relaxation": 100,
    },
    "flossing": {
        "name": "during",
        "at": [0, 500],
        "every": None,
        "epochs": 500,
        "k": 75,
        "t_ons": 1,
        "steps": None,
        "transient": None,
        "target": 0.0,
        "lr": 1e-3,
    },
    "train": {
        "epochs": 10_000,
        "steps": 300,
        "batch": 16,
        "lr": 1e-3,
        "clip": 0.03,
        "log_every": 100,
        "checkpoint_every": 500,
        "evaluation_batches": 16,
    },
    "device": "auto",
    "dtype": "float32",
    "engine": "auto",
    "diagnostics": [],
    "scale": "paper",
    "memory_limit": None,
    "parts": 1,
    "results": "results",
    "label": "during",
}
SLURM = {
    "tasks": 4,
    "time": "04:00:00",
    "partition": None,
    "cpus": 2,
    "gpus": 0,
    "memory": None,
    "grace": 120,
    "setup": None,
}
NOT_CHOSEN: dict[str, Any] = {**dict.fromkeys(OF_COLLECT), "results": "results"}
# Fig. 2 has fresh networks that are flossed for 500 epochs, k = 15, and looked at over 500 steps; the step size of the
# reference protocol.
OF_NETWORKS = {
    "seed": 0,
    "seeds": 1,
    "arch": REFERENCE["arch"],
    "random_g": False,
    "checkpoint": None,
    "input": "auto",
    "inputs": 1,
    "flossing": {
        "epochs": 500,
        "k": [15],
        "target": [0.0],
        "steps": 100,
        "transient": None,
        "t_ons": 1,
        "lr": 1e-3,
    },
    "device": "auto",
    "dtype": "float64",
    "results": "results",
    "transient": 100,
}
DEFAULTS = {
    "spectrum": {
        **OF_NETWORKS,
        "steps": 1000,
        "k": None,
        "t_ons": 1,
        "states": 1,
        "blocks": 10,
        "show": [1, 20, 60, 80],
    },
    "condition": {**OF_NETWORKS, "steps": 500, "horizons": 50, "dims": None, "at": 100, "bits": None},
}
WRONG_ANALYSES = {
    "spectrum arch.n=8": "flossing.k=15: must be at most the state size, 8 for arch=vanilla",
    "spectrum arch=gru arch.n=14": "flossing.k=15: must be at most the state size, 14 for arch=gru",
    "spectrum arch=lstm arch.n=7": "flossing.k=15: must be at most the state size, 14 for arch=lstm",
    "spectrum arch.n=8 flossing.k=[2,9]": "flossing.k=9: must be at most the state size, 8 for arch=vanilla",
    "spectrum k=81": "k=81: must be at most the state size, 80 for arch=vanilla",
    "spectrum flossing.k=[]": "flossing.k=[]: must be a whole number >= 1, or a list [a,b,...] of different ones",
    "spectrum flossing.target=zero": "flossing.target=zero: must be a finite number, or a list [a,b,...] of different",
    "spectrum flossing.steps=12": "flossing.steps=12: must be more than the 12 steps that are not counted",
    "spectrum flossing.steps=11": "flossing.steps=11: must be more than the 12 steps that are not counted",
    "spectrum flossing.transient=100": "flossing.steps=100: must be more than the 100 steps that are not counted",
    "spectrum t_ons=often": "t_ons=often: must be a whole number >= 1, or one of adaptive",
    "spectrum input=binary": "input=binary: must be one of auto, uniform, bits, gaussian, none",
    "spectrum seed=9223372036854775807 seeds=2": "seeds=2: seed + seeds must be at most 2**63, and seed=92233720368547",
    "spectrum arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "spectrum arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "spectrum arch=rnn": "arch=rnn: must be one of gru, linear, lru, lstm, relu, vanilla",
    "spectrum arch.name=rnn": "arch.name=rnn: must be one of gru, linear, lru, lstm, relu, vanilla; choose it by arch=",
    "spectrum horizons=3": "horizons: there is no such key",
    "spectrum flossing.kk=3": "flossing.kk: there is no such key; did you mean flossing.k?",
    "spectrum flossing=pre": "flossing: this is a group of keys, not a value",
    "spectrum task=xor": "task: there is no such key",
    "condition at=501": "at=501: must be at most steps=500",
    "condition steps=99": "at=100: must be at most steps=99",
    "condition dims=[1,81]": "dims=81: must be at most the state size, 80 for arch=vanilla",
    "condition bits=1": "bits=1: must be null or a whole number >= 2 and <= 1000000, or one of auto",
    "condition bits=foo": "bits=foo: must be null or a whole number >= 2 and <= 1000000, or one of auto",
    "condition states=2": "states: there is no such key; did you mean steps?",
    "condition device=gpu": "device=gpu: must be one of auto, cpu, cuda",
    "condition results=/dev/null/x": "results=/dev/null/x: must be a folder that can be written; /dev/null is not",
}
SCHEDULES = {"none": (), "pre": (0,), "during": (0, 500), "early": (0, 100, 200, 300, 400)}


@pytest.fixture(scope="module")
def reference() -> TrainJob:
    return job()


def changed(reference: TrainJob, key: str, value: object) -> TrainJob:
    """The reference job with another value of one key, and what must go with it."""
    values = {name: dict(v) if isinstance(v, dict) else v for name, v in dataclasses.asdict(reference).items()}
    group, _, name = key.rpartition(".")
    (values[group] if group else values)[name] = value
    if key == "d":
        values["task"]["delay"] = value
    return train_job(values)


def get(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config


def changed_analysis(default: AnalysisJob, key: str, value: object) -> AnalysisJob:
    """The default analysis with another value of one key."""
    values = {name: dict(v) if isinstance(v, dict) else v for name, v in dataclasses.asdict(default).items()}
    group, _, name = key.rpartition(".")
    (values[group] if group else values)[name] = value
    return analysis_job(type(default), values)


@pytest.fixture(scope="module")
def defaults() -> dict[str, AnalysisJob]:
    return {command: analysis(command) for command in TABLES}


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


SELECTIONS = {
    "d=40": {"d": 40},
    "d=10,40": {"d": [10, 40]},
    "d=[10,40]": {"d": [10, 40]},
    "d=null": {"d": None},
    "g=0.5,1": {"g": [0.5, 1]},
    "task=xor": {"task": "xor"},
    "task=xor,copy": {"task": ["xor", "copy"]},
    "flossing=pre,at-7-300 status=done": {"flossing": ["pre", "at-7-300"], "status": "done"},
    "to=a/b": {"to": "a/b"},
    "": {},
}


@pytest.mark.parametrize("line", SELECTIONS)
def test_several_values_of_a_column_are_given_with_commas(line):
    assert selection("collect", line.split()) == SELECTIONS[line]
    assert build(CollectJob, NOT_CHOSEN | selection("collect", line.split()))


@pytest.mark.parametrize("override", ["d", "~d", "+d=3", "++d=3", "d=[1"])
def test_what_is_no_column_and_values_is_answered_in_one_line(override):
    with pytest.raises(ConfigError, match=f"^{re.escape(override)}: cannot be read as key=value$"):
        selection("collect", [override])


ANALYSIS_KEYS = [(command, key) for command, table in TABLES.items() for key in table]


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


@pytest.mark.parametrize("line", WRONG_ANALYSES)
def test_a_wrong_analysis_is_answered_in_one_line(line):
    with pytest.raises(ConfigError, match=f"^{re.escape(WRONG_ANALYSES[line])}[^\n]*$"):
        analysis(*line.split())


def test_bits_need_python_flint(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "flint", None)
    with pytest.raises(ConfigError, match=r"^bits=256: needs python-flint; [^\n]+$"):
        analysis("condition", "bits=256")


def test_where_an_analysis_flosses_nothing_k_may_exceed_the_state_size():
    for command in TABLES:
        assert analysis(command, "arch.n=4", "flossing.epochs=0").flossing.k == (15,)


@pytest.mark.parametrize("overrides", WRONG)
def test_a_wrong_configuration_is_answered_in_one_line(overrides):
    with pytest.raises(ConfigError, match=f"^{re.escape(WRONG[overrides])}[^\n]*$"):
        job(*overrides.split())


def test_a_missing_key(reference):
    values = dataclasses.asdict(reference)
    del values["train"]["clip"]
    with pytest.raises(ConfigError, match=r"^train\.clip: this key has no value$"):
        train_job(values)


def test_cuda_where_there_is_none(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^device=cuda: this machine has no CUDA device"):
        job("device=cuda")


def test_a_folder_without_write_permission(monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(ConfigError, match=f"^results={tmp_path}/x: must be a folder that can be written; {tmp_path} "):
        job(f"results={tmp_path}/x")


def test_where_nothing_is_flossed_k_may_exceed_the_state_size():
    assert job("arch.n=8", "flossing=none").flossing.k == 75
    assert job("arch.n=8", "flossing.at=[20]", "train.epochs=20").flossing.k == 75
    with pytest.raises(ConfigError, match=r"^flossing\.k=75: "):
        job("arch.n=8", "flossing.at=[19]", "train.epochs=20")


def test_defaults_are_the_reference_protocol(reference):
    assert config_values(reference) == REFERENCE


@pytest.mark.parametrize("command", ["train", "plan", "sbatch"])
def test_what_is_made_of_a_sweep_has_the_same_defaults(command):
    (values,) = sweep_jobs(command, [], lambda values, _: values)
    assert values == {name: value for name, value in REFERENCE.items() if name != "label"} | (
        {"slurm": SLURM} if command == "sbatch" else {}
    )


@pytest.mark.parametrize("command", TABLES)
def test_defaults_of_an_analysis(defaults, command):
    assert config_values(defaults[command]) == DEFAULTS[command]


@pytest.mark.parametrize(("name", "at"), SCHEDULES.items())
def test_schedules(name, at):
    flossing = job(f"flossing={name}").flossing
    assert (flossing.episodes(10_000), flossing.label, flossing.epochs) == (at, name, 500)


def test_throughout_has_an_episode_every_hundred_epochs_to_the_end():
    flossing = job("flossing=throughout").flossing
    assert flossing.episodes(10_000) == tuple(range(0, 10_000, 100))
    assert flossing.label == "throughout"


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["flossing.at=[500,0]"], "during"),
        (["flossing.at=[0]"], "pre"),
        (["flossing=none", "flossing.at=[0,500]"], "during"),
        (["flossing.at=[300,7]"], "at-7-300"),
        (["flossing.every=50"], "at-0-500-every50"),
        (["flossing=throughout", "flossing.every=200"], "at-every200"),
        (["flossing=none", "flossing.at=[5]"], "at-5"),
        (["flossing.name=mine", "flossing.at=[5]"], "at-5"),
    ],
)
def test_a_schedule_is_named_by_its_episodes(overrides, label):
    changed = job(*overrides)
    assert changed.flossing.label == label
    assert f"-{label}-" in changed.folder.name


@pytest.mark.parametrize(
    ("scale", "train", "flossing_epochs"),
    [
        ("paper", (10_000, 100, 500, 16), 500),
        ("small", (1000, 20, 500, 16), 500),
        ("smoke", (20, 5, 10, 2), 5),
    ],
)
def test_scales(scale, train, flossing_epochs):
    scaled = job(f"scale={scale}")
    t = scaled.train
    assert (t.epochs, t.log_every, t.checkpoint_every, t.evaluation_batches) == train
    assert (scaled.flossing.epochs, scaled.scale) == (flossing_epochs, scale)
    rest = dataclasses.replace(
        scaled, train=job().train, flossing=dataclasses.replace(scaled.flossing, epochs=500), scale="paper"
    )
    assert rest == job()


def test_a_scale_yields_to_what_is_typed():
    assert job("scale=smoke", "train.epochs=33").train.epochs == 33


@pytest.mark.parametrize("key", TAKEN_AND_NOT)
def test_the_hash_changes_with_what_the_numbers_depend_on_and_nothing_else(reference, key):
    values = [v for v in TAKEN_AND_NOT[key][0] if v != get(reference, key)]
    # Bound to another key, or the same when sorted.
    others: dict[str, list[Any]] = {"task.delay": [], "flossing.at": [[0], [7]], "flossing.every": [100]}
    values = (others | {"diagnostics": [["svd"], ["grad_h0", "svd"]]}).get(key, values)
    names = {config_hash(reference), *(config_hash(changed(reference, key, value)) for value in values)}
    assert len(names) == (1 if key in NOT_HASHED else 1 + len(values))


@pytest.mark.parametrize(("command", "key"), ANALYSIS_KEYS)
def test_the_hash_of_an_analysis_changes_with_what_the_numbers_depend_on(defaults, command, key):
    default = defaults[command]
    different = [changed_analysis(default, key, value) for value in TABLES[command][key][0]]
    different = [job for job in different if get(job, key) != get(default, key)]
    names = {config_hash(default), *map(config_hash, different)}
    found = len({repr(get(job, key)) for job in different})
    assert len(names) == (1 if key in ("checkpoint", "device", "results") else 1 + found)
    assert all(job.folder.name.startswith(f"{command}-{job.arch.name}-") for job in different)


@dataclass(frozen=True, kw_only=True)
class Before:
    a: int = key(whole(0), "what there always was")


@dataclass(frozen=True, kw_only=True)
class Group:
    c: int = key(whole(0), "in a group", added=3)
    d: int = key(whole(0), "not an addition")


@dataclass(frozen=True, kw_only=True)
class After:
    a: int = key(whole(0), "what there always was")
    b: int | None = key(whole(0), "what came later", added=5)
    n: int | None = key(whole(0), "null stands for how it was", added=None)


def test_a_key_that_came_later_leaves_the_hash_where_it_stands_for_how_it_was():
    before = config_hash(Before(a=1))
    assert config_hash(After(a=1, b=5, n=None)) == before
    others = [After(a=1, b=6, n=None), After(a=1, b=None, n=None), After(a=1, b=5, n=5), After(a=5, b=5, n=None)]
    assert len({before, *map(config_hash, others)}) == 5
    assert config_hash(Group(c=3, d=3)) != config_hash(Group(c=4, d=3)) != config_hash(Group(c=3, d=4))


def test_keys_that_came_later_are_marked_so():
    nothing = known_keys(Before)["a"].metadata["added"]
    added = {name: f.metadata["added"] for name, f in known_keys(TrainJob).items() if f.metadata["added"] != nothing}
    assert added == {"diagnostics": ()}


def filled(values: Any, like: Any) -> Any:
    """A configuration as it was once written, with the keys that came later at their defaults."""
    if not isinstance(like, dict):
        return values
    return values | {name: filled(values.get(name, default), default) for name, default in like.items()}


# The folders right under results/ are local runs, and so are the ensembles there.
COMMITTED = sorted([*RESULTS.glob("*/*/config.yaml"), *RESULTS.glob("paper/analyses/*/config.yaml")])
COMMITTED = [path for path in COMMITTED if path.parent.parent != RESULTS / "ensembles"]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_folders_are_found_again(reference, defaults, path):
    """Or else starting their command again would compute everything anew."""
    name = path.parent.name
    found: Any = OmegaConf.to_container(OmegaConf.load(path))
    if name.partition("-")[0] in TABLES:
        default = defaults[name.partition("-")[0]]
        if found["checkpoint"] is None:
            assert analysis_job(type(default), filled(found, dataclasses.asdict(default))).folder.name == name
        return
    names = found.get("folders", [name])
    for values, own in zip(found.get("runs", [found]), names, strict=True):
        values.pop("label")
        assert train_job(filled(values, dataclasses.asdict(reference))).folder.name == own
    if "runs" in found:
        digests = " ".join(sorted(own.rpartition("-")[2] for own in names))
        assert name.rpartition("-")[2] == hashlib.sha256(digests.encode()).hexdigest()[:10]


def test_there_are_committed_folders():
    assert len(COMMITTED) >= 20


def test_the_same_number_written_differently_is_the_same_run():
    assert config_hash(job("d=40.0", "train.epochs=1e4", "arch.g=1", "flossing.at=[500,0]")) == config_hash(job())


def test_keys_that_are_not_hashed_are_marked_so():
    assert {name for name, field in known_keys(TrainJob).items() if not field.metadata["hashed"]} == NOT_HASHED
    for kind in (SpectrumJob, ConditionJob):
        unmarked = {name for name, field in known_keys(kind).items() if not field.metadata["hashed"]}
        assert unmarked == {"checkpoint", "device", "results"}


def test_config_yaml_makes_the_same_run_again(reference):
    values = yaml.safe_load(config_yaml(reference))
    assert values.pop("label") == "during"
    assert train_job(values) == reference


@pytest.mark.parametrize("command", TABLES)
def test_config_yaml_makes_the_same_analysis_again(command):
    one = analysis(command, "flossing.k=[3,1]", "flossing.target=[-1,0]", "arch=lstm", "random_g=true")
    assert analysis_job(type(one), yaml.safe_load(config_yaml(one))) == one
    assert (one.flossing.k, one.flossing.target) == ((1, 3), (-1.0, 0.0))


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
    good |= {"scaling_networks": 8, "results": "results"}
    assert build(BenchJob, good).networks == (1,)
    with pytest.raises(ConfigError, match=f"^{key}={re.escape(str(value))}: must be "):
        build(BenchJob, {**good, key: value})


def test_every_job_of_a_sweep_is_checked():
    assert [j.d for j in jobs("d=10,20", "flossing=none")] == [10, 20]
    with pytest.raises(ConfigError, match=r"^d=21: task=xor needs an even d >= 2$"):
        jobs("d=10,21")
