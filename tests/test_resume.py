"""A run that is stopped, killed or damaged and started again ends with the same bytes as one left alone."""

import hashlib
import io
import os
import pickle
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command import TINY, floss, job, rows, start

from floss import experiment
from floss.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from floss.config import TrainJob
from floss.results import RunBusyError, exclusive
from floss.training import Training

SMALL = (*TINY, "flossing.at=[0,10]", "seeds=2", "train.checkpoint_every=4")  # 10 flossing and 20 training epochs
LONG = (*SMALL, "train.epochs=300", "flossing.epochs=100", "flossing.at=[0,150]")
EPISODE, EPOCHS = 100, 500
SECONDS = ("seconds", "floss_seconds")


@pytest.fixture(autouse=True, scope="module")
def one_thread_and_no_pictures():
    """As the subprocesses of these tests have, because the number of threads changes float32 sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "draw", lambda folder: [])
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Folder of SMALL, computed in one go."""
    return experiment.run(small(tmp_path_factory.mktemp("undisturbed")))


def small(folder: Path, *overrides: str) -> TrainJob:
    return job(*SMALL, f"results={folder}", *overrides)


def result(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """What must not depend on interruptions: metrics.csv to the byte, summary.csv but for the clock."""
    summary = rows(folder / "summary.csv")
    return (folder / "metrics.csv").read_bytes(), [{k: v for k, v in r.items() if k not in SECONDS} for r in summary]


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int, number: int, job: TrainJob) -> int | str | None:
    """Run a job in this process, which sends itself a signal at its epoch of that number; the exit status."""
    count = 0

    def wrapped(function):
        def epoch(*arguments):
            nonlocal count
            count += arguments[-1]
            if count - arguments[-1] < epochs <= count:
                os.kill(os.getpid(), number)
            return function(*arguments)

        return epoch

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_epochs", wrapped(Training.train_epochs))
        patch.setattr(Training, "floss_epochs", wrapped(Training.floss_epochs))
        with pytest.raises(SystemExit) as stopped:
            experiment.run(job)
    return stopped.value.code


def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int = 13) -> TrainJob:
    """A job of which so many epochs are done, in its folder."""
    one = small(tmp_path)
    stop_after(monkeypatch, epochs, signal.SIGTERM, one)
    return one


def progress(folder: Path) -> tuple[int, bool]:
    """How many epochs the checkpoint has of LONG, and whether it lies within a flossing episode."""
    try:
        state = load_checkpoint(folder / "checkpoint.pt")["training"]
    except FileNotFoundError:
        return 0, False
    past = sum(start < state["epoch"] for start in (0, 150))
    return state["epoch"] + state["flossing_epoch"] + past * EPISODE, state["flossing_epoch"] > 0


