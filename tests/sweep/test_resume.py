"""Ensembles that are stopped, killed or damaged and started again end with the same bytes as those left alone."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import pickle
import platform
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from command import TINY, expand, floss, inside, job, jobs, rows, run_jobs, start

from floss.errors import CheckpointError
from floss.jobs.train import TrainJob
from floss.runtime import interrupt
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import write_whole
from floss.runtime.locks import exclusive, locked
from floss.sweep import ensemble_run as experiment
from floss.sweep import run as sweep
from floss.sweep.networks import network_ids
from floss.sweep.stacking import Stack
from floss.sweep.store import ENSEMBLES, Store
from floss.training.training import Training

SMALL = (*TINY, "flossing.at=[0,10]", "seeds=2", "train.checkpoint_every=4")  # 10 flossing and 20 training epochs
LONG = (*SMALL, "train.epochs=300", "flossing.epochs=100", "flossing.at=[0,150]", "train.checkpoint_every=10")
EPISODE, EPOCHS = 100, 500
SECONDS = ("seconds", "floss_seconds")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
UNFINISHED = [".lock", "checkpoint.pt", "config.yaml", "environment.json", "metrics.csv", "summary.csv"]
INTERRUPTED_VIEW = ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As the subprocesses of these tests have, because the number of threads changes float32 sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> TrainJob:
    """SMALL, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="module")
def undisturbed_three(tmp_path_factory) -> TrainJob:
    """SMALL with a third network, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("three"), "seeds=3"))


@pytest.fixture(scope="module")
def undisturbed_long(tmp_path_factory) -> TrainJob:
    """LONG, computed in one go."""
    return computed(job(*LONG, f"results={tmp_path_factory.mktemp('long')}"))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> TrainJob:
    """SMALL, stopped after 13 epochs."""
    return stopped(tmp_path_factory.mktemp("interrupted"))


@functools.cache
def composed(*overrides: str) -> TrainJob:
    return job(*SMALL, *overrides)


def small(folder: Path, *overrides: str) -> TrainJob:
    return dataclasses.replace(composed(*overrides), results=str(folder))


def copied(one: TrainJob, folder: Path) -> TrainJob:
    """The same job with the same files in another results folder."""
    shutil.copytree(one.results, folder, dirs_exist_ok=True)
    return dataclasses.replace(one, results=str(folder))


def computed(one: TrainJob) -> TrainJob:
    """The job itself, once it is computed in this process."""
    run_jobs([one])
    return one


def ensemble(one: TrainJob) -> Path:
    """Folder of the ensemble that has the networks of a job and no other."""
    return Path(one.results) / ENSEMBLES / Stack(expand([one])).name


def ensembles(results: Path) -> list[Path]:
    return sorted(path for path in (results / ENSEMBLES).iterdir() if path.is_dir())


def result(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """What must not depend on interruptions: metrics.csv to the byte, summary.csv but for the clock."""
    summary = rows(folder / "summary.csv")
    return (folder / "metrics.csv").read_bytes(), [{k: v for k, v in r.items() if k not in SECONDS} for r in summary]


def parameters(folder: Path) -> bytes:
    """What a finished folder keeps of its networks."""
    return (folder / "checkpoint.pt").read_bytes()


def assert_same(one: TrainJob, other: TrainJob) -> None:
    """Two jobs have the same results: in their folders, and where they were computed in one ensemble."""
    for where in (lambda job: job.folder, ensemble):
        assert result(where(one)) == result(where(other))
        assert parameters(where(one)) == parameters(where(other))


def statuses(folder: Path) -> list[str]:
    return [row["status"] for row in rows(folder / "summary.csv")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@dataclasses.dataclass
class Watch:
    """What is computed in this process."""

    networks: list[list[str]] = dataclasses.field(default_factory=list)
    """Keys of the networks of each ensemble."""
    epochs: int = 0
    """Training and flossing epochs."""


@contextlib.contextmanager
def watched(at: int = 0, call: Callable[[], object] = int) -> Iterator[Watch]:
    """Watch what is computed within the block, and call a function at the epoch of that number."""
    watch = Watch()

    def wrapped(function):
        def epochs(*arguments):
            before, watch.epochs = watch.epochs, watch.epochs + arguments[-1]
            if before < at <= watch.epochs:
                call()
            return function(*arguments)

        return epochs

    def compute(lease, *arguments):
        watch.networks.append(list(lease.stack.networks))
        return original(lease, *arguments)

    original = sweep.compute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "train_epochs", wrapped(Training.train_epochs))
        patch.setattr(Training, "floss_epochs", wrapped(Training.floss_epochs))
        patch.setattr(sweep, "compute", compute)
        yield watch


def stop_after(epochs: int, number: int, one: TrainJob) -> int | str | None:
    """Run a job in this process, which sends itself a signal at its epoch of that number; the exit status."""
    with watched(epochs, lambda: os.kill(os.getpid(), number)), pytest.raises(SystemExit) as stopped:
        run_jobs([one])
    return stopped.value.code


def stopped(tmp_path: Path, epochs: int = 13, *overrides: str) -> TrainJob:
    """A job of which so many epochs are done, in its folders."""
    one = small(tmp_path, *overrides)
    stop_after(epochs, signal.SIGTERM, one)
    return one


def said_stopped(folder: Path) -> str:
    return f"floss: stopped; start the same command again to go on: {folder}\n"


def said_damaged(count: int, folder: Path) -> str:
    return f"floss: {count} network{' is' if count == 1 else 's are'} damaged and computed again: {folder}\n"


def said_waiting(count: int, process: int) -> str:
    """A regular expression."""
    who = rf"process {process} on {re.escape(platform.node())}, started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    return f"floss: waiting for {count} network{' that is' if count == 1 else 's that are'} being computed by {who}\n"


def progress(folder: Path) -> tuple[int, bool]:
    """How many epochs the checkpoint has of LONG, and whether it lies within a flossing episode."""
    try:
        state = load_checkpoint(folder / "checkpoint.pt")["training"]
    except FileNotFoundError:
        return 0, False
    past = sum(start < state["epoch"] for start in (0, 150))
    return state["epoch"] + state["flossing_epoch"] + past * EPISODE, state["flossing_epoch"] > 0


def age(folder: Path) -> None:
    """Put the checkpoint's clock forward by half an hour for each of two networks, to know it again in the summary."""
    content = load_checkpoint(folder / "checkpoint.pt")
    save_checkpoint(folder / "checkpoint.pt", {**content, "seconds": content["seconds"] + 3600.0})


