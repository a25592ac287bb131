"""What a run is named by: everything that its numbers depend on, and nothing else."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import analysis, job
from jobs.key_values import ANALYSIS_KEYS, TABLES, TAKEN_AND_NOT, changed, changed_analysis, get
from omegaconf import OmegaConf

from floss.jobs.analysis import ConditionJob, SpectrumJob, analysis_job
from floss.jobs.checked import train_job
from floss.jobs.hashing import config_hash
from floss.jobs.keys import key, known_keys, list_of, one_of, whole
from floss.jobs.networks import network_ids
from floss.jobs.train import TrainJob, config_yaml
from floss.papers.gradient_flossing.one_step import ONE_STEP, OneStepJob
from floss.papers.gradient_flossing.qr_jobs import QR_COST, QR_INTERVAL, QRCostJob, QRIntervalJob

RESULTS = Path(__file__).parents[2] / "results"


NOT_HASHED = {
    "flossing.name",
    "train.checkpoint_every",
    "device",
    "engine",
    "scale",
    "memory_limit",
    "parts",
    "logger",
    "results",
}


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
    assert len(names) == (1 if key in ("checkpoint", "run", "device", "results") else 1 + found)
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
    assert added == {
        **{"diagnostics": (), "flossing.penalty": "exponents", "flossing.until": None, "train.schedule": "constant"},
        **{"task.teacher": None, "task.nu": None, "task.theta": None, "task.hold": 1},
        **{"arch.heads": 1, "arch.nu": None, "arch.theta": None, "logger": None},
    }


def filled(values: Any, like: Any) -> Any:
    """A configuration as it was once written, with the keys that came later at their defaults."""
    if not isinstance(like, dict):
        return values
    return values | {name: filled(values.get(name, default), default) for name, default in like.items()}


# The folders right under results/ are local runs, and so are the ensembles there.
COMMITTED = sorted([*RESULTS.glob("*/*/config.yaml"), *RESULTS.glob("paper/analyses/*/config.yaml")])
COMMITTED = [path for path in COMMITTED if path.parent.parent != RESULTS / "ensembles"]


OF_FIGURES: dict[str, tuple[Any, Any]] = {
    "one_step": (ONE_STEP, OneStepJob),
    "qr_cost": (QR_COST, QRCostJob),
    "qr_interval": (QR_INTERVAL, QRIntervalJob),
}
"""Analyses that `floss reproduce` alone computes."""


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
    if name.partition("-")[0] in OF_FIGURES:
        kind, make = OF_FIGURES[name.partition("-")[0]]
        assert kind.folder(make(**found)).name == name
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
        assert unmarked == {"checkpoint", "run", "device", "results"}


def test_config_yaml_makes_the_same_run_again(reference):
    values = yaml.safe_load(config_yaml(reference))
    assert values.pop("label") == "during"
    assert train_job(values) == reference


@pytest.mark.parametrize("command", TABLES)
def test_config_yaml_makes_the_same_analysis_again(command):
    one = analysis(command, "flossing.k=[3,1]", "flossing.target=[-1,0]", "arch=lstm", "random_g=true")
    assert analysis_job(type(one), yaml.safe_load(config_yaml(one))) == one
    assert (one.flossing.k, one.flossing.target) == ((1, 3), (-1.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Renewed:
    a: int = key(whole(0), "what there always was")
    words: tuple[str, ...] = key(list_of(one_of("x", "y", "z")), "what changed", added=(), renewed={"x": "x, anew"})
    word: str = key(one_of("x", "y"), "one of them", added="y", renewed={"x": "x, anew"})


@dataclass(frozen=True, kw_only=True)
class NotRenewed:
    a: int = key(whole(0), "what there always was")
    words: tuple[str, ...] = key(list_of(one_of("x", "y", "z")), "before", added=())
    word: str = key(one_of("x", "y"), "before", added="y")


@pytest.mark.parametrize("words", [(), ("y",), ("x",), ("x", "y"), ("y", "z")])
@pytest.mark.parametrize("word", ["x", "y"])
def test_what_was_computed_when_a_word_meant_something_else_is_not_found_under_it(words, word):
    same = config_hash(Renewed(a=1, words=words, word=word)) == config_hash(NotRenewed(a=1, words=words, word=word))
    assert same == ("x" not in (*words, word))


OLD = {
    "[grad_h0]": ["nb2f0be4f8789"],
    "[svd]": ["n906e8f09f0dc"],
    "[overlap]": ["n131c0ecfbb89"],
    "[]": ["n01c4081ca37a"],
}
"""Ids that networks of the first version have."""


def test_networks_watched_for_their_last_steps_gradient_are_others():
    """Their `grad_norm_h0` was that of the last step's loss alone. The others are found again."""
    watched = {
        which: network_ids(job("task=xor", "d=70", "flossing=early", f"diagnostics={which}", "train.log_every=10"))
        for which in ("[grad_h0]", "[svd]", "[overlap]", "[]")
    }
    assert watched["[grad_h0]"] != OLD["[grad_h0]"]
    assert {which: ids for which, ids in watched.items() if which != "[grad_h0]"} == {
        which: ids for which, ids in OLD.items() if which != "[grad_h0]"
    }
