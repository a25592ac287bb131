"""Faults with real processes: after any of them the same command ends with the bytes of an undisturbed run."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from command import ENVIRONMENT, FLOSS, TINY, expand, floss, jobs, rows, start
from sweep.test_resume import empty, flip_a_byte, foreign, signed_foreign, truncate

from floss.sweep.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SWEEP = (*TINY, "d=2,4", "flossing=none,pre,throughout", "seeds=4", "train.epochs=200", "flossing.epochs=60", "parts=3")
SWEEP = (*SWEEP, "train.checkpoint_every=20")
CLOCK = ("seconds", "floss_seconds")


def result(folder: Path) -> dict[str, object]:
    """All rows of the jobs of SWEEP below a folder, but for the clock."""
    found: dict[str, object] = {}
    for each in jobs(*SWEEP):
        summary = rows(folder / each.folder / "summary.csv")
        found[each.folder.name] = [{k: v for k, v in row.items() if k not in CLOCK} for row in summary]
        found[f"{each.folder.name} metrics"] = (folder / each.folder / "metrics.csv").read_bytes()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    return result(folder)


def check(folder: Path, undisturbed: dict[str, object]) -> str:
    """Start the sweep again; it ends, with those rows and nothing half written. What it said on stderr."""
    done = floss(folder, "train", "-m", *SWEEP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("networks 24 done\n")
    assert result(folder) == undisturbed
    assert not list(folder.rglob(".*.tmp"))
    return done.stderr


def statuses(folder: Path) -> Counter[str]:
    return Counter(record.status for record in Store(folder / "results").records().values())


# --- killed ------------------------------------------------------------------------------------------------------


def test_killed_at_thirty_random_moments(tmp_path, undisturbed):
    """From the first import to the last picture; every start goes on from what the killed ones left."""
    generator = random.Random(5)
    killed, finished, folder = 0, 0, tmp_path
    while killed < 30:
        folder = tmp_path / str(finished)
        folder.mkdir(exist_ok=True)
        process = start(folder, "train", "-m", *SWEEP)
        time.sleep(generator.uniform(0.5, 4.0))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if statuses(folder)["done"] == 24:
            assert check(folder, undisturbed) == ""
            finished += 1
    assert check(folder, undisturbed) == ""


KILLED_AT_A_WRITE = """
import os, signal, sys
import floss.runtime.files as results
from floss.commands.main import main

moment, place, wanted = sys.argv[1], int(sys.argv[2]), 0
sys.argv = ["floss", *sys.argv[3:]]
calls = 0

def dies(when):
    if when == moment and calls == place:
        os.kill(os.getpid(), signal.SIGKILL)

replace, write_whole = os.replace, results.write_whole

