"""Jobs of `floss train`: defaults, schedules, scales, and what contradicts itself."""

import dataclasses
import re

import pytest
from command import job, jobs
from jobs.key_values import ARCHITECTURES, REFERENCE, SLURM

from floss.errors import ConfigError
from floss.jobs.checked import train_job
from floss.jobs.compose import sweep_jobs
from floss.jobs.train import config_values

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
    "arch=rnn": f"arch=rnn: must be one of {ARCHITECTURES}",
    "arch=lsmt": f"arch=lsmt: must be one of {ARCHITECTURES}; did you mean lstm?",
    "arch.name=rnn": f"arch.name=rnn: must be one of {ARCHITECTURES}; choose it by arch=",
    "arch=lstm arch.n=37": "flossing.k=75: must be at most the state size, 74 for arch=lstm",
    "arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "arch=lru arch.g=0": "arch.g=0: must be above 0 and at most 1 for arch=lru",
    "arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "arch=lru arch.mean=0.5": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "arch=lru diagnostics=[svd]": "diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru has none",
    "arch=lru diagnostics=[lyapunov,svd]": "diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru has none",
    "diagnostics=svd": "diagnostics=svd: must be a list [a,b,...] of different values, each one of effective_",
    "diagnostics=[norm]": "diagnostics=['norm']: must be a list [a,b,...] of different values, each one of effective_",
    "diagnostic=[svd]": "diagnostic: there is no such key; did you mean diagnostics?",
    "task=xorr": "task=xorr: must be one of copy, spatial_xor, teacher, xor, xor_continuous; did you mean xor?",
    "task.delay=42": "task.delay=42: must equal d=40; set the delay by d= alone",
    "flossing=durin": "flossing=durin: must be one of during, early, none, pre, throughout; did you mean during?",
    "flossing.at=5": "flossing.at=5: must be a list [a,b,...] of different values, each a whole number >= 0",
    "flossing.at=[1,1]": "flossing.at=[1, 1]: must be a list [a,b,...] of different values, each a whole number >= 0",
    "flossing.t_ons=0": "flossing.t_ons=0: must be a whole number >= 1",
    "flossing.t_ons=45": "flossing.t_ons=45: must be at most 44, the counted steps of a run of 60",
    "flossing.steps=12": "flossing.steps=12: must be more than the 12 steps that are not counted",
    "flossing.lr=0": "flossing.lr=0: must be a finite number > 0",
    "flossing.penalty=radius": "flossing.penalty=radius: must be one of exponents, spectral_radius, one_step",
    "flossing.penalty=spectral_radius arch=lstm": "flossing.penalty=spectral_radius: needs one square matrix of"
    " recurrent weights, and arch=lstm has none",
    "flossing.until=0": "flossing.until=0: must be null or a finite number > 0",
    "train.lr=nan": "train.lr=nan: must be a finite number > 0",
    "train.epochs=1e400": "train.epochs=inf: must be a whole number >= 1",
    "train=3": "train=3: this is a group of keys, not a value",
    "scale=smal": "scale=smal: must be one of paper, small, smoke; did you mean small?",
    "dtype=float16": "dtype=float16: must be one of float32, float64",
    "engine=cuda": "engine=cuda: must be one of auto, torch, native",
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


SCHEDULES = {"none": (), "pre": (0,), "during": (0, 500), "early": (0, 100, 200, 300, 400)}


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


def test_every_job_of_a_sweep_is_checked():
    assert [j.d for j in jobs("d=10,20", "flossing=none")] == [10, 20]
    with pytest.raises(ConfigError, match=r"^d=21: task=xor needs an even d >= 2$"):
        jobs("d=10,21")
