"""Ensembles that are stopped and started again end with the same bytes as those left alone."""

import os
import signal

import pytest
from command import TINY, inside, jobs, rows, run_jobs
from sweep.tiny_runs import (
    INTERRUPTED_VIEW,
    SECONDS,
    SMALL,
    UNFINISHED,
    assert_same,
    computed,
    contents,
    ensemble,
    ensembles,
    names,
    parameters,
    result,
    said_stopped,
    small,
    statuses,
    stop_after,
    stopped,
    watched,
)

from floss.jobs.networks import network_ids
from floss.runtime import interrupt
from floss.runtime.checkpoint import load_checkpoint
from floss.runtime.locks import locked
from floss.sweep.store import ENSEMBLES

pytestmark = pytest.mark.usefixtures("no_pictures")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("options", [[], ["-m"]])
def test_a_signal_while_a_picture_is_drawn_waits_for_it(tmp_path, monkeypatch, number, options):
    drawn = []

    def draw(folder):
        os.kill(os.getpid(), number)
        drawn.append(folder)

    monkeypatch.setattr("floss.figures.draw", draw)
    done = inside(tmp_path, "train", *options, *TINY, "flossing=none")
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert len(drawn) == 1


@pytest.mark.parametrize(
    ("signals", "seconds", "exits"),
    [
        ((signal.SIGTERM, signal.SIGTERM), 1.0, []),  # one that is sent to a process group, and a shell passes it on
        ((signal.SIGTERM, signal.SIGTERM), 0.0, [143]),
        ((signal.SIGINT, signal.SIGTERM), 1.0, [143]),
        ((signal.SIGTERM, signal.SIGINT), 1.0, [130]),
    ],
)
def test_a_later_signal_leaves_with_its_own_status(tmp_path, monkeypatch, undisturbed, signals, seconds, exits):
    """The same signal at once is still the first one."""
    one, left = small(tmp_path), []
    monkeypatch.setattr(interrupt, "_SAME", seconds)
    monkeypatch.setattr(os, "_exit", left.append)

    def both():
        for number in signals:
            signal.raise_signal(number)

    with watched(13, both), pytest.raises(SystemExit) as stop:
        computed(one)
    assert (stop.value.code, left) == (128 + signals[0], exits)
    monkeypatch.undo()
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert 0 < watch.epochs <= 30 - 13  # from the checkpoint


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_an_interrupted_sweep_does_not_go_on_with_its_next_ensemble(tmp_path, launcher, number):
    with watched(13, lambda: os.kill(os.getpid(), number)) as watch:
        done = inside(tmp_path, "train", "-m", *SMALL, "arch=vanilla,lru", f"hydra/launcher={launcher}")
    (folder,) = ensembles(tmp_path / "results")
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == said_stopped(folder.relative_to(tmp_path)) + "sweep    4 interrupted\n"
    views = [path for path in (tmp_path / "results").iterdir() if path.name != ENSEMBLES]
    assert len(views) == (2 if launcher == "stacked" else 1)
    assert all(statuses(view) == ["interrupted"] * 2 for view in views)
    assert len(watch.networks) == 1
    assert 13 <= watch.epochs < 30
    with watched() as watch:
        run_jobs(jobs(*SMALL, "arch=vanilla,lru", f"results={tmp_path / 'results'}"))
    assert len(watch.networks) == 2
    assert 30 < watch.epochs <= 30 - 13 + 30


@pytest.mark.parametrize(
    ("number", "status", "epochs"),  # beside and within both episodes
    [
        (signal.SIGINT, 130, 3),
        (signal.SIGTERM, 143, 5),
        (signal.SIGUSR2, 140, 13),
        (signal.SIGTERM, 143, 18),
        (signal.SIGINT, 130, 29),
    ],
)
def test_stopped_by_a_signal(tmp_path, capsys, undisturbed, number, status, epochs):
    handlers = [signal.getsignal(n) for n in SIGNALS]
    one = small(tmp_path)
    folder = ensemble(one)
    assert stop_after(epochs, number, one) == status
    assert [signal.getsignal(n) for n in SIGNALS] == handlers
    assert capsys.readouterr().err == said_stopped(folder)
    assert names(folder) == UNFINISHED
    assert names(one.folder) == INTERRUPTED_VIEW
    written, wanted = [(where / "metrics.csv").read_bytes() for where in (folder, ensemble(undisturbed))]
    header, *lines = written.splitlines(keepends=True)
    assert lines
    assert "".join(load_checkpoint(folder / "checkpoint.pt")["rows"]).encode() == b"".join(lines)
    for key in network_ids(one):
        mine, theirs = ([row for row in text.splitlines() if row.endswith(key.encode())] for text in (written, wanted))
        assert mine == theirs[: len(mine)]
    assert statuses(one.folder) == statuses(folder) == ["interrupted"] * 2
    assert (one.folder / "metrics.csv").read_bytes() == header
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert watch.networks == [network_ids(one)]
    assert watch.epochs <= 30 - epochs


@pytest.mark.parametrize(
    ("engine", "arch", "stretches"), [("torch", "vanilla", 12), ("native", "vanilla", 8), ("native", "lstm", 8)]
)
def test_stopped_after_every_stretch_in_turn(tmp_path, engine, arch, stretches):
    """One stretch of epochs for each start, and the last start only writes the summary."""
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    short = (f"engine={engine}", f"arch={arch}", "train.epochs=8", "flossing.epochs=2", "flossing.at=[0,5]")
    wanted = computed(small(whole, *short))
    one = small(parts, *short)
    for _ in range(stretches):
        assert stop_after(1, signal.SIGTERM, one) == 143
    with watched() as watch:
        assert_same(computed(one), wanted)
    assert watch.epochs == 0