def counted(path, content):
    global calls
    calls += 1
    dies("before")
    if moment == "within" and calls == place:
        path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(content[: len(content) // 2])
        dies("within")
    write_whole(path, content)
    dies("after")

for module in ("runtime.files", "runtime.checkpoint", "sweep.ensemble_run", "sweep.store", "sweep.folders"):
    __import__(f"floss.{module}")
    if hasattr(sys.modules[f"floss.{module}"], "write_whole"):
        sys.modules[f"floss.{module}"].write_whole = counted
main()
print(f"WRITES {calls}", file=sys.stderr)
"""


def with_a_death(folder: Path, moment: str, place: int) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-c", KILLED_AT_A_WRITE, moment, str(place), "train", "-m", *SWEEP]
    return subprocess.run(program, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_killed_at_a_write(tmp_path, undisturbed, moment):
    """At the first writes of an ensemble, in its middle, at its last ones, and at those of what people open."""
    for place in (1, 2, 3, 4, 5, 9, 17, 30):
        done = with_a_death(tmp_path, moment, place)
        assert done.returncode == -signal.SIGKILL, (place, done.stderr)
    assert check(tmp_path, undisturbed) == ""


def test_killed_at_the_last_writes(tmp_path, undisturbed):
    """With one ensemble left to finish there are few writes, and each of them is tried."""
    first = tmp_path / "first"
    first.mkdir()
    assert floss(first, "train", "-m", *SWEEP).returncode == 0
    last = max((first / "results" / "ensembles").glob("xor-*"), key=lambda path: path.name)
    (last / "metrics.csv").unlink()
    place = 0
    for place in range(1, 60):
        done = with_a_death(first, "within", place)
        if done.returncode != -signal.SIGKILL:
            break
    assert place > 5
    assert check(first, undisturbed) == ""


def test_what_is_damaged_is_said_once(tmp_path, undisturbed):
    assert floss(tmp_path, "train", "-m", *SWEEP).returncode == 0
    for path in tmp_path.glob("results/ensembles/*/metrics.csv"):
        truncate(path)
    said = check(tmp_path, undisturbed)
    assert said.count("\n") == 1
    assert re.match(r"floss: [3-9] networks are damaged and computed again: ", said)


# --- signals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR2, 140)])
def test_stopped_by_a_signal_again_and_again(tmp_path, undisturbed, number, status):
    stopped = 0
    for _ in range(4):
        process = start(tmp_path, "train", "-m", *SWEEP)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")}
        while process.poll() is None:
            if {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")} != before:
                process.send_signal(number)
                break
            time.sleep(0.01)
        _, err = process.communicate(timeout=100)
        assert "Traceback" not in err
        stopped += process.returncode == status
        assert process.returncode in (0, status)
        if process.returncode == status:
            assert "floss: stopped; start the same command again to go on: " in err
            assert "interrupted" in err.splitlines()[-1]
    assert stopped
    assert check(tmp_path, undisturbed) == ""


# --- disks -------------------------------------------------------------------------------------------------------


def test_files_that_may_not_grow(tmp_path, undisturbed):
    """RLIMIT_FSIZE: the kernel refuses in the middle of a checkpoint, one line says so, and nothing is lost."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [FLOSS, "train", "-m", *SWEEP],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("floss train: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert check(tmp_path, undisturbed) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_disk(tmp_path, undisturbed):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no mounts here")
    try:
        done = floss(disk, "train", "-m", *SWEEP)
        assert (done.returncode, done.stdout) == (1, "")
        assert "No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert check(disk, undisturbed) == ""
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path, undisturbed):
    """As root every folder can be; a file in its place cannot."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "ensembles").write_text("")
    done = floss(tmp_path, "train", "-m", *SWEEP)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    assert "ensembles" in done.stderr
    (tmp_path / "results" / "ensembles").unlink()
    assert check(tmp_path, undisturbed) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    done = floss(tmp_path, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "must be a folder that can be written" in done.stderr


# --- checkpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [truncate, flip_a_byte, empty, foreign, signed_foreign])
def test_a_damaged_checkpoint_costs_its_own_ensemble_alone(tmp_path, undisturbed, damage):
    process = start(tmp_path, "train", "-m", *SWEEP)
    while len(list(tmp_path.rglob("checkpoint.pt"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    unfinished = Store(tmp_path / "results").unfinished()
    if not unfinished:
        pytest.skip("it was done too soon")
    path = tmp_path / "results" / "ensembles" / next(iter(unfinished.values())) / "checkpoint.pt"
    damage(path)
    said = check(tmp_path, undisturbed)
    assert said.count("\n") == 1
    assert said.endswith("; starting them from the beginning\n")
    assert not list(tmp_path.rglob("trace"))


# --- several at once ---------------------------------------------------------------------------------------------


def test_three_processes_of_which_two_are_killed(tmp_path, undisturbed):
    """Whoever is left takes over what the dead were at."""
    three = [start(tmp_path, "train", "-m", *SWEEP) for _ in range(3)]
    time.sleep(4.0)
    for process in three[:2]:
        process.kill()
    for process in three:
        process.communicate(timeout=200)
    assert three[2].returncode == 0
    assert result(tmp_path) == undisturbed
    table = [row for path in (tmp_path / "results" / "ensembles").glob("*/summary.csv") for row in rows(path)]
    done = Counter(row["network"] for row in table if row["status"] == "done")
    assert done == dict.fromkeys(expand(jobs(*SWEEP)), 1)


def test_another_seed_gives_other_bytes(tmp_path, undisturbed):
    """Or else the equalities of this file would say nothing."""
    other = [*SWEEP, "seed=1"]
    assert floss(tmp_path, "train", "-m", *other).returncode == 0
    theirs = {key for key in undisturbed if not key.endswith("metrics")}
    ours = jobs(*other)
    assert not {each.folder.name for each in ours} & theirs
    wanted = {row["final_loss"] for each in ours for row in rows(tmp_path / each.folder / "summary.csv")}
    known = {str(row["final_loss"]) for name in theirs for row in undisturbed[name]}  # pyright: ignore[reportGeneralTypeIssues]
    assert len(wanted - known) == 6  # one new seed for each of six jobs
