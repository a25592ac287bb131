"""`floss sbatch` prints a script for a cluster."""

import math
import re
import shlex
import subprocess

import pytest
from command import inside, jobs
from commands.run_folders import SWEEP

from floss.jobs.slurm import seconds_of


@pytest.mark.parametrize("flag", [(), ("-m",)])
def test_sbatch_prints_a_script_with_the_asked_options(tmp_path, flag):
    slurm = ("tasks=8", "gpus=1", "time=1-12:30", "partition=long", "cpus=3", "memory=8G", "grace=90")
    setup = "slurm.setup='module load python'"
    train = ("d=2,4", "flossing.at=[0,500]", "results='a b'", "train.lr=1e-3,2e-3")
    done = inside(tmp_path, "sbatch", *flag, *(f"slurm.{each}" for each in slurm), setup, *train, "parts=2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "#!/bin/sh"
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    for option in (
        *("--array=0-7", "--gpus-per-task=1", "--time=1-12:30", "--partition=long", "--cpus-per-task=3", "--mem=8G"),
        *("--signal=B:USR2@90", "--requeue"),
    ):
        assert options.count(option) == 1
    assert len({option.partition("=")[0] for option in options}) == len(options)
    assert lines.count("module load python") == lines.count("export OMP_NUM_THREADS=3") == 1
    (command,) = (line for line in lines if line.strip().startswith("floss "))
    assert lines.index("module load python") < lines.index(command)
    assert shlex.split(command) == ["floss", "train", "-m", *train, "parts=8", "&"]
    assert [str(each.folder.parent) for each in jobs(*shlex.split(command)[3:-1])] == ["a b"] * 4
    checked = subprocess.run(["sh", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert not any(tmp_path.iterdir())


def test_sbatch_asks_for_nothing_that_it_was_not_told_to(tmp_path):
    done = inside(tmp_path, "sbatch", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    options = re.findall(r"^#SBATCH (--[\w-]+)(?:=(.*))?$", done.stdout, re.MULTILINE)
    assert dict(options) == {
        "--job-name": "floss",
        "--array": "0-3",
        "--time": "04:00:00",
        "--cpus-per-task": "2",
        "--ntasks": "1",
        "--signal": "B:USR2@120",
        "--requeue": "",
        "--open-mode": "append",
        "--output": "floss-%A_%a.log",
    }
    assert len(options) == 9
    assert shlex.join(["floss", "train", "-m", *SWEEP, "parts=4"]) + " &\n" in done.stdout
    assert inside(tmp_path, "sbatch", "-m", *SWEEP).stdout == done.stdout
    assert inside(tmp_path, "sbatch", "++parts=3", "++slurm.tasks=4", *SWEEP).stdout == done.stdout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("slurm.time=banana",), "slurm.time=banana: must be a time limit of SLURM above 0: M, M:S, H:M:S, D-H, "),
        (
            ("slurm.time=00:01:00", "slurm.grace=90"),
            "slurm.grace=90: must be less than the 60 s of slurm.time=00:01:00",
        ),
        (("slurm.time=2",), "slurm.grace=120: must be less than the 120 s of slurm.time=2"),
    ],
)
def test_a_task_that_would_be_stopped_before_it_starts_is_refused(tmp_path, asked, said):
    done = inside(tmp_path, "sbatch", *asked, "d=6")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"floss sbatch: {said}")


TIMES = {
    **{"3": 180, "90": 5400, "10:30": 630, "01:00:00": 3600, "1-12": 129600, "2-0:30": 174600},
    **{"1-12:30:15": 131415, "UNLIMITED": math.inf},
}


@pytest.mark.parametrize("time", TIMES)
def test_times_are_read_as_slurm_reads_them(time):
    assert seconds_of(time) == TIMES[time]