def wait(process: "subprocess.Popen[str]", until: Callable[[], object]) -> None:
    """Return once `until` says so, while the process goes on."""
    while not until():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def suspend(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])


def without_picture(one: TrainJob) -> TrainJob:
    """The same job; a picture lies in its folder already, because drawing takes as long as computing."""
    one.folder.mkdir(parents=True)
    (one.folder / "learning_curves.svg").touch()
    return one


def test_killed_at_random_moments(tmp_path, undisturbed_long):
    """SIGKILL cannot be answered: what is on disk at any moment must do."""
    generator = random.Random(20231)
    one = job(*LONG, f"results={tmp_path / 'results'}")
    folder = ensemble(one)
    for least, most in ((10, 70), (110, 220), (255, 325)):  # about the first episode, training, the second episode
        moment = generator.randrange(least, most)
        process = start(tmp_path, "train", *LONG)
        wait(process, lambda: progress(folder)[0] >= moment)  # noqa: B023
        time.sleep(generator.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert statuses(folder) == ["interrupted"] * 2
        assert not one.folder.exists()
    age(folder)
    without_picture(one)
    done = floss(tmp_path, "train", *LONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same(one, undisturbed_long)
    assert all(float(row["seconds"]) > 1800 for row in rows(folder / "summary.csv"))  # it did not begin again
    assert not list(tmp_path.rglob("*.damaged"))
    assert not list(tmp_path.rglob(".*.tmp"))


def test_signals(tmp_path):
    one = job(*LONG, f"results={tmp_path / 'results'}")
    folder = ensemble(one)
    for number in (signal.SIGINT, signal.SIGUSR2):
        before = progress(folder)[0]
        process = start(tmp_path, "train", *LONG)
        wait(process, lambda: progress(folder)[0] > before)  # noqa: B023
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (128 + number, "", said_stopped(folder.relative_to(tmp_path)))
        assert before < progress(folder)[0] < EPOCHS
        assert names(folder) == UNFINISHED
        assert names(one.folder) == INTERRUPTED_VIEW
        assert statuses(folder) == statuses(one.folder) == ["interrupted"] * 2


def test_a_second_signal_leaves_at_once(tmp_path):
    folder = ensemble(job(*LONG, f"results={tmp_path / 'results'}"))
    process = start(tmp_path, "train", *LONG)
    wait(process, lambda: progress(folder)[0])
    suspend(process)  # so that both come in the same moment
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode in (130, 143)  # whichever comes second: each may be taken by another thread
    assert statuses(folder) == ["interrupted"] * 2
    assert not locked(folder)


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


def test_a_second_process_waits_and_every_network_is_computed_once(tmp_path, undisturbed_long):
    one = without_picture(job(*LONG, f"results={tmp_path / 'results'}"))
    folder = ensemble(one)
    first = start(tmp_path, "train", *LONG)
    wait(first, lambda: progress(folder)[0])
    suspend(first)  # so that it is not done before the second one comes
    before = contents(folder)
    second = start(tmp_path, "train", *LONG, "parts=1")  # the default, to tell the two commands
    assert second.stderr
    line = second.stderr.readline()
    assert re.fullmatch(said_waiting(2, first.pid), line)
    time.sleep(2 * sweep._WAIT)
    assert contents(folder) == before
    first.send_signal(signal.SIGCONT)
    for process in (first, second):
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert out.startswith("finished xor d=4 flossing=at-0-150: final_accuracy ")
    assert ensembles(tmp_path / "results") == [folder]
    assert "parts=1" not in json.loads((folder / "environment.json").read_text())["command"]
    assert_same(one, undisturbed_long)


def test_whoever_waits_takes_over_from_the_checkpoint_of_a_dead_process(tmp_path, undisturbed_long):
    one = without_picture(job(*LONG, f"results={tmp_path / 'results'}"))
    folder = ensemble(one)
    first = start(tmp_path, "train", *LONG)
    wait(first, lambda: progress(folder)[0] > EPISODE)
    suspend(first)
    age(folder)
    second = start(tmp_path, "train", *LONG, "parts=1")
    assert second.stderr
    assert re.fullmatch(said_waiting(2, first.pid), second.stderr.readline())
    first.kill()
    first.communicate()
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err, out[:9]) == (0, "", "finished ")
    assert ensembles(tmp_path / "results") == [folder]
    assert "parts=1" in json.loads((folder / "environment.json").read_text())["command"]
    assert_same(one, undisturbed_long)
    assert all(float(row["seconds"]) > 1800 for row in rows(folder / "summary.csv"))


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


@pytest.mark.parametrize(("engine", "stretches"), [("torch", 30), ("native", 10)])
def test_stopped_after_every_stretch_in_turn(tmp_path, engine, stretches):
    """One stretch of epochs for each start, and the last start only writes the summary."""
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    wanted = computed(small(whole, f"engine={engine}"))
    one = small(parts, f"engine={engine}")
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


class Malicious:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.write_bytes(pickle.dumps({"training": Malicious(path.with_name("trace"))}, protocol=2))


def signed_foreign(path: Path) -> None:
    payload = pickle.dumps({"training": Malicious(path.with_name("trace"))}, protocol=2)
    path.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def a_number(path: Path) -> None:
    payload = io.BytesIO()
    torch.save(3, payload)
    path.write_bytes(hashlib.sha256(payload.getvalue()).hexdigest().encode() + b"\n" + payload.getvalue())


def without_a_key(path: Path) -> None:
    content = load_checkpoint(path)
    del content["training"]["epoch"]
    save_checkpoint(path, content)


def of_another_size(path: Path) -> None:
    content = load_checkpoint(path)
    content["training"]["parameters.W"] = content["training"]["parameters.W"][:, :5, :5]
    save_checkpoint(path, content)


def of_other_networks(path: Path) -> None:
    content = load_checkpoint(path)
    save_checkpoint(path, {**content, "networks": ["0123456789ab", content["networks"][1]]})


def without_rows(path: Path) -> None:
    content = load_checkpoint(path)
    del content["rows"]
    save_checkpoint(path, content)


def with_too_few_rows(path: Path) -> None:
    content = load_checkpoint(path)
    save_checkpoint(path, {**content, "rows": content["rows"][:1]})


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_byte,
        empty,
        foreign,
        signed_foreign,
        a_number,
        without_a_key,
        of_another_size,
        of_other_networks,
        without_rows,
        with_too_few_rows,
    ],
)
def test_a_damaged_checkpoint_is_said_and_not_used(tmp_path, capsys, undisturbed, damage, interrupted):
    one = copied(interrupted, tmp_path)
    folder = ensemble(one)
    damage(folder / "checkpoint.pt")
    capsys.readouterr()
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert watch.epochs == 30
    said = capsys.readouterr().err
    assert said.startswith(f"floss: {folder / 'checkpoint.pt'}: ")
    assert said.endswith("; starting them from the beginning\n")
    assert said.count("\n") == 1
    assert (folder / "checkpoint.pt.damaged").exists()
    assert not (folder / "trace").exists()


