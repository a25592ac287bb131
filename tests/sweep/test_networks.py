"""From jobs to ensembles: keys that say what is computed, stacks that hold every network once and fit."""

import math
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from command import TINY, expand, job, jobs
from hypothesis import given, settings
from hypothesis import strategies as st

from floss.jobs.networks import former_ids, network_ids
from floss.jobs.train import TrainJob, config_values
from floss.runtime.training_checkpoint import Trained
from floss.sweep.assembly import training_of
from floss.sweep.columns import differing, identity
from floss.sweep.networks import merge
from floss.sweep.placement import workspace_of
from floss.sweep.stacking import Stack, network_bytes, plan, work
from floss.training.engines import find

BASE = job(*TINY)


# --- keys --------------------------------------------------------------------------------------------------------


def test_each_seed_has_a_key_of_its_own_whatever_seeds_stand_beside_it():
    keys = network_ids(job(*TINY, "seeds=5"))
    assert len(set(keys)) == 5
    assert keys[2:4] == network_ids(job(*TINY, "seed=2", "seeds=2"))
    assert all(key[0] == "n" and len(key) == 13 and int(key[1:], 16) >= 0 for key in keys)


@pytest.mark.parametrize(
    "override",
    [
        "device=cpu",
        "engine=torch",
        "results=elsewhere",
        "memory_limit=3",
        "parts=7",
        "train.checkpoint_every=3",
        "flossing.steps=55",  # which is what null means at this delay
        "flossing.transient=16",
        "flossing.penalty=exponents",
        "flossing.until=null",
        "flossing.at=[0,500]",
        "flossing=pre",  # the same, in a training of 20 epochs
        "flossing=throughout",
        "flossing.every=20",
    ],
)
def test_what_changes_no_number_changes_no_key(override):
    assert network_ids(job(*TINY, override)) == network_ids(BASE)


def test_the_scale_is_a_word_for_values():
    values = ("train.epochs=9", "train.log_every=3", "train.evaluation_batches=1", "flossing.epochs=2")
    assert network_ids(job(*TINY, *values, "scale=paper")) == network_ids(job(*TINY, *values))


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "d=6",
        "arch=relu",
        "arch.g=1.1",
        "arch.init=orthogonal",
        "task=xor_continuous",
        "flossing.at=[0,9]",
        "flossing.k=3",
        "flossing.t_ons=2",
        "flossing.target=-0.1",
        "flossing.steps=56",
        "flossing.lr=1e-4",
        "flossing.penalty=one_step",
        "flossing.penalty=spectral_radius",
        "flossing.until=1e-3",
        "train.lr=1e-4",
        "train.epochs=21",
        "train.log_every=2",  # other rows
        "diagnostics=[svd]",  # other columns
        "dtype=float64",
    ],
)
def test_what_changes_a_number_changes_the_key(override):
    assert not set(network_ids(job(*TINY, override))) & set(network_ids(BASE))


def test_a_network_that_is_not_flossed_does_not_depend_on_how_it_would_be():
    never = job(*TINY, "flossing=none")
    how = ("flossing.steps=90", "flossing.epochs=7", "flossing.lr=1e-4", "flossing.target=1", "flossing.transient=30")
    how += ("flossing.penalty=one_step", "flossing.until=0.1")
    for each in (*how, "flossing.k=3", "flossing.k=100", "flossing.t_ons=7"):
        assert network_ids(job(*TINY, "flossing=none", each)) == network_ids(never), each
    for each in (*how, "flossing.k=3", "flossing.t_ons=7"):  # beyond the end of training
        late = job(*TINY, "flossing.at=[1000]", each)
        assert network_ids(late) == network_ids(never), each
        assert identity(late) == identity(never)
    assert identity(job(*TINY, "flossing=none", "flossing.k=3")) == identity(never)
    reference = yaml.safe_load((Path(__file__).parents[2] / "conf/flossing_base.yaml").read_text())
    assert {name: value for name, value in asdict(never.flossing_in_effect).items() if name in reference} == {
        **reference,
        "at": (),
    }


