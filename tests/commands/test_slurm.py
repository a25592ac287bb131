"""Beyond one machine: SLURM jobs that a signal queues again, by submitit's local executor and by a plain shell."""

import contextlib
import os
import re
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest
from command import ENVIRONMENT, FLOSS, TINY, expand, floss, inside, jobs, start
from commands.run_folders import tables_of

from floss.jobs.keys import build
from floss.jobs.slurm import SlurmConfig, sbatch_script
from floss.runtime.locks import exclusive
from floss.sweep.records import summary_text
from floss.sweep.stacking import Stack

SWEEP = (*TINY, "flossing=none,pre", "seeds=4", "train.epochs=3000", "flossing.epochs=100", "train.checkpoint_every=50")
needs_submitit = pytest.mark.skipif(find_spec("submitit") is None, reason="needs pip install 'floss[slurm]'")

ASKED = {
    "tasks": 3,
    "time": "01:00:00",
    "partition": "long",
    "cpus": 2,
    "gpus": 1,
    "memory": "8G",
    "grace": 90,
    "setup": "module load python",
}


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_script_asks_for_what_it_is_told():
    script = sbatch_script(build(SlurmConfig, ASKED), ["d=10,20", "results=a b"])
    asked = re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE)
    for option in (
        *("--array=0-2", "--time=01:00:00", "--partition=long", "--cpus-per-task=2", "--gpus-per-task=1", "--mem=8G"),
        *("--signal=B:USR2@90", "--requeue"),
    ):
        assert option in asked
    assert "\nmodule load python\n" in script
    assert "\n    floss train -m d=10,20 'results=a b' parts=3 &\n" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_what_is_not_asked_for_is_left_to_the_cluster():
    plain = {**ASKED, "partition": None, "memory": None, "gpus": 0, "setup": None}
    script = sbatch_script(build(SlurmConfig, plain), [])
    assert not re.search(r"partition|--mem|gpus|module", script)


SHELLS = [
    "sh",
    *(pytest.param(name, marks=pytest.mark.skipif(not which(name), reason=name)) for name in ("bash", "dash")),
]
"""What `sh` is differs between systems; it is one of the others, mostly."""
SCRIPT = sbatch_script(build(SlurmConfig, ASKED | {"setup": None}), [])


def task(folder: Path, shell: str, command: str, script: str = SCRIPT) -> "subprocess.Popen[str]":
    """A task of an array whose `floss` is a shell command."""
    program(folder / "floss", command)
    program(folder / "scontrol", "echo $* >> requeued")
    own = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    environment = {**ENVIRONMENT, **own, "PATH": f"{folder}{os.pathsep}{ENVIRONMENT['PATH']}"}
    return subprocess.Popen([shell, "-c", script], cwd=folder, env=environment, start_new_session=True, text=True)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("status", [0, 1, 2, 130, 137])
def test_a_task_ends_as_floss_ends(tmp_path, shell, status):
    for seconds in ("0", "0.1"):
        assert task(tmp_path, shell, f"sleep {seconds}; exit {status}").wait(60) == status
    assert not (tmp_path / "requeued").exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR2, 140), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_task_waits_until_floss_has_answered_a_signal(tmp_path, shell, number, status, whole_group):
    """Sent to the shell alone or to its process group; floss hears it then from both."""
    name = number.name.removeprefix("SIG")
    floss = f"trap 'echo {name} >> heard' {name}; touch ready; while [ ! -e heard ]; do sleep 0.05; done; exit {status}"
    process = task(tmp_path, shell, floss)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    assert process.wait(60) == status
    assert (tmp_path / "heard").read_text().startswith(name)
    assert (tmp_path / "requeued").exists() == (number == signal.SIGUSR2)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR2, 140), (signal.SIGTERM, 143)])
def test_a_signal_during_the_setup_is_answered_without_floss(tmp_path, shell, number, status):
    setup = "touch ready; while [ ! -e go ]; do sleep 0.05; done"
    script = sbatch_script(build(SlurmConfig, ASKED | {"setup": setup}), [])
    process = task(tmp_path, shell, "touch floss_ran", script)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    os.kill(process.pid, number)
    time.sleep(0.1)  # which the shell hears, and answers once the command has ended
    (tmp_path / "go").touch()
    assert process.wait(60) == status
    assert (tmp_path / "requeued").exists() == (number == signal.SIGUSR2)
    assert not (tmp_path / "floss_ran").exists()