def test_a_damaged_checkpoint_of_a_larger_ensemble_is_said_and_not_used(tmp_path, capsys, undisturbed):
    three = stopped(tmp_path, 13, "seeds=3")
    flip_a_byte(ensemble(three) / "checkpoint.pt")
    capsys.readouterr()
    assert_same(computed(small(tmp_path)), undisturbed)
    said = capsys.readouterr().err
    assert said.startswith(f"floss: {ensemble(three) / 'checkpoint.pt'}: this checkpoint is damaged")
    assert said.endswith("; starting them from the beginning\n")
    assert said.count("\n") == 1


def append(extra: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("ab") as file:
            file.write(extra)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        truncate,
        flip_a_byte,
        empty,
        append(b"xor,4,vanilla,gaussian,1,during,4,1,0,99,train,1,1,,\n"),
        append(b"xor,4,van"),
        append(b"\xff\x00"),
    ],
)
def test_metrics_csv_of_an_unfinished_ensemble_is_only_for_people(tmp_path, capsys, undisturbed, damage, interrupted):
    one = copied(interrupted, tmp_path)
    damage(ensemble(one) / "metrics.csv")
    capsys.readouterr()
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert watch.epochs <= 30 - 13
    assert capsys.readouterr().err == ""


def lines_of(path: Path) -> tuple[bytes, list[bytes], list[bytes]]:
    """Header, and rows of the first and of the second network."""
    header, *lines = path.read_bytes().splitlines(keepends=True)
    first, second = dict.fromkeys(line[-13:] for line in lines)
    return header, [line for line in lines if line[-13:] == first], [line for line in lines if line[-13:] == second]