def wait(process: "subprocess.Popen[str]", until: Callable[[], object]) -> None:
    """Return once `until` says so, while the process goes on."""
    while not until():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def test_killed_at_random_moments(tmp_path):
    """SIGKILL cannot be answered: what is on disk at any moment must do."""
    generator = random.Random(20231)
    (undisturbed := tmp_path / "undisturbed").mkdir()
    (killed := tmp_path / "killed").mkdir()
    assert floss(undisturbed, "train", *LONG).returncode == 0
    folder = killed / job(*LONG).folder
    within = []
    for least, most in ((10, 70), (110, 220), (255, 325)):  # the first episode, training, the second episode
        moment = generator.randrange(least, most)
        process = start(killed, "train", *LONG)
        wait(process, lambda: progress(folder)[0] >= moment)  # noqa: B023
        time.sleep(generator.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "summary.csv").exists()
        within.append(progress(folder)[1])
    assert any(within)
    done = floss(killed, "train", *LONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert result(folder) == result(undisturbed / job(*LONG).folder)
    assert not list(folder.glob("*.damaged"))
    assert not list(folder.glob(".*.tmp"))


def test_signals_and_a_second_process(tmp_path):
    folder = tmp_path / job(*LONG).folder
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = progress(folder)[0]
        process = start(tmp_path, "train", *LONG)
        wait(process, lambda: progress(folder)[0] > before)  # noqa: B023
        if number == signal.SIGINT:
            os.kill(process.pid, signal.SIGSTOP)  # so that it is not done before the second one comes
            second = floss(tmp_path, "train", *LONG)
            os.kill(process.pid, signal.SIGCONT)
            assert (second.returncode, second.stdout) == (1, "")
            busy = f"floss train: {folder.relative_to(tmp_path)} is being computed by process {process.pid} on "
            assert second.stderr.startswith(busy)
            assert second.stderr.count("\n") == 1
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (status, "")
        assert err == f"floss: stopped; start the same command again to go on: {folder.relative_to(tmp_path)}\n"
        assert before < progress(folder)[0] < EPOCHS
        assert not (folder / "summary.csv").exists()
        assert not (folder / ".owner").exists()


def test_an_interrupted_sweep_does_not_go_on_with_its_next_job(tmp_path):
    sweep = (*LONG, "train.epochs=100000", "seed=0,1")
    process = start(tmp_path, "train", "-m", *sweep)
    wait(process, lambda: list(tmp_path.glob("results/*/checkpoint.pt")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert len(list(tmp_path.glob("results/*"))) == 1


@pytest.mark.parametrize(
    ("number", "status", "epochs"),  # beside and within both episodes
    [(signal.SIGINT, 130, 3), (signal.SIGTERM, 143, 5), (signal.SIGTERM, 143, 18), (signal.SIGINT, 130, 29)],
)
def test_stopped_by_a_signal(tmp_path, monkeypatch, capsys, undisturbed, number, status, epochs):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    one = small(tmp_path)
    assert stop_after(monkeypatch, epochs, number, one) == status
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capsys.readouterr().err == f"floss: stopped; start the same command again to go on: {one.folder}\n"
    assert sorted(path.name for path in one.folder.iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "config.yaml",
        "environment.json",
        "metrics.csv",
    ]
    assert result(undisturbed)[0].startswith((one.folder / "metrics.csv").read_bytes())
    assert result(experiment.run(one)) == result(undisturbed)


@pytest.mark.parametrize(("engine", "stretches"), [("torch", 30), ("native", 10)])
def test_stopped_after_every_stretch_in_turn(tmp_path, monkeypatch, engine, stretches):
    """One stretch of epochs for each start, and the last start only writes the summary."""
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    wanted = experiment.run(small(whole, f"engine={engine}"))
    one = small(parts, f"engine={engine}")
    for _ in range(stretches):
        assert stop_after(monkeypatch, 1, signal.SIGTERM, one) == 143
    assert result(experiment.run(one)) == result(wanted)


@pytest.mark.parametrize("arch", ["lstm", "lru"])
def test_every_architecture_goes_on(tmp_path, monkeypatch, arch):
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    wanted = experiment.run(small(whole, f"arch={arch}", "train.epochs=12"))
    one = small(parts, f"arch={arch}", "train.epochs=12")
    for epochs in (3, 4, 7):  # in the first episode, in training, in the second episode
        assert stop_after(monkeypatch, epochs, signal.SIGTERM, one) == 143
    assert result(experiment.run(one)) == result(wanted)
    assert {row["arch"] for row in rows(wanted / "metrics.csv")} == {arch}


def test_another_seed_gives_other_bytes(tmp_path, undisturbed):
    """Or else the equalities of this file would say nothing."""
    ours, theirs = result(undisturbed), result(experiment.run(small(tmp_path, "seed=5")))
    assert ours[0] != theirs[0]
    assert len({row["final_loss"] for row in ours[1] + theirs[1]}) == 4


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


def without_rows(path: Path) -> None:
    path.with_name("metrics.csv").unlink()


def with_other_rows(path: Path) -> None:
    flip_a_byte(path.with_name("metrics.csv"))


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
        without_rows,
        with_other_rows,
    ],
)
def test_a_damaged_checkpoint_is_said_and_not_used(tmp_path, monkeypatch, capsys, undisturbed, damage):
    one = stopped(tmp_path, monkeypatch)
    damage(one.folder / "checkpoint.pt")
    capsys.readouterr()
    assert result(experiment.run(one)) == result(undisturbed)
    said = capsys.readouterr().err
    assert said.startswith("floss: ")
    assert said.endswith("; starting this run from the beginning\n")
    assert said.count("\n") == 1
    assert (one.folder / "checkpoint.pt.damaged").exists()
    assert not (one.folder / "trace").exists()


@pytest.mark.parametrize(
    "extra", [b"xor,4,vanilla,gaussian,1,during,4,1,0,99,train,1,1,,\n", b"xor,4,van", b"\xff\x00"]
)
def test_rows_beyond_the_checkpoint_are_cut_off(tmp_path, monkeypatch, capsys, undisturbed, extra):
    one = stopped(tmp_path, monkeypatch)
    with (one.folder / "metrics.csv").open("ab") as file:
        file.write(extra)
    capsys.readouterr()
    assert result(experiment.run(one)) == result(undisturbed)
    assert capsys.readouterr().err == ""


def test_a_half_written_file_of_a_killed_process_is_removed(tmp_path, monkeypatch):
    one = stopped(tmp_path, monkeypatch)
    (one.folder / ".checkpoint.pt.4711.tmp").write_bytes(b"half")
    experiment.run(one)
    assert not list(one.folder.glob(".*.tmp"))


def test_a_busy_folder_is_left_alone(tmp_path):
    one = small(tmp_path)
    one.folder.mkdir()
    with exclusive(one.folder), pytest.raises(RunBusyError, match=f"is being computed by process {os.getpid()} on "):
        experiment.run(one)
    assert sorted(path.name for path in one.folder.iterdir()) == [".lock"]


def test_a_full_disk_leaves_what_was_whole(tmp_path, monkeypatch, undisturbed):
    one, written = small(tmp_path), []

    def full(path, content):
        written.append(path.name)
        if len(written) > 6:
            raise OSError(28, "No space left on device", str(path))
        write_whole(path, content)

    write_whole = experiment.write_whole
    with monkeypatch.context() as patch:
        patch.setattr("floss.experiment.write_whole", full)
        patch.setattr("floss.checkpoint.write_whole", full)
        with pytest.raises(OSError, match="No space left"):
            experiment.run(one)
    load_checkpoint(one.folder / "checkpoint.pt")
    assert result(experiment.run(one)) == result(undisturbed)


def test_a_job_whose_networks_all_diverge_is_finished(tmp_path):
    one = small(tmp_path, "arch=linear", "arch.g=1e30", "flossing=none")
    table = rows(experiment.run(one) / "summary.csv")
    assert [(row["diverged_at"], row["epochs"], row["final_loss"]) for row in table] == [("0", "0", "")] * 2


def test_load_checkpoint_of_a_folder_that_was_never_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.pt")