@pytest.mark.parametrize(
    ("epochs", "several", "label"),
    [
        (500, ("flossing=pre", "flossing=during", "flossing.at=[0,700]", "flossing.every=600"), "pre"),
        (400, ("flossing=throughout", "flossing=early", "flossing.at=[0,100,200,300]"), "throughout"),
        (450, ("flossing=early", "flossing=throughout", "flossing.at=[0,100,200,300,400,900]"), "early"),
        (600, ("flossing=during", "flossing.every=500", "flossing.at=[0,500,600]"), "during"),
        (40, ("flossing.at=[5,10] +flossing.every=10", "flossing.at=[0,5,10,20,30]"), "at-5-every10"),
        (40, ("flossing.at=[0,25]", "flossing.every=25"), "at-0-25"),
    ],
)
def test_schedules_with_the_same_episodes_are_one(epochs, several, label):
    networks = [job(*TINY, *each.replace("+", "").split(), f"train.epochs={epochs}") for each in several]
    assert len({tuple(network_ids(one)) for one in networks}) == 1
    assert {str(identity(one)["flossing"]) for one in networks} == {label}
    assert {config_values(one)["label"] for one in networks} == {label}
    assert len({one.flossing.episodes(epochs) for one in networks}) == 1


def test_a_schedule_that_ends_within_the_training_is_the_one_that_was_given():
    for name in ("none", "pre", "during", "early", "throughout"):
        one = job(*TINY, f"flossing={name}", "train.epochs=1000")
        assert one.flossing_in_effect.label == name
        assert network_ids(one) == former_ids(one)


IDLE = {
    ("flossing.penalty=spectral_radius",): ("k=3", "t_ons=2", "steps=30", "transient=7"),
    ("arch=lru",): ("t_ons=2", "steps=30", "transient=7"),
    ("arch=lru", "flossing.penalty=one_step"): ("t_ons=2", "steps=30", "transient=7"),
    ("arch=linear", "flossing.penalty=one_step"): ("t_ons=2", "steps=30", "transient=7"),
    ("arch=linear_exp", "task=teacher"): ("t_ons=2", "steps=30", "transient=7"),
}
"""Keys of flossing that change nothing of some networks."""


@pytest.mark.parametrize("of", IDLE, ids=" ".join)
def test_a_key_that_changes_nothing_tells_no_networks_apart(of):
    of = (*TINY, *of, "flossing=pre", "flossing.epochs=2", "train.epochs=1", "engine=torch")
    one = job(*of)
    others = [job(*of, f"flossing.{each}") for each in IDLE[of[len(TINY) : -4]]]
    assert {(*network_ids(other), *identity(other).items()) for other in others} == {
        (*network_ids(one), *identity(one).items())
    }
    assert differing([one, *others]) == []
    assert len({trained(each) for each in (one, *others)}) == 1
    assert network_ids(job(*of, "flossing.lr=0.1")) != network_ids(one)


def trained(one: TrainJob) -> str:
    """All numbers of a network after its training."""
    stack = Stack(expand([one]))
    training = training_of(stack, "cpu", find("torch", arch=one.arch.name, task=one.task.name, device="cpu"))
    for _ in training.run():
        pass
    parameters = Trained.of(list(stack.networks), training.state()).parameters
    return str({name: tensor.tolist() for name, tensor in parameters.items()})


def test_keys_are_those_of_this_version():
    """Results that exist are found by them: with another key for the same computation, SCHEMA must be raised."""
    assert network_ids(job("task=xor", "d=70", "flossing=pre", "seeds=2")) == ["naa6334bacd5d", "nab2c3f52f45d"]


def test_networks_that_several_jobs_ask_for_are_one():
    overlapping = [job(*TINY, "seeds=3"), job(*TINY, "seed=1", "seeds=4"), job(*TINY, "flossing=none")]
    networks = expand(overlapping)
    assert [(one.seed, one.flossing.label) for one in networks.values()] == [
        *((seed, "pre") for seed in range(5)),  # as which `during` ends within 20 epochs
        (0, "none"),
    ]
    assert all(one.seeds == 1 for one in networks.values())
    assert [network_ids(one) for one in networks.values()] == [[key] for key in networks]


def test_merging_is_the_inverse_of_expanding():
    several = jobs(*TINY, "d=4,6", "flossing=none,pre", "seed=2", "seeds=3")
    assert merge(expand(several).values()) == several
    gaps = [replace(BASE, seed=seed) for seed in (1, 2, 4)]
    assert [(each.seed, each.seeds) for each in merge(gaps)] == [(1, 2), (4, 1)]


# --- stacks ------------------------------------------------------------------------------------------------------


def stackable_together(*overrides: str) -> bool:
    networks = expand([BASE, job(*TINY, *overrides)])
    assert len(networks) == 2
    return len(plan(networks)) == 1


