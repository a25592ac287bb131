"""Jobs of `floss spectrum` and `floss condition`: defaults, and what contradicts itself."""

import re

import pytest
from command import analysis
from jobs.key_values import ARCHITECTURES, REFERENCE, TABLES

from floss.errors import ConfigError
from floss.jobs.train import config_values

# Fig. 2 has fresh networks that are flossed for 500 epochs, k = 15, and looked at over 500 steps; the step size of the
# reference protocol.
OF_NETWORKS = {
    "seed": 0,
    "seeds": 1,
    "arch": REFERENCE["arch"],
    "random_g": False,
    "checkpoint": None,
    "run": None,
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
    "spectrum t_ons=often": "t_ons=often: must be a whole number >= 1 and <= 100000000, or one of adaptive",
    "spectrum input=binary": "input=binary: must be one of auto, uniform, bits, gaussian, none",
    "spectrum seed=9223372036854775807 seeds=2": "seeds=2: seed + seeds must be at most 2**63, and seed=92233720368547",
    "spectrum arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "spectrum arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "spectrum arch=linear_lru inputs=2": "inputs=2: must be 1 for arch=linear_lru",
    "spectrum arch.heads=2": "arch.heads=2: is for linear students alone, such as arch=linear_dense",
    "spectrum arch=rnn": f"arch=rnn: must be one of {ARCHITECTURES}",
    "spectrum arch.name=rnn": f"arch.name=rnn: must be one of {ARCHITECTURES}; choose it by arch=",
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


@pytest.mark.parametrize("command", TABLES)
def test_defaults_of_an_analysis(defaults, command):
    assert config_values(defaults[command]) == DEFAULTS[command]