def write(path: Path, header: bytes, *rows: list[bytes]) -> None:
    path.write_bytes(header + b"".join(line for part in rows for line in part))


def without_a_row(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[:2] + first[3:], second)


def without_the_first_row(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[1:], second)


def without_a_network(path: Path) -> None:
    header, first, _ = lines_of(path)
    write(path, header, first)


def with_another_digit(path: Path) -> None:
    header, first, second = lines_of(path)
    fields = second[3].split(b",")
    place = next(i for i in range(11, 15) if fields[i])
    fields[place] = fields[place][:-1] + bytes([fields[place][-1] ^ 1])
    write(path, header, first, [*second[:3], b",".join(fields), *second[4:]])


def with_rows_in_another_order(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, [first[1], first[0], *first[2:]], second)


def with_a_row_twice(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first, [second[0], *second])


def with_a_row_apart(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[:-1], second, first[-1:])


def without_the_last_line_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def without_half_a_row(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def with_the_networks_keys_exchanged(path: Path) -> None:
    header, first, second = lines_of(path)
    one, other = first[0][-13:], second[0][-13:]
    write(path, header, [line[:-13] + other for line in first], [line[:-13] + one for line in second])


def with_the_networks_in_another_order(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, second, first)


def with_another_header(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header.replace(b",loss,", b",lnss,"), first, second)


def with_a_header_that_is_no_text(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header.replace(b",loss,", b",l\xffss,"), first, second)


def with_a_row_of_nobody(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first, [first[0][:-13] + b"0123456789ab\n"], second)


def edit_summary(place: int, **columns: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path = path.with_name("summary.csv")
        header, *lines = path.read_text().splitlines()
        fields = dict(zip(header.split(","), lines[place].split(","), strict=True))
        lines[place] = ",".join({**fields, **columns}.values())
        path.write_text("\n".join([header, *lines, ""]))

    return damage


def summary_without_a_network(path: Path) -> None:
    path = path.with_name("summary.csv")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def without_summary(path: Path) -> None:
    path.with_name("summary.csv").unlink()


def damaged(folder: Path, finished: TrainJob, damage: Callable[[Path], object]) -> TrainJob:
    """The same job with a damaged metrics.csv in its ensemble, and without its folder, in another results folder."""
    one = copied(finished, folder)
    damage(ensemble(one) / "metrics.csv")
    shutil.rmtree(one.folder)
    return one


FINISHED_AND_DAMAGED = [
    (without_a_row, [0]),
    (without_the_first_row, [0]),
    (without_a_network, [1]),
    (with_another_digit, [1]),
    (with_rows_in_another_order, [0]),
    (with_a_row_twice, [1]),
    (with_a_row_apart, [0]),
    (without_the_last_line_end, [1]),
    (without_half_a_row, [1]),
    (with_the_networks_keys_exchanged, [0, 1]),
    (empty, [0, 1]),
    (Path.unlink, [0, 1]),
    (with_another_header, [0, 1]),
    (with_a_header_that_is_no_text, [0, 1]),
    (edit_summary(0, final_loss="0.5"), [0]),
    (edit_summary(1, status="diverged"), [1]),
    (edit_summary(1, seed="3"), [1]),
    (edit_summary(0, sha256=""), [0]),
]


@pytest.mark.parametrize(("damage", "networks"), FINISHED_AND_DAMAGED)
def test_damaged_rows_are_computed_again_and_no_others(tmp_path, capsys, undisturbed, damage, networks):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    keys = network_ids(one)
    assert watch.networks == [[keys[i] for i in networks]]
    assert watch.epochs == 30
    assert capsys.readouterr().err == said_damaged(len(networks), ensemble(one))
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)
    assert not list(tmp_path.rglob("*.damaged"))
    with watched() as watch:
        computed(one)
    assert watch.networks == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("damage", "networks"),
    [(summary_without_a_network, [1]), (edit_summary(0, network="0123456789ab"), [0]), (without_summary, [0, 1])],
)
def test_networks_that_no_summary_has_are_computed_again(tmp_path, capsys, undisturbed, damage, networks):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    keys = network_ids(one)
    assert watch.networks == [[keys[i] for i in networks]]
    assert "checkpoint" not in capsys.readouterr().err  # that of the finished ensemble is none to go on from
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)