@pytest.mark.parametrize("arch", ["lstm", "lru"])
def test_every_architecture_goes_on(tmp_path, arch):
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    wanted = computed(small(whole, f"arch={arch}", "train.epochs=12"))
    one = small(parts, f"arch={arch}", "train.epochs=12")
    for epochs in (3, 4, 7):  # in the first episode, in training, in the second episode
        assert stop_after(epochs, signal.SIGTERM, one) == 143
    assert_same(computed(one), wanted)
    assert {row["arch"] for row in rows(wanted.folder / "metrics.csv")} == {arch}


def test_another_seed_gives_other_bytes(tmp_path, undisturbed):
    """Or else the equalities of this file would say nothing."""
    other = computed(small(tmp_path, "seed=5"))
    ours, theirs = result(undisturbed.folder), result(other.folder)
    assert ours[0] != theirs[0]
    assert len({row["final_loss"] for row in ours[1] + theirs[1]}) == 4
    assert parameters(undisturbed.folder) != parameters(other.folder)


def test_a_part_of_an_ensemble_goes_on_alone(tmp_path, undisturbed_three):
    """Of three networks two go on, then the third; the checkpoint that all three came from is not needed after that."""
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    wanted = computed(small(whole, "seed=1"))
    three, two = stopped(parts, 13, "seeds=3"), small(parts, "seed=1")
    first, *others = network_ids(three)
    before = contents(ensemble(three))
    with watched() as watch:
        assert_same(computed(two), wanted)
    assert watch.networks == [others]
    assert watch.epochs <= 30 - 13
    assert contents(ensemble(three)) == before
    with watched() as watch:
        computed(three)
    assert watch.networks == [[first]]
    assert watch.epochs <= 30 - 13
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)
    assert ensembles(parts) == sorted([ensemble(two), ensemble(small(parts, "seeds=1"))])


@pytest.mark.parametrize("arch", ["vanilla", "lru"])
def test_a_part_goes_on_with_torch_up_to_its_rounding(tmp_path, arch):
    """Torch rounds the products of a stack of matrices one way and those of a smaller stack another way."""
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    stopped(parts, 13, "seeds=3", "engine=torch", f"arch={arch}")
    two, wanted = (small(folder, "seed=1", "engine=torch", f"arch={arch}") for folder in (parts, whole))
    with watched() as watch:
        computed(two)
    assert watch.epochs <= 30 - 13
    computed(wanted)
    for name in ("metrics.csv", "summary.csv"):
        mine, theirs = (rows(one.folder / name) for one in (two, wanted))
        assert len(mine) == len(theirs) > 0
        for row, other in zip(mine, theirs, strict=True):
            assert row.keys() == other.keys()
            for column in row.keys() - {*SECONDS, "sha256"}:
                if row[column] != other[column]:
                    assert float(row[column]) == pytest.approx(float(other[column]), rel=1e-4, abs=1e-5), column


def test_whoever_handled_sigusr2_gets_it_once_everything_is_on_disk(tmp_path, undisturbed):
    one, seen = small(tmp_path), []

    def previous(number, frame):
        state = load_checkpoint(ensemble(one) / "checkpoint.pt")["training"]
        seen.append((number, state["epoch"], statuses(one.folder), locked(ensemble(one))))

    before = signal.signal(signal.SIGUSR2, previous)
    try:
        assert stop_after(8, signal.SIGUSR2, one) == 140
        assert signal.getsignal(signal.SIGUSR2) is previous
    finally:
        signal.signal(signal.SIGUSR2, before)
    ((number, epoch, status, held),) = seen
    assert (number, status, held) == (signal.SIGUSR2, ["interrupted"] * 2, False)
    assert 0 < epoch < 20
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert 0 < watch.epochs <= 30 - 8


def test_a_sigterm_that_somebody_handles_stays_theirs(tmp_path, undisturbed, capsys):
    one, seen = small(tmp_path), []

    def previous(number, frame):
        seen.append((number, statuses(ensemble(one))))

    before = signal.signal(signal.SIGTERM, previous)
    try:
        with watched(13, lambda: os.kill(os.getpid(), signal.SIGTERM)) as watch:
            computed(one)
        assert signal.getsignal(signal.SIGTERM) is previous
        assert seen == [(signal.SIGTERM, ["interrupted"] * 2)]  # at once, and nothing stops
        assert watch.epochs == 30
        assert_same(one, undisturbed)
        assert stop_after(1, signal.SIGINT, small(tmp_path, "seed=7")) == 130  # the others are still ours
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(seen) == 1


def test_a_job_whose_networks_all_diverge_is_finished(tmp_path):
    one = computed(small(tmp_path, "arch=linear", "arch.g=1e30", "flossing=none"))
    for folder in (one.folder, ensemble(one)):
        columns = ("diverged_at", "epochs", "final_loss", "status")
        assert [[row[c] for c in columns] for row in rows(folder / "summary.csv")] == [["0", "0", "", "diverged"]] * 2
    with watched() as watch:
        computed(one)
    assert watch.networks == []
