"""`floss plan` says what would be computed, and writes nothing."""

import dataclasses
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from command import inside
from commands.run_folders import SWEEP, held

from floss.commands.sweep_arguments import jobs_of
from floss.jobs.checked import train_job
from floss.sweep import ensemble_run as experiment
from floss.sweep.forecast import duration
from floss.sweep.networks import NetworkJobs
from floss.sweep.placement import memory_model, stacks_of, workspace_of
from floss.sweep.request import Request

pytestmark = pytest.mark.usefixtures("no_pictures")

PLANNED = (*SWEEP, "seeds=2", "device=cpu", "engine=torch")


def planned(folder: Path, *arguments: str) -> list[list[str]]:
    """What `floss plan` says, by lines and by words between which there are two spaces; it must write nothing."""
    before = held(folder)
    done = inside(folder, "plan", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert held(folder) == before
    return [re.split(" {2,}", line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("flag", [(), ("-m",)])
def test_plan_says_what_would_be_computed_and_writes_nothing(tmp_path, flag):
    counts, head, ensemble, last = planned(tmp_path, *flag, *PLANNED)
    assert counts == ["8 networks, 0 done, 8 to compute in results"]
    assert head == ["ensemble", "networks", "of", "device", "engine", "memory", "time"]
    assert ensemble[:5] == ["1", "8", "xor vanilla d=2,4 flossing=pre,none seeds=0,1", "cpu", "torch"]
    assert re.fullmatch(r"[\d.]+ [MG]B", ensemble[5])
    assert re.fullmatch(r"[\d.]+ (s|min|hours|days)", ensemble[6])
    assert last == [f"about {ensemble[6]} on this machine, by a few epochs of each kind"]
    assert not any(tmp_path.iterdir())


def test_plan_shows_every_ensemble(tmp_path):
    counts, _, *table, _ = planned(tmp_path, *PLANNED, "d=2,4,6", "arch=vanilla,relu", "parts=2")
    assert counts == ["24 networks, 0 done, 24 to compute in results"]
    assert [row[0] for row in table] == ["1", "2", "3", "4"]
    assert sum(int(row[1]) for row in table) == 24
    assert sorted(row[2].split()[1] for row in table) == ["relu", "relu", "vanilla", "vanilla"]


def test_plan_counts_what_is_done_before_and_after_runs(tmp_path):
    assert planned(tmp_path, "-m", *PLANNED)[0] == ["8 networks, 0 done, 8 to compute in results"]
    assert inside(tmp_path, "train", "-m", *PLANNED, "d=2", "seeds=1").returncode == 0
    counts, _, ensemble, _ = planned(tmp_path, "-m", *PLANNED)
    assert counts == ["8 networks, 2 done, 6 to compute in results"]
    assert ensemble[1] == "6"
    assert planned(tmp_path, *PLANNED, "d=2", "seeds=1") == [["2 networks, 2 done, 0 to compute in results"]]
    assert inside(tmp_path, "train", "-m", *PLANNED).returncode == 0
    for flag in ((), ("-m",)):
        assert planned(tmp_path, *flag, *PLANNED) == [["8 networks, 8 done, 0 to compute in results"]]
    assert planned(tmp_path, *PLANNED, "results=others")[0] == ["8 networks, 0 done, 8 to compute in others"]


def test_plan_knows_what_was_left_unfinished(tmp_path, monkeypatch):
    def show(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        os.kill(os.getpid(), signal.SIGINT)

    original = experiment._EnsembleRun.show
    with monkeypatch.context() as patch:
        patch.setattr(experiment._EnsembleRun, "show", show)
        assert inside(tmp_path, "train", "-m", *PLANNED, "seeds=1").returncode == 130
    counts, _, *table, _ = planned(tmp_path, *PLANNED)
    assert counts == ["8 networks, 0 done, 8 to compute in results"]
    assert sorted((row[1], row[2]) for row in table) == [
        ("4", "xor vanilla d=2,4 flossing=none,pre seeds=0 (goes on)"),
        ("4", "xor vanilla d=2,4 flossing=pre,none seeds=1"),
    ]
    assert inside(tmp_path, "train", "-m", *PLANNED).returncode == 0
    assert planned(tmp_path, *PLANNED) == [["8 networks, 8 done, 0 to compute in results"]]


def test_plan_cuts_a_sweep_to_the_memory_that_it_may_take(tmp_path):
    *_, one, _ = planned(tmp_path, *PLANNED)
    _, _, *table, _ = planned(tmp_path, *PLANNED, "memory_limit=1e-6")  # less than a network takes
    assert [row[:2] for row in table] == [[str(i + 1), "1"] for i in range(8)]
    assert one[1] == "8"


def test_an_ensemble_within_its_memory_has_room_for_what_the_engine_works_in(tmp_path):
    sweep = ["-m", "d=2,4", "seeds=20", "flossing=none,pre", "engine=native", "device=cpu", f"results={tmp_path}"]
    request = Request([train_job(values) for values, _ in jobs_of("train", sweep)])
    networks, bytes_of = request.networks, memory_model(request.networks)

    def taken(some: NetworkJobs) -> float:
        return sum(map(bytes_of, some.values())) + workspace_of(some)

    limit = (workspace_of(networks) + taken(networks)) / 2  # what the networks take alone lies below it, or just above
    bounded = {i: dataclasses.replace(network, memory_limit=limit / 1e9) for i, network in networks.items()}
    stacks = stacks_of(bounded, request.store, bytes_of)
    assert 2 <= len(stacks) <= 4
    assert max(taken(stack.networks) for stack in stacks) <= limit


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (0.2, "1 s"),
        (89.4, "89 s"),
        (90.0, "1.5 min"),
        (5394.0, "89.9 min"),
        (5400.0, "1.5 hours"),
        (129_000.0, "35.8 hours"),
        (129_600.0, "1.5 days"),
        (8_640_000.0, "100.0 days"),
    ],
)
def test_time_spans_in_words(seconds, words):
    assert duration(seconds) == words