@pytest.mark.parametrize(
    "damage",
    [
        with_the_networks_in_another_order,
        with_a_row_of_nobody,
        append(b"xor,4,vanilla,gaussian,1,during,4,1,0,99,train,1,1,,\n"),
        append(b"xor,4,van"),
        append(b"\xff\x00"),
        edit_summary(0, seconds="9", floss_seconds="8"),
    ],
)
def test_what_is_no_networks_row_does_no_harm(tmp_path, capsys, undisturbed, damage):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    assert watch.networks == []
    assert capsys.readouterr().err == ""
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)


def test_a_half_written_file_of_a_killed_process_is_removed(tmp_path, interrupted):
    one = copied(interrupted, tmp_path)
    for folder in (ensemble(one), one.folder):
        (folder / ".summary.csv.4711.tmp").write_bytes(b"half")
    computed(one)
    assert not list(tmp_path.rglob(".*.tmp"))


class Clock:
    """Stands in for the module time of `floss.sweep.run`, where waiting is a function's turn."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self.sleep = sleep


def test_a_busy_ensemble_is_left_alone(tmp_path, capsys, monkeypatch, interrupted):
    one, naps = copied(interrupted, tmp_path), []
    before = contents(ensemble(one))
    capsys.readouterr()

    def sleep(seconds):
        naps.append(seconds)
        assert contents(ensemble(one)) == {**before, ".owner": owner}
        if len(naps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sweep, "time", Clock(sleep))
    with exclusive(ensemble(one)), watched() as watch:
        owner = (ensemble(one) / ".owner").read_bytes()
        with pytest.raises(SystemExit) as left:
            run_jobs([one])
    assert left.value.code == 143
    assert naps == [sweep._WAIT] * 3
    assert watch.networks == []
    assert re.fullmatch(said_waiting(2, os.getpid()), capsys.readouterr().err)
    assert contents(ensemble(one)) == before


def test_what_nobody_computes_is_computed_before_waiting(tmp_path, capsys, monkeypatch, undisturbed_three):
    one, three, naps = small(tmp_path), small(tmp_path, "seeds=3"), []
    keys = network_ids(three)

    def sleep(seconds):
        naps.append(list(watch.networks))
        held.close()  # the other one leaves without having done anything

    monkeypatch.setattr(sweep, "time", Clock(sleep))
    with contextlib.ExitStack() as held, watched() as watch:
        assert held.enter_context(Store(tmp_path).lease(Stack(expand([one]))))
        computed(three)
    assert naps == [[keys[2:]]]
    assert watch.networks == [keys[2:], keys[:2]]
    assert watch.epochs == 60
    assert re.fullmatch(said_waiting(2, os.getpid()), capsys.readouterr().err)
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)


def test_a_network_belongs_to_one_claim_at_a_time(tmp_path):
    """Whatever other networks it is stacked with."""
    networks = expand([small(tmp_path, "seeds=3")])
    first, second, third = networks

    @contextlib.contextmanager
    def leased(*keys):
        with Store(tmp_path).lease(Stack({key: networks[key] for key in keys})) as lease:
            yield list(lease.stack.networks) if lease else []

    with leased(first, second) as one:
        assert one == [first, second]
        with leased(second, third) as two:
            assert two == [third]
            with leased(first) as nothing, leased(third, second) as nothing_either:
                assert (nothing, nothing_either) == ([], [])
        with leased(second, third) as two:
            assert two == [third]
    with leased(second, third) as two:
        assert two == [second, third]


@pytest.mark.parametrize("first", ["records", "busy"])
def test_what_is_done_while_somebody_looks_is_not_claimed_again(tmp_path, monkeypatch, undisturbed, first):
    """A process that ends an ensemble between another one's two looks, at what is done and at who is busy."""
    one = copied(undisturbed, tmp_path)
    summary = ensemble(one) / "summary.csv"
    done = summary.read_text()
    summary.write_text(done.replace("done", "interrupted"))
    look = getattr(Store, first)

    def end_after(store):
        seen = look(store)
        summary.write_text(done)
        owner.close()
        return seen

    with contextlib.ExitStack() as owner:
        owner.enter_context(exclusive(ensemble(one)))
        monkeypatch.setattr(Store, first, end_after)
        with Store(tmp_path).lease(Stack(expand([one]))) as lease:
            assert lease is None
    assert summary.read_text() == done