def test_a_task_that_comes_no_further_is_queued_again_twice(tmp_path):
    def status() -> int:
        with (tmp_path / "said").open("a") as said:
            program(tmp_path / "scontrol", "echo $* >> requeued")
            own = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
            environment = {**ENVIRONMENT, **own, "PATH": f"{tmp_path}{os.pathsep}{ENVIRONMENT['PATH']}"}
            return subprocess.run(
                ["sh", "-c", SCRIPT], cwd=tmp_path, env=environment, stderr=said, check=False
            ).returncode

    program(tmp_path / "floss", "exit 140")
    assert [status() for _ in range(3)] == [140, 140, 1]
    assert (tmp_path / "requeued").read_text() == "requeue 7_1\n" * 2
    assert (
        (tmp_path / "said")
        .read_text()
        .startswith("floss: queued again twice without one more epoch, so this task gives")
    )
    program(
        tmp_path / "floss", "sleep 0.1; mkdir -p results/ensembles/a; touch results/ensembles/a/checkpoint.pt; exit 140"
    )
    assert [status() for _ in range(4)] == [140] * 4
    program(tmp_path / "floss", "exit 140")
    assert [status() for _ in range(3)] == [140, 140, 1]
    assert not list(tmp_path.glob(".floss-*"))


PRESET = ("train", "-m", *TINY, "flossing=none", "d=2,4", "hydra/launcher=slurm")


@pytest.fixture
def bin_(tmp_path, monkeypatch) -> Path:
    """A folder that has all programs of the machine: none, until a test puts some into it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@needs_submitit
def test_without_a_cluster_the_preset_says_so(tmp_path, bin_):
    done = inside(tmp_path, *PRESET)
    assert done.returncode == 1
    assert 'Could not detect "srun"' in done.stderr
    assert done.stderr.count("\n") == 1


@needs_submitit
def test_a_cluster_that_refuses_is_answered_in_one_line(tmp_path, bin_):
    """After the lines of `sbatch` itself."""
    program(bin_ / "srun", "exit 1")
    program(bin_ / "sbatch", "echo 'sbatch: error: no controller' >&2; exit 1")
    done = inside(tmp_path, *PRESET)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "networks 2 interrupted")
    assert done.stderr.splitlines()[-1] == "floss train: sbatch: error: no controller"
    assert "Traceback" not in done.stderr


@needs_submitit
def test_a_job_that_would_be_stopped_before_it_starts_is_refused(tmp_path):
    done = inside(tmp_path, *PRESET, "hydra.launcher.timeout_min=2")
    assert (done.returncode, done.stdout) == (2, "")
    wanted = (
        "hydra.launcher.timeout_min=2: must be more than the signal_delay_s=120 s before its end at which a job stops"
    )
    assert done.stderr == f"floss train: {wanted}\n"
    assert not any(tmp_path.iterdir())


@needs_submitit
def test_a_cluster_without_accounting_says_so_once(tmp_path, bin_, capfd):
    from floss.commands.accounting import Watcher

    program(bin_ / "sacct", "echo 'sacct: error: Slurm accounting storage is disabled' >&2; exit 1")
    watcher = Watcher(delay_s=1)
    watcher.register_job("12")
    for _ in range(3):
        watcher.update()
        assert watcher.get_state("12", mode="cache") == "UNKNOWN"
    told = "floss: SLURM does not say how far its jobs are: sacct: error: Slurm accounting storage is disabled\n"
    assert capfd.readouterr().err == told
    program(bin_ / "sacct", "echo 'JobID|State|NodeList'; echo '12|RUNNING|a1'")
    watcher.update()
    assert watcher.get_state("12", mode="cache") == "RUNNING"


@needs_submitit
def test_the_preset_is_submitits_with_a_checkpoint_before_the_time_is_up(tmp_path):
    composed = floss(tmp_path, "train", "hydra/launcher=slurm", "results=out", "--cfg", "hydra").stdout
    for line in ("submitit_folder: ${results}/submitit/%j", "signal_delay_s: 120", "max_num_timeout: 1000"):
        assert f"    {line}\n" in composed


@pytest.mark.slow
@needs_submitit
def test_submitits_jobs_are_queued_again_by_a_signal(tmp_path):
    undisturbed, signalled = tmp_path / "undisturbed", tmp_path / "signalled"
    for folder in (undisturbed, signalled):
        folder.mkdir()
    assert floss(undisturbed, "train", "-m", *SWEEP).returncode == 0
    process = start(signalled, "train", "-m", *SWEEP, "hydra/launcher=submitit_local")
    told: set[int] = set()
    first: dict[int, int] = {}
    while process.poll() is None and len(told) < 3:
        for owner in signalled.glob("results/ensembles/*/.owner"):
            pid, checkpoint = owned_by(owner), owner.with_name("checkpoint.pt")
            if pid and pid not in told and checkpoint.exists():
                stamp = checkpoint.stat().st_mtime_ns
                if stamp != first.setdefault(pid, stamp):  # it has written one itself
                    os.kill(pid, signal.SIGUSR2)
                    told.add(pid)
        time.sleep(0.02)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.endswith("networks 8 done\n")
    assert len(told) >= 3  # the third one is a job that was queued again
    assert tables_of(signalled, SWEEP) == tables_of(undisturbed, SWEEP)


@pytest.mark.slow
@needs_submitit
@pytest.mark.parametrize("command", ["spectrum", "condition"])
def test_an_analysis_that_comes_no_further_gives_up(tmp_path, command):
    """What follows flossing begins anew whenever it is stopped, and takes longer than there is time."""
    sizes = ("arch.n=8", "seeds=1", "flossing.k=4", "flossing.epochs=0", "device=cpu", "steps=1000000")
    own = {"spectrum": ("k=4",), "condition": ("at=1000000", "horizons=2", "dims=[4]")}[command]
    sent = ("hydra/launcher=submitit_local", "hydra.launcher.submitit_folder=log")
    process = start(tmp_path, command, "-m", *sizes, *own, *sent)
    seen: set[int] = set()
    for starts in (1, 2, 3):
        while len(seen) < starts:
            assert process.poll() is None, process.communicate()
            seen |= {path.stat().st_mtime_ns for path in (tmp_path / "log").glob(".floss-*.started")}
            time.sleep(0.05)
        time.sleep(0.5)  # it computes
        os.kill(child(tmp_path), signal.SIGUSR2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    line = "queued again twice without one more epoch, so this task gives up: hydra.launcher.timeout_min must be longer"
    assert err.splitlines()[-1] == f"floss {command}: {line}, or hydra.launcher.signal_delay_s shorter"
    assert "Traceback" not in err
    assert not list((tmp_path / "log").glob(".floss-*"))


@pytest.mark.slow
@needs_submitit
def test_a_job_of_the_launcher_that_comes_no_further_gives_up(tmp_path):
    """Another process has its ensemble, so it waits until its time is up, three times."""
    sweep = (*TINY, "flossing=none", "seeds=2")
    (one,) = jobs(*sweep)
    folder = tmp_path / "results" / "ensembles" / Stack(expand([one])).name
    folder.mkdir(parents=True)
    unfinished = {network: {"status": "interrupted"} for network in expand([one])}
    (folder / "summary.csv").write_text(summary_text(expand([one]), unfinished, {}))
    sent = ("hydra/launcher=submitit_local", "hydra.launcher.submitit_folder=log")
    with exclusive(folder):
        process = start(tmp_path, "train", "-m", *sweep, *sent)
        for starts in (1, 2, 3):
            while "".join(said(tmp_path)).count("waiting for 2 networks") < starts:
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            os.kill(child(tmp_path), signal.SIGUSR2)
        out, err = process.communicate(timeout=60)
    line = "queued again twice without one more epoch, so this task gives up: hydra.launcher.timeout_min must be longer"
    line = f"{line}, or hydra.launcher.signal_delay_s shorter"
    assert (process.returncode, out.splitlines()[-1]) == (1, "networks 2 interrupted")
    assert err.splitlines()[-1] == f"floss train: {line}"
    assert "Traceback" not in err
    assert "".join(said(tmp_path)).count(f"floss: {line}\n") == 1
    assert not list((tmp_path / "log").glob(".floss-*"))


def said(folder: Path) -> list[str]:
    """What the jobs of submitit have written to standard error."""
    return [path.read_text() for path in folder.glob("log/*.err")]


def child(folder: Path) -> int:
    """The process of the only job of submitit that runs in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"submitit.core._submit" in path.read_bytes() and path.with_name("cwd").readlink() == folder:
                found.append(int(path.parent.name))
    (process,) = found
    return process