@pytest.mark.parametrize(
    "override",
    [
        *("seed=1", "d=6", "arch.g=1.1", "flossing=none", "flossing.at=[1]", "flossing.every=3", "flossing.k=2"),
        *("flossing.target=-0.2", "flossing.steps=60", "flossing.transient=20"),
    ],
)
def test_what_may_differ_in_a_stack(override):
    assert stackable_together(override)


@pytest.mark.parametrize(
    "override",
    [
        *("arch.n=9", "arch=relu", "arch.init=orthogonal", "arch.bias=0.2", "task=copy", "train.epochs=21"),
        *("train.batch=3", "train.steps=21", "train.lr=2e-3", "train.clip=1", "flossing.epochs=6", "flossing.lr=1e-4"),
        *("flossing.t_ons=2", "dtype=float64", "train.log_every=2", "diagnostics=[svd]"),
    ],
)
def test_what_must_agree_in_a_stack(override):
    assert not stackable_together(override)


def test_engines_and_devices_are_not_mixed():
    networks = expand([job(*TINY), job(*TINY, "seed=1", "engine=torch"), job(*TINY, "seed=2", "device=cpu")])
    assert len(plan(networks)) == 3


SOME = expand(jobs(*TINY, "d=4,6,8", "flossing=none,pre,early", "arch.n=8,9", "seeds=4"))


@settings(deadline=None, max_examples=60)
@given(
    keys=st.lists(st.sampled_from(sorted(SOME)), unique=True, min_size=1),
    limit=st.floats(0.5, 40.0) | st.just(math.inf),
    most=st.integers(1, 80) | st.none(),
    parts=st.integers(1, 9),
    data=st.data(),
)
def test_every_network_is_in_one_stack_and_every_stack_fits(keys, limit, most, parts, data):
    networks = {key: SOME[key] for key in keys}
    left = data.draw(st.dictionaries(st.sampled_from(keys), st.sampled_from(["one", "two"])))
    stacks = plan(networks, bytes_of=lambda one: 1.0, limit=limit, most=most, parts=parts, unfinished=left)
    assert sorted(key for stack in stacks for key in stack.networks) == sorted(keys)
    for stack in stacks:
        assert 1 <= len(stack.networks) <= max(1, min(limit, most or math.inf))
        assert len({one.arch.n for one in stack.networks.values()}) == 1
        assert {left.get(key) for key in stack.networks} == {stack.origin}
    loads = [stack.work for stack in stacks]
    assert loads == sorted(loads, reverse=True)
    fresh = [stack for stack in stacks if stack.origin is None]
    kinds = {one.arch.n for stack in fresh for one in stack.networks.values()}
    for n in kinds:
        mine = [stack for stack in fresh if next(iter(stack.networks.values())).arch.n == n]
        assert len(mine) >= min(parts, sum(len(stack.networks) for stack in mine))


def test_parts_have_about_the_same_work():
    networks = expand(jobs(*TINY, "train.epochs=1000", "flossing=none,pre,early", "seeds=20"))
    stacks = plan(networks, parts=4)
    loads = [stack.work for stack in stacks]
    most = max(work(one) for one in networks.values())
    assert len(stacks) == 4
    assert max(loads) - min(loads) <= 2 * most
    assert sum(loads) == pytest.approx(sum(work(one) for one in networks.values()))


def test_the_plan_depends_on_the_networks_alone():
    stacks = plan(SOME, parts=3)
    again = plan(dict(SOME), parts=3)
    assert [stack.name for stack in stacks] == [stack.name for stack in again]
    assert len({stack.name for stack in stacks}) == len(stacks)


def test_a_stack_is_named_by_its_networks_whatever_their_order():
    stack = Stack(SOME)
    assert Stack(dict(reversed(SOME.items()))).name.split("-")[-1] == stack.name.split("-")[-1]
    first, second = stack.halves()
    assert {**first.networks, **second.networks} == SOME
    assert abs(len(first.networks) - len(second.networks)) <= 1
    assert len({stack.name, first.name, second.name}) == 3


# --- memory ------------------------------------------------------------------------------------------------------

