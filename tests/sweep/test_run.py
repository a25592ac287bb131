"""Sweeps as a few ensembles: the same rows however they are run, nothing computed twice, failures as rows."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from command import ENVIRONMENT, TINY, expand, files, floss, inside, job, jobs, rows, run_jobs, start

from floss.commands.hydra_app import run_hydra
from floss.jobs.compose import Composer
from floss.runtime.interrupt import Interrupt
from floss.sweep import ensemble_run as experiment
from floss.sweep import run as sweep
from floss.sweep.folders import write_selection
from floss.sweep.networks import network_ids
from floss.sweep.store import Lease, Store

SWEEP = (*TINY, "d=2,4", "flossing=none,pre", "seeds=3")
CLOCK = ("seconds", "floss_seconds")


def tables(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """What must not depend on how a job was run: metrics.csv to the byte, summary.csv but for the clock."""
    summary = rows(folder / "summary.csv")
    return (folder / "metrics.csv").read_bytes(), [{k: v for k, v in row.items() if k not in CLOCK} for row in summary]


def by_job(results: Path) -> dict[str, tuple[bytes, list[dict[str, str]]]]:
    return {folder.name: tables(folder) for folder in sorted(results.glob("xor-*"))}


def ensembles(results: Path) -> list[Path]:
    return sorted(path for path in (results / "ensembles").iterdir() if path.is_dir())


def computed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keys of the networks of every ensemble that is computed from now on in this process."""
    seen: list[list[str]] = []

    def watched(lease: Lease, interrupt: Interrupt, *more: Any) -> None:
        seen.append(list(lease.stack.networks))
        experiment.compute(lease, interrupt, *more)

    monkeypatch.setattr(sweep, "compute", watched)
    return seen


@pytest.fixture(scope="module")
def stacked(tmp_path_factory) -> Path:
    """The folder in which SWEEP ran once."""
    folder = tmp_path_factory.mktemp("stacked")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


# --- the same rows however they are run --------------------------------------------------------------------------


def test_a_sweep_is_one_ensemble(stacked):
    (ensemble,) = ensembles(stacked / "results")
    assert files(ensemble) == ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]
    table = rows(ensemble / "summary.csv")
    assert Counter(row["status"] for row in table) == {"done": 12}
    assert sorted(row["network"] for row in table) == sorted(expand(jobs(*SWEEP)))
    assert list(json.loads((stacked / "results" / jobs(*SWEEP)[0].folder.name / "environment.json").read_text())) == [
        ensemble.name
    ]


@pytest.mark.parametrize("how", [["hydra/launcher=basic"], ["parts=5"], ["memory_limit=1e-5"], ["parts=12"]])
def test_the_same_rows_by_another_launcher_and_in_other_pieces(stacked, tmp_path, how):
    done = floss(tmp_path, "train", "-m", *SWEEP, *how)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ensembles(tmp_path / "results")) > 3
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
    ((ours,), (theirs,)) = (list((folder / "results").glob("sweep-*")) for folder in (tmp_path, stacked))
    assert tables(ours) == tables(theirs)
    assert (ours / "accuracy_vs_delay.png").read_bytes() == (theirs / "accuracy_vs_delay.png").read_bytes()


def test_the_same_rows_alone(stacked, tmp_path):
    for each in jobs(*SWEEP, f"results={tmp_path}", "seed=0,2", "seeds=1"):
        run_jobs([each])
        metrics, summary = tables(each.folder)
        key = summary[0]["network"]
        theirs = next((stacked / "results").glob(f"xor-d{each.d}-vanilla-{each.flossing.label}-*"))
        lines = (theirs / "metrics.csv").read_text().splitlines()
        assert metrics.decode().splitlines() == [lines[0], *(line for line in lines if line.endswith(key))]
        assert summary == [row for row in tables(theirs)[1] if row["network"] == key]


def test_another_seed_gives_other_rows(stacked, tmp_path):
    """Or else the equalities of this file would say nothing."""
    other = job(*TINY, "d=2", "flossing=none", "seed=7", f"results={tmp_path}")
    run_jobs([other])
    ours = tables(other.folder)[1][0]
    theirs = [row for _, summary in by_job(stacked / "results").values() for row in summary]
    assert ours["final_loss"] not in {row["final_loss"] for row in theirs}
    assert ours["sha256"] not in {row["sha256"] for row in theirs}


