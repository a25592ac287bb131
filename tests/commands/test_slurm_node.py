"""A real SLURM of one node on this machine: the same tables as without it, whatever happens to the tasks.

Where SLURM and munge are not installed, or cannot be started, there is nothing to test; tests/commands/test_slurm.py
has stand-ins that do without.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest
from command import ENVIRONMENT, FLOSS, TINY, floss
from commands.run_folders import tables_of

NODE = Path(__file__).parents[2] / "scripts" / "slurm_node.sh"
SHORT = (*TINY, "flossing=none,pre", "seeds=4", "flossing.epochs=100", "train.checkpoint_every=50", "train.epochs=3000")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(which, ("slurmctld", "slurmd", "munged"))),
        reason="needs SLURM, munge and the rights to start them",
    ),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of programs that speak with the cluster."""
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([NODE, "start", folder], check=True, timeout=60)
    path = f"{Path(FLOSS).parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    try:
        yield {**ENVIRONMENT, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    finally:
        subprocess.run([NODE, "stop", folder], check=True, timeout=60)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, object]:
    """What the short sweep gives without SLURM."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert floss(folder, "train", "-m", *SHORT).returncode == 0
    return tables_of(folder, SHORT)


def say(cluster: dict[str, str], folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=cluster, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def submit(cluster: dict[str, str], folder: Path, *arguments: str) -> str:
    """Submit what `floss sbatch ARGUMENTS` prints; the job's number."""
    script = floss(folder, "sbatch", "slurm.cpus=1", *arguments)
    assert script.returncode == 0, script.stderr
    (folder / "sweep.sh").write_text(script.stdout)
    return say(cluster, folder, "sbatch", "--parsable", "sweep.sh").strip()


def tasks(cluster: dict[str, str], folder: Path, job: str) -> dict[int, dict[str, str]]:
    """What SLURM says of each task of an array."""
    text = say(cluster, folder, "scontrol", "show", "job", "--oneliner", job)
    shown = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
    return {int(task["ArrayTaskId"]): task for task in shown if task.get("ArrayTaskId", "").isdecimal()}


def wait(cluster: dict[str, str], folder: Path, job: str, seconds: float = 300) -> dict[int, dict[str, str]]:
    """Wait until no task of an array is queued or running."""
    until = time.monotonic() + seconds
    while say(cluster, folder, "squeue", "--noheader", f"--jobs={job}").strip():
        assert time.monotonic() < until, say(cluster, folder, "scontrol", "show", "job", job)
        time.sleep(0.5)
    return tasks(cluster, folder, job)


def log(folder: Path, job: str, task: int) -> str:
    return (folder / f"floss-{job}_{task}.log").read_text()


def wait_for_checkpoint(folder: Path) -> None:
    until = time.monotonic() + 60
    while not list(folder.rglob("checkpoint.pt")):
        assert time.monotonic() < until, [path.read_text() for path in folder.glob("*.log")]
        time.sleep(0.05)


def processes(cluster: dict[str, str], folder: Path, job: str, task: int) -> list[int]:
    """Processes of Python that belong to a task."""
    wanted = tasks(cluster, folder, job)[task]["JobId"]
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            ours = f"SLURM_JOB_ID={wanted}\0".encode() in path.read_bytes()
            if ours and "python" in os.readlink(path.with_name("exe")):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def hold_until_signalled(process: int, seconds: float = 150) -> None:
    """Stop a process until SLURM has sent it a signal, however fast this machine is: not one of a child that ended."""
    os.kill(process, signal.SIGSTOP)
    until = time.monotonic() + seconds
    pending, of_children = ("SigPnd", "ShdPnd"), 1 << (signal.SIGCHLD - 1)
    while not any(int(value, 16) & ~of_children for name, value in states(process).items() if name in pending):
        assert time.monotonic() < until, states(process)
        time.sleep(0.1)
    os.kill(process, signal.SIGCONT)


def states(process: int) -> dict[str, str]:
    """What the system says of a process."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_tasks_of_an_array_share_a_sweep(cluster, undisturbed, tmp_path):
    job = submit(cluster, tmp_path, "slurm.tasks=2", "slurm.time=00:10:00", *SHORT)
    ended = wait(cluster, tmp_path, job)
    assert [task["JobState"] for task in ended.values()] == ["COMPLETED", "COMPLETED"], log(tmp_path, job, 0)
    for task in (0, 1):
        assert log(tmp_path, job, task).endswith("networks 8 done\n")
    assert tables_of(tmp_path, SHORT) == undisturbed


def test_a_task_out_of_time_is_queued_again_and_goes_on(cluster, undisturbed, tmp_path):
    """SLURM gives a signal up to a minute before it is due, so that a limit of two minutes is the shortest to try."""
    job = submit(cluster, tmp_path, "slurm.tasks=1", "slurm.time=00:02:00", "slurm.grace=20", *SHORT)
    wait_for_checkpoint(tmp_path)
    (process,) = processes(cluster, tmp_path, job, 0)
    hold_until_signalled(process)
    ended = wait(cluster, tmp_path, job, 600)
    assert ended[0]["JobState"] == "COMPLETED", log(tmp_path, job, 0)
    assert ended[0]["Restarts"] == "1"
    assert tables_of(tmp_path, SHORT) == undisturbed


def test_a_cancelled_array_goes_on_when_it_is_submitted_again(cluster, undisturbed, tmp_path):
    job = submit(cluster, tmp_path, "slurm.tasks=2", "slurm.time=00:10:00", *SHORT)
    wait_for_checkpoint(tmp_path)
    say(cluster, tmp_path, "scancel", job)
    ended = wait(cluster, tmp_path, job)
    assert "CANCELLED" in {task["JobState"] for task in ended.values()}
    again = submit(cluster, tmp_path, "slurm.tasks=1", "slurm.time=00:10:00", *SHORT)
    ended = wait(cluster, tmp_path, again)
    assert ended[0]["JobState"] == "COMPLETED", log(tmp_path, again, 0)
    assert tables_of(tmp_path, SHORT) == undisturbed


def test_the_work_of_a_killed_task_is_taken_over(cluster, undisturbed, tmp_path):
    job = submit(cluster, tmp_path, "slurm.tasks=2", "slurm.time=00:10:00", *SHORT)
    wait_for_checkpoint(tmp_path)
    killed = 0 if processes(cluster, tmp_path, job, 0) else 1
    for process in processes(cluster, tmp_path, job, killed):
        os.kill(process, signal.SIGKILL)
    ended = wait(cluster, tmp_path, job)
    assert ended[killed]["JobState"] == "FAILED", log(tmp_path, job, killed)
    assert ended[1 - killed]["JobState"] == "COMPLETED", log(tmp_path, job, 1 - killed)
    assert tables_of(tmp_path, SHORT) == undisturbed


@pytest.mark.skipif(find_spec("submitit") is None, reason="needs pip install 'floss[slurm]'")
def test_jobs_of_the_launcher(cluster, undisturbed, tmp_path):
    sent = ("hydra/launcher=slurm", "hydra.launcher.timeout_min=10", "hydra.launcher.cpus_per_task=1")
    done = floss(
        tmp_path, "train", "-m", *SHORT, *sent, seconds=300, SLURM_CONF=cluster["SLURM_CONF"], PATH=cluster["PATH"]
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("networks 8 done\n")
    assert tables_of(tmp_path, SHORT) == undisturbed