MEASURE = """
import io, sys, torch
from command import expand, job
from floss.analysis.bench.memory import peak_kilobytes
from floss.sweep.placement import place_of
from floss.runtime.training_checkpoint import Trained
from floss.sweep.assembly import training_of
from floss.sweep.stacking import Stack
from floss.runtime.training_checkpoint import Trained
from floss.sweep.assembly import training_of
from floss.sweep.columns import differing, identity

def run(*overrides):
    stack = Stack(expand([job(*overrides, "train.epochs=2", "flossing.epochs=2", "flossing=pre")]))
    training = training_of(stack, *place_of(next(iter(stack.networks.values()))))
    for _ in training.run():
        pass
    training.evaluate()
    torch.save(training.state(), content := io.BytesIO())
    content.getvalue()

run(*sys.argv[2:], "arch.n=4", "flossing.k=1", "train.batch=1", "train.steps=41")
before = peak_kilobytes()
run(*sys.argv[2:], "seeds=" + sys.argv[1])
print(1024 * (peak_kilobytes() - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes")
@pytest.mark.parametrize(
    ("arch", "engine"),
    [
        ("vanilla", "native"),
        ("lstm", "native"),
        ("vanilla", "torch"),
        ("relu", "torch"),
        ("lstm", "torch"),
        ("gru", "torch"),
        ("lru", "torch"),
    ],
)
@pytest.mark.parametrize(
    "sizes", [(), ("train.batch=4", "train.steps=100"), ("arch.n=32", "flossing.k=30"), ("flossing.penalty=one_step",)]
)
def test_memory_is_as_estimated(arch, engine, sizes, tmp_path):
    overrides = (f"arch={arch}", f"engine={engine}", *sizes)

    def peak(networks: int) -> float:
        program = [sys.executable, "-c", MEASURE, str(networks), *overrides]
        done = subprocess.run(program, capture_output=True, text=True, check=True, cwd="tests", env=environment)
        return float(done.stdout)

    # What is freed goes back at once: without this, the peak varies by a half from run to run, with it by a quarter.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    measured = (peak(20) - peak(4)) / 16
    estimate = network_bytes(job(*overrides), engine=engine)
    assert 0.8 * measured < estimate < max(3.0 * measured, measured + 1e6)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes")
@pytest.mark.parametrize("n", [512, 1024])
@pytest.mark.parametrize("networks", [1, 3])
def test_memory_of_large_networks_is_as_forecast(n, networks):
    """What `floss plan` says, within a fifth: networks, and what the engine's threads work in."""
    overrides = ("engine=native", f"arch.n={n}", "train.steps=100", "train.evaluation_batches=1")
    program = [sys.executable, "-c", MEASURE, str(networks), *overrides]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd="tests", env=environment)
    ours = expand([job(*overrides, "flossing=pre", f"seeds={networks}")])
    forecast = sum(network_bytes(one, engine="native") for one in ours.values()) + workspace_of(ours)
    assert 0.8 * float(done.stdout) < forecast < 1.2 * float(done.stdout)


def test_memory_to_work_in_is_that_of_the_longest_run():
    """Of networks with other runs and widths, as the engine says for each of them."""

    def needed(*overrides: str) -> float:
        return workspace_of(expand([job("engine=native", "arch.n=32", "train.steps=41", *overrides)]))

    alone = {words: needed("flossing=pre", *words) for words in (("flossing.k=3",), ("flossing.k=30",))}
    together = needed("flossing=pre,none", "flossing.k=30")
    assert needed("flossing=none") < alone["flossing.k=3",] < alone["flossing.k=30",] <= together
    assert needed("flossing=none", "train.steps=82") > needed("flossing=none")
    assert needed("engine=torch", "flossing=none") == 0.0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes")
@pytest.mark.parametrize("arch", ["linear_dense", "linear_lru"])
def test_memory_of_students_is_as_estimated(arch, tmp_path):
    overrides = ("task=teacher", f"arch={arch}", "flossing=pre", "flossing.k=30")

    def peak(networks: int) -> float:
        program = [sys.executable, "-c", MEASURE, str(networks), *overrides]
        done = subprocess.run(program, capture_output=True, text=True, check=True, cwd="tests", env=environment)
        return float(done.stdout)

    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    measured = (peak(40) - peak(8)) / 32
    estimate = network_bytes(job(*overrides), engine="convolution")
    assert 0.5 * measured < estimate < max(3.0 * measured, measured + 1e6)


def test_memory_grows_with_what_is_held():
    def grows(one: TrainJob, other: TrainJob) -> bool:
        return network_bytes(other, engine="torch") > network_bytes(one, engine="torch")

    assert grows(job("d=10"), job("d=10", "arch=lstm"))
    assert grows(job("d=10"), job("d=10", "train.batch=17"))
    assert grows(job("d=10", "flossing=none"), job("d=10", "flossing=pre"))
    assert network_bytes(job("dtype=float64"), engine="native") == 2 * network_bytes(job(), engine="native")