def owned_by(owner: Path) -> int | None:
    """The process that is at an ensemble."""
    try:
        return int(owner.read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return None


@pytest.mark.slow
def test_tasks_of_an_array_share_a_sweep_and_go_on(tmp_path):
    """Two tasks at once; one is told that its time is up, asks to be queued again, and runs a second time."""
    undisturbed, shared, bin_ = (tmp_path / name for name in ("undisturbed", "shared", "bin"))
    for folder in (undisturbed, shared, bin_):
        folder.mkdir()
    assert floss(undisturbed, "train", "-m", *SWEEP).returncode == 0
    script = floss(shared, "sbatch", "slurm.tasks=2", "slurm.cpus=1", *SWEEP).stdout
    (shared / "sweep.sh").write_text(script)
    (bin_ / "floss").symlink_to(FLOSS)
    program(bin_ / "scontrol", f'echo "$@" >> {shared / "requeued"}')

    def task(number: int) -> "subprocess.Popen[str]":
        own = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number)}
        path = f"{bin_}{os.pathsep}{ENVIRONMENT['PATH']}"
        return subprocess.Popen(
            ["sh", "sweep.sh"],
            cwd=shared,
            env={**ENVIRONMENT, **own, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    two = [task(0), task(1)]
    while len(list(shared.rglob("checkpoint.pt"))) < 2:
        assert two[0].poll() is None
        time.sleep(0.02)
    two[0].send_signal(signal.SIGUSR2)
    _, err = two[0].communicate(timeout=100)
    assert two[0].returncode == 140, err
    assert (shared / "requeued").read_text() == "requeue 7_0\n"
    again = task(0)
    for each in (two[1], again):
        out, err = each.communicate(timeout=300)
        assert each.returncode == 0, err
        assert out.endswith("networks 8 done\n")
    assert tables_of(shared, SWEEP) == tables_of(undisturbed, SWEEP)
