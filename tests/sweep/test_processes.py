"""Processes that are killed, signalled, and that wait for each other: the same bytes as left alone."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from command import floss, job, rows, start
from sweep.tiny_runs import (
    INTERRUPTED_VIEW,
    LONG,
    UNFINISHED,
    assert_same,
    contents,
    ensemble,
    ensembles,
    names,
    said_stopped,
    said_waiting,
    statuses,
)

from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.locks import locked
from floss.sweep import run as sweep

EPISODE, EPOCHS = 100, 500


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


def test_killed_at_random_moments(tmp_path, undisturbed_long):
    """SIGKILL cannot be answered: what is on disk at any moment must do."""
    generator = random.Random(20231)
    one = job(*LONG, f"results={tmp_path / 'results'}")
    folder = ensemble(one)
    for least, most in ((10, 70), (110, 220), (255, 325)):  # about the first episode, training, the second episode
        moment = generator.randrange(least, most)
        process = start(tmp_path, "train", *LONG, pictures=False)
        wait(process, lambda: progress(folder)[0] >= moment)  # noqa: B023
        time.sleep(generator.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert statuses(folder) == ["interrupted"] * 2
        assert not one.folder.exists()
    age(folder)
    done = floss(tmp_path, "train", *LONG, pictures=False)
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
        process = start(tmp_path, "train", *LONG, pictures=False)
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
    process = start(tmp_path, "train", *LONG, pictures=False)
    wait(process, lambda: progress(folder)[0])
    suspend(process)  # so that both come in the same moment
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode in (130, 143)  # whichever comes second: each may be taken by another thread
    assert statuses(folder) == ["interrupted"] * 2
    assert not locked(folder)


def test_a_second_process_waits_and_every_network_is_computed_once(tmp_path, undisturbed_long):
    one = job(*LONG, f"results={tmp_path / 'results'}")
    folder = ensemble(one)
    first = start(tmp_path, "train", *LONG, pictures=False)
    wait(first, lambda: progress(folder)[0])
    suspend(first)  # so that it is not done before the second one comes
    before = contents(folder)
    second = start(tmp_path, "train", *LONG, "parts=1", pictures=False)  # the default, to tell the two commands
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
    one = job(*LONG, f"results={tmp_path / 'results'}")
    folder = ensemble(one)
    first = start(tmp_path, "train", *LONG, pictures=False)
    wait(first, lambda: progress(folder)[0] > EPISODE)
    suspend(first)
    age(folder)
    second = start(tmp_path, "train", *LONG, "parts=1", pictures=False)
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
