"""Networks that raise, diverge or do not fit into memory are rows, and take no other with them."""

import weakref
from collections import Counter
from typing import Any

import pytest
from command import TINY, floss, inside, job, jobs, rows, run_jobs
from sweep.stacked_sweep import SWEEP, by_job, computed, ensembles

from floss.jobs.networks import network_ids
from floss.runtime.interrupt import Interrupt
from floss.sweep import ensemble_run as experiment
from floss.sweep import run as sweep
from floss.sweep.store import Lease
from floss.training import engines
from floss.training.training import Training

RAISING = """
from floss.training.training import Training

train = Training.train_epochs

def raising(self, count):
    if any(network.seed == 1 and network.d == 4 for network in self.ensemble.networks) and self.epoch >= 10:
        raise RuntimeError("out of luck,\\nas it \\"happens\\"")
    return train(self, count)

Training.train_epochs = raising
"""

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_a_network_that_raises_takes_no_other_with_it(stacked, tmp_path):
    done = floss(tmp_path, "train", "-m", *SWEEP, pictures=False, first=RAISING)
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
    again = floss(tmp_path, "train", "-m", *SWEEP, pictures=False)  # now it does not raise
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("networks 12 done\n")
    assert by_job(tmp_path / "results") == theirs


def test_the_next_start_repeats_exactly_what_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("train", *TINY, "seeds=4", "flossing=pre")
    assert floss(tmp_path, *arguments, pictures=False, first=RAISING).returncode == 1
    seen = computed(monkeypatch)
    done = inside(tmp_path, *arguments)
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


@pytest.mark.parametrize("engine", ["torch", "graph"])
def test_networks_leave_the_memory_before_the_next_ones_come(engine, tmp_path, monkeypatch):
    """So that halves of an ensemble that did not fit have the room of all of it."""
    made: list[weakref.ref[Training]] = []
    left: list[int] = []
    make, train = experiment.training_of, Training.train_epochs

    def watched(*arguments: Any) -> Training:
        left.append(sum(ref() is not None for ref in made))
        training = make(*arguments)
        made.append(weakref.ref(training))
        return training

    def fails(self: Training, count: int) -> Any:
        tick = train(self, count)
        if len(self.ensemble.networks) > 1:
            raise RuntimeError("CUDA out of memory")
        return tick

    monkeypatch.setattr(experiment, "training_of", watched)
    monkeypatch.setattr(experiment, "place_of", lambda job: ("cpu", engines.ENGINES[engine]))
    monkeypatch.setattr(Training, "train_epochs", fails)
    done = inside(tmp_path, "train", *TINY, "flossing=none", "seeds=4", "engine=torch")
    assert done.returncode == 0, done.stderr
    assert len(left) == 7
    assert set(left) == {0}