def test_networks_go_on_from_the_latest_of_their_checkpoints(tmp_path, interrupted):
    one = copied(interrupted, tmp_path)
    assert set(Store(tmp_path).unfinished().values()) == {ensemble(one).name}
    for name, when in (("later", 10), ("aaa", -10)):
        other = ensemble(one).with_name(name)
        shutil.copytree(ensemble(one), other)
        stamp = (ensemble(one) / "checkpoint.pt").stat().st_mtime + when
        os.utime(other / "checkpoint.pt", (stamp, stamp))
    assert set(Store(tmp_path).unfinished().values()) == {"later"}


def test_what_somebody_is_at_is_not_tidied(tmp_path, undisturbed):
    """Neither a file that is being written nor an ensemble whose networks are done elsewhere."""
    one = copied(undisturbed, tmp_path)
    busy, idle = (ensemble(one).with_name(name) for name in ("busy", "idle"))
    for folder in (busy, idle):
        shutil.copytree(ensemble(one), folder)
        summary = folder / "summary.csv"
        summary.write_text(summary.read_text().replace("done", "interrupted"))
        (folder / ".metrics.csv.tmp").touch()
    with exclusive(busy), exclusive(ensemble(one)):
        (ensemble(one) / ".metrics.csv.tmp").touch()
        with (store := Store(tmp_path)).locked():
            store.tidy()
        assert (busy / ".metrics.csv.tmp").exists()
        assert (ensemble(one) / ".metrics.csv.tmp").exists()
        assert not idle.exists()
    with (store := Store(tmp_path)).locked():
        store.tidy()
    assert not busy.exists()
    assert not (ensemble(one) / ".metrics.csv.tmp").exists()
    assert statuses(ensemble(one)) == ["done"] * 2