@pytest.mark.parametrize("arch", ["relu", "lstm", "lru"])
def test_other_architectures_differ_by_rounding_alone(tmp_path, arch):
    """Their engine's sums depend on how many networks stand beside."""
    sizes = (*TINY, f"arch={arch}", "dtype=float64", "flossing=pre", "seeds=3")
    together, alone = job(*sizes, f"results={tmp_path / 'a'}"), job(*sizes, "parts=3", f"results={tmp_path / 'b'}")
    for each in (together, alone):
        run_jobs([each])
    for ours, theirs in zip(rows(together.folder / "summary.csv"), rows(alone.folder / "summary.csv"), strict=True):
        assert ours["network"] == theirs["network"]
        assert float(ours["final_loss"]) == pytest.approx(float(theirs["final_loss"]), rel=1e-6)


# --- what a Hydra job gets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_what_a_launcher_returns(tmp_path, monkeypatch, launcher):
    returned = []
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    original = BasicSweeper.sweep

    def sweep_and_keep(self, arguments):
        returned.extend(original(self, arguments))
        return returned

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(BasicSweeper, "sweep", sweep_and_keep)
    given = [*TINY, "d=2,4", "flossing=none", f"hydra/launcher={launcher}"]

    def train_one(config):
        from floss.jobs.compose import plain
        from floss.jobs.train import train_job

        one = train_job(plain(config))
        run_jobs([one])
        return str(one.folder)

    run_hydra("train", ["-m", *given], train_one)
    (batch,) = returned
    assert [each.return_value for each in batch] == [str(each.folder) for each in jobs(*given[:-1])]
    assert [each.cfg.d for each in batch] == [2, 4]
    assert [each.cfg.flossing.name for each in batch] == ["none", "none"]
    assert [[o for o in each.overrides if o.startswith("d=")] for each in batch] == [
        ["d=4", "d=2"][::-1][i : i + 1] for i in (0, 1)
    ]
    assert all((tmp_path / each.return_value / "metrics.csv").is_file() for each in batch)


@pytest.mark.parametrize(
    "overrides",
    [
        ["d=10", "seed=3", "flossing.k=7"],
        ["task=copy", "arch=lstm", "flossing=early", "scale=small", "train.lr=1e-2"],
        ["scale=smoke", "train.epochs=7", "flossing.at=[0,3]", "arch.g=${d}"],
        ["+flossing.at=[1]", "train.steps=1e2"],
        ["diagnostics=[svd,grad_h0]", "flossing.steps=null", "results='a b'"],
        ["hydra/launcher=basic", "d=12"],
    ],
)
def test_jobs_are_composed_as_hydra_does(overrides):
    import hydra

    from floss.jobs.compose import CONFIG_MODULE, VERSION_BASE, plain

    composer = Composer("train")
    composer.values(["d=6", *overrides[:1]])  # something to have been composed before
    ours = composer.values(overrides)
    with hydra.initialize_config_module(CONFIG_MODULE, "floss", **VERSION_BASE):
        assert ours == plain(hydra.compose("train", overrides=overrides))


def test_other_commands_have_no_stacked_launcher(tmp_path):
    done = inside(tmp_path, "spectrum", "-m", "seed=0,1", "hydra/launcher=stacked")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "floss spectrum: hydra/launcher=stacked: is for floss train; floss spectrum has basic\n"


# --- nothing twice -----------------------------------------------------------------------------------------------


def test_more_seeds_and_another_delay_compute_only_those(tmp_path, monkeypatch):
    seen = computed(monkeypatch)
    first = jobs(*TINY, "d=2,4", "flossing=none,pre", "seeds=2", f"results={tmp_path}")
    run_jobs(first)
    assert sorted([*chain(*seen)]) == sorted(expand(first))
    more = jobs(*TINY, "d=2,4,6", "flossing=none,pre", "seeds=3", f"results={tmp_path}")
    run_jobs(more)
    assert Counter([*chain(*seen)]) == dict.fromkeys(expand(more), 1)
    outcome = run_jobs(more)
    assert Counter([*chain(*seen)]) == dict.fromkeys(expand(more), 1)
    assert outcome.already_done == set(expand(more))
    assert [len(rows(each.folder / "summary.csv")) for each in more] == [3] * 6


def test_jobs_that_share_networks_compute_them_once(tmp_path, monkeypatch):
    seen = computed(monkeypatch)
    same = jobs(*TINY, "flossing=none", "flossing.steps=55,90", "seeds=2", f"results={tmp_path}")
    run_jobs(same)
    assert [*chain(*seen)] == network_ids(same[0]) == network_ids(same[1])
    assert tables(same[0].folder) == tables(same[1].folder)


def test_two_processes_share_a_sweep(stacked, tmp_path):
    """Both end with all rows, and no network is computed twice."""
    argument = (*SWEEP, "parts=6")
    both = [start(tmp_path, "train", "-m", *argument) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=110)
        assert process.returncode == 0, err
        assert out.endswith("networks 12 done\n")
        assert re.fullmatch(r"(floss: waiting for \d+ networks? that (is|are) being computed by .*\n)?", err)
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
    keys = [row["network"] for folder in ensembles(tmp_path / "results") for row in rows(folder / "summary.csv")]
    assert sorted(keys) == sorted(expand(jobs(*SWEEP)))