def test_looking_who_is_busy_takes_no_ensemble_from_anybody(tmp_path, interrupted):
    """Whoever waits looks again and again, also at the moment in which another process begins."""
    one, looks = copied(interrupted, tmp_path), []
    over = threading.Event()

    def look():
        store = Store(tmp_path)
        while not over.is_set():
            looks.append(store.busy())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            with Store(tmp_path).lease(Stack(expand([one]))) as lease:
                assert lease
            time.sleep(0.01)  # the store's lock goes to whoever asks first
    finally:
        over.set()
        watcher.join()
    assert len(looks) > 10


@pytest.mark.parametrize("files", [1, 6, 9, 12])
def test_a_full_disk_leaves_what_was_whole(tmp_path, monkeypatch, undisturbed, files):
    one, written = small(tmp_path), []

    def full(path, content):
        written.append(path.name)
        if len(written) > files:
            raise OSError(28, "No space left on device", str(path))
        write_whole(path, content)

    with monkeypatch.context() as patch:
        for module in (
            "runtime.files",
            "sweep.ensemble_run",
            "runtime.checkpoint",
            "sweep.store",
            "sweep.folders",
        ):
            patch.setattr(f"floss.{module}.write_whole", full)
        with pytest.raises(OSError, match="No space left"):
            run_jobs([one])
    assert statuses(ensemble(one)) == ["interrupted"] * 2
    if "checkpoint.pt" in written[:files]:
        load_checkpoint(ensemble(one) / "checkpoint.pt")
    assert_same(computed(one), undisturbed)


def test_a_process_that_dies_right_after_its_summary_has_finished(tmp_path, monkeypatch, undisturbed_three):
    """What only going on needs is in the checkpoint still, and in no folder that people open."""
    last, one = small(tmp_path, "seed=2", "seeds=1"), small(tmp_path)

    def dies(*arguments):
        assert statuses(ensemble(one)) == ["done"] * 2
        raise KeyboardInterrupt

    computed(last)
    with monkeypatch.context() as patch:
        patch.setattr(experiment.Trained, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            computed(one)
    with watched() as watch:
        three = computed(small(tmp_path, "seeds=3"))
        computed(one)
    assert watch.networks == []
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)
    names = load_checkpoint(one.folder / "checkpoint.pt")["training"].keys()
    assert names == load_checkpoint(three.folder / "checkpoint.pt")["training"].keys()


def test_a_job_whose_networks_all_diverge_is_finished(tmp_path):
    one = computed(small(tmp_path, "arch=linear", "arch.g=1e30", "flossing=none"))
    for folder in (one.folder, ensemble(one)):
        columns = ("diverged_at", "epochs", "final_loss", "status")
        assert [[row[c] for c in columns] for row in rows(folder / "summary.csv")] == [["0", "0", "", "diverged"]] * 2
    with watched() as watch:
        computed(one)
    assert watch.networks == []


def test_load_checkpoint_of_a_folder_that_was_never_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.pt")