def test_further_processes_for_further_devices(stacked, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "gpus", lambda networks: ["0", "1", "2"])
    run_jobs([*jobs(*SWEEP, f"results={tmp_path}")])
    assert by_job(tmp_path) == by_job(stacked / "results")
    assert len(ensembles(tmp_path)) == 3


# --- failures are rows -------------------------------------------------------------------------------------------

RAISING = """
import sys
from floss.training.training import Training
from floss.commands.main import main

train = Training.train_epochs

def raising(self, count):
    if any(network.seed == 1 and network.d == 4 for network in self.networks) and self.epoch >= 10:
        raise RuntimeError("out of luck,\\nas it \\"happens\\"")
    return train(self, count)

Training.train_epochs = raising
sys.argv = ["floss", *sys.argv[1:]]
main()
"""


def with_a_network_that_raises(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-c", RAISING, *arguments]
    return subprocess.run(program, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_a_network_that_raises_takes_no_other_with_it(stacked, tmp_path):
    done = with_a_network_that_raises(tmp_path, "train", "-m", *SWEEP)
    assert done.returncode == 1
    assert "networks 10 done, 2 failed\n" in done.stdout
    assert 'xor d=4 flossing=none seed=1: RuntimeError: out of luck, as it "happens"' in done.stdout
    assert "Traceback" not in done.stderr
    ours, theirs = by_job(tmp_path / "results"), by_job(stacked / "results")
    for name, (_, summary) in ours.items():
        for row, wanted in zip(summary, theirs[name][1], strict=True):
            if row["seed"] == "1" and row["d"] == "4":
                assert (row["status"], row["final_loss"]) == ("failed", "")
                assert row["reason"] == 'RuntimeError: out of luck, as it "happens"'
            else:
                assert row == wanted
    # What is left of the attempts to compute them together is gone, but for what failed.
    left = [row["status"] for folder in ensembles(tmp_path / "results") for row in rows(folder / "summary.csv")]
    assert Counter(left)["done"] == 10
    again = floss(tmp_path, "train", "-m", *SWEEP)  # now it does not raise
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("networks 12 done\n")
    assert by_job(tmp_path / "results") == theirs


def test_the_next_start_repeats_exactly_what_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert with_a_network_that_raises(tmp_path, "train", *TINY, "seeds=4", "flossing=pre").returncode == 1
    seen = computed(monkeypatch)
    done = inside(tmp_path, "train", *TINY, "seeds=4", "flossing=pre")
    assert done.returncode == 0
    assert seen == [network_ids(job(*TINY, "flossing=pre", "seed=1"))]


def test_a_diverging_network_in_the_middle_is_a_row(tmp_path):
    """W of 1e30 at once; the others are as without it."""
    sane = job(*TINY, "seeds=2", "flossing=none", "arch=linear", f"results={tmp_path / 'a'}")
    mixed = jobs(*TINY, "seeds=2", "flossing=none", "arch=linear", "arch.g=1,1e30", f"results={tmp_path / 'b'}")
    run_jobs([sane])
    run_jobs(mixed)
    assert len(ensembles(tmp_path / "b")) == 1
    assert [row["status"] for row in rows(mixed[1].folder / "summary.csv")] == ["diverged"] * 2
    ours, theirs = (rows(each.folder / "summary.csv") for each in (mixed[0], sane))
    for row, wanted in zip(ours, theirs, strict=True):
        assert row["status"] == "done"
        assert float(row["final_loss"]) == pytest.approx(float(wanted["final_loss"]), rel=1e-4)


def test_memory_errors_are_answered_by_smaller_ensembles(tmp_path, monkeypatch):
    sizes = []

    def scarce(lease: Lease, interrupt: Interrupt, *more: Any) -> None:
        sizes.append(len(lease.stack.networks))
        if sizes[-1] > 2:
            raise MemoryError
        experiment.compute(lease, interrupt, *more)

    monkeypatch.setattr(sweep, "compute", scarce)
    one = job(*TINY, "seeds=6", "flossing=none", f"results={tmp_path}")
    outcome = run_jobs([one])
    assert set(outcome.status.values()) == {"done"}
    assert sizes == [6, 3, 2, 1, 3, 2, 1]
    assert [row["seed"] for row in rows(one.folder / "summary.csv")] == [str(i) for i in range(6)]


# --- the store ---------------------------------------------------------------------------------------------------


def big_store(folder: Path, ensembles: int, size: int, epochs: int) -> Store:
    """A store of made-up networks, written as ensembles are."""
    from floss.runtime.files import csv_text, write_whole
    from floss.sweep.columns import METRICS, identity
    from floss.sweep.stacking import Stack

    store = Store(folder)
    for place in range(ensembles):
        stack = Stack(expand([job(*TINY, f"d={2 + 2 * (place % 9)}", f"seed={place * size}", f"seeds={size}")]))
        path = store.root / stack.name
        path.mkdir(parents=True)
        numbers = [[epoch, "train", 0.123456789, 0.5, None, None] for epoch in range(epochs)]
        texts = {
            key: csv_text((), [[*identity(one).values(), *line, key] for line in numbers], header=False)
            for key, one in stack.networks.items()
        }
        write_whole(path / "metrics.csv", (csv_text((*METRICS, "network"), []) + "".join(texts.values())).encode())
        whole = {key: csv_text((*METRICS, "network"), []) + text for key, text in texts.items()}
        Lease(stack, path, None).write_summary({key: {"status": "done", "epochs": 20} for key in texts}, whole)
    return store


def test_ten_thousand_networks_are_scanned_in_seconds(tmp_path):
    import time

    big_store(tmp_path, 50, 200, 100)
    start_at = time.perf_counter()
    store = Store(tmp_path)
    records = store.records()
    scanned = time.perf_counter() - start_at
    assert len(records) == 10_000
    assert {record.status for record in records.values()} == {"done"}
    start_at = time.perf_counter()
    store.records()
    again = time.perf_counter() - start_at
    assert scanned < 20  # half a second on a quiet machine
    assert again < 0.3 * scanned
    count = write_selection(tmp_path / "chosen", {"d": (4.0,), "task": ("xor",)}, store)
    table = rows(tmp_path / "chosen" / "summary.csv")
    assert count == len(table) == 1200
    assert [int(row["seed"]) for row in table] == sorted(int(row["seed"]) for row in table)
    assert len((tmp_path / "chosen" / "metrics.csv").read_text().splitlines()) == 1 + 1200 * 100


def delete_a_row(text: str, key: str) -> str:
    lines = text.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if line.rstrip().endswith(key))
    return "".join(lines[:place] + lines[place + 1 :])


def change_a_digit(text: str, key: str) -> str:
    line = next(line for line in text.splitlines() if line.endswith(key))
    return text.replace(line, line.replace("5", "6", 1) if "5" in line else line.replace("1", "2", 1))


def repeat_a_row(text: str, key: str) -> str:
    line = next(line for line in text.splitlines(keepends=True) if line.rstrip().endswith(key))
    return text + line


@pytest.mark.parametrize("damage", [delete_a_row, change_a_digit, repeat_a_row])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_damaged_network_is_found(tmp_path, damage: Callable[[str, str], str], place):
    store = big_store(tmp_path, 1, 4, 5)
    keys = list(store.records())
    path = ensembles(tmp_path)[0] / "metrics.csv"
    before = path.read_text()
    path.write_text(damage(before, keys[place]))
    assert path.read_text() != before
    found = {key: record.status for key, record in store.records().items()}
    assert found == {key: "damaged" if key == keys[place] else "done" for key in keys}


@pytest.mark.parametrize("column", ["final_loss", "d", "status", "sha256", "epochs"])
def test_a_changed_summary_is_found(tmp_path, column):
    one = job(*TINY, "seeds=2", "flossing=none", f"results={tmp_path}")
    run_jobs([one])
    path = ensembles(tmp_path)[0] / "summary.csv"
    table = rows(path)
    old = table[1][column]
    new = "diverged" if column == "status" else old[:-1] + ("1" if old[-1] != "1" else "2")
    lines = path.read_text().splitlines()
    fields = lines[2].split(",")
    fields[list(table[1]).index(column)] = new
    path.write_text("\n".join([lines[0], lines[1], ",".join(fields)]) + "\n")
    assert sorted(record.status for record in Store(tmp_path).records().values()) == ["damaged", "done"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"a,b\n1,2\n", b'"unclosed\n'])
def test_a_foreign_folder_in_the_store_is_passed_over(tmp_path, content):
    one = job(*TINY, "flossing=none", f"results={tmp_path}")
    stranger = tmp_path / "ensembles" / "stranger"
    stranger.mkdir(parents=True)
    (stranger / "summary.csv").write_bytes(content)
    (stranger / "metrics.csv").write_bytes(content)
    assert run_jobs([one]).status == dict.fromkeys(network_ids(one), "done")
    assert (stranger / "summary.csv").read_bytes() == content


def test_views_can_be_deleted_and_come_again(stacked, tmp_path):
    import shutil

    shutil.copytree(stacked / "results" / "ensembles", tmp_path / "results" / "ensembles")
    done = floss(tmp_path, "train", "-m", *SWEEP)
    assert done.stdout.count("known    xor") == 4
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
