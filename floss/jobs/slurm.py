"""`floss sbatch`: an array script for SLURM that needs no plugin.

Every task of the array runs the same sweep. They share the results folder and lease its ensembles in turn, so the
ensemble of a task that is preempted, or runs out of time, is resumed by the next task that is free.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from floss.jobs.keys import key, optional, text, whole


@dataclass(frozen=True, kw_only=True)
class SlurmConfig:
    """Keys `slurm.*` of `floss sbatch`."""

    tasks: int = key(whole(1), "tasks of the job array; the sweep is cut into at least so many ensembles")
    time: str = key(text(), "time limit of one task; it goes on in a new one where that is not enough")
    partition: str | None = key(optional(text()), "partition")
    cpus: int = key(whole(1), "CPU cores of one task")
    gpus: int = key(whole(0), "GPUs of one task")
    memory: str | None = key(optional(text()), "memory of one task, as in 8G")
    grace: int = key(whole(1), "seconds before the time limit at which a task writes its checkpoint")
    setup: str | None = key(optional(text()), "a shell command before floss, to load modules or an environment")


def sbatch_script(slurm: SlurmConfig, overrides: Sequence[str]) -> str:
    """The script, for `sbatch`.

    Args:
        slurm: what to ask of the cluster.
        overrides: arguments of `floss train -m`.
    """
    options = [
        "--job-name=floss",
        f"--array=0-{slurm.tasks - 1}",
        f"--time={slurm.time}",
        *([f"--partition={slurm.partition}"] if slurm.partition else []),
        f"--cpus-per-task={slurm.cpus}",
        *([f"--gpus-per-task={slurm.gpus}"] if slurm.gpus else []),
        *([f"--mem={slurm.memory}"] if slurm.memory else []),
        "--ntasks=1",
        f"--signal=B:USR2@{slurm.grace}",
        "--requeue",
        "--open-mode=append",
        "--output=floss-%A_%a.log",
    ]
    command = shlex.join(["floss", "train", "-m", *overrides, f"parts={slurm.tasks}"])
    lines = [
        "#!/bin/sh",
        *(f"#SBATCH {option}" for option in options),
        "# Each task takes the ensembles of the sweep that no other has. USR2 comes before the time limit, TERM when",
        "# the task is preempted: floss writes a checkpoint and leaves, and goes on from there when queued again.",
        *([slurm.setup] if slurm.setup else []),
        f"export OMP_NUM_THREADS={slurm.cpus}",
        f"{command} &",
        "floss=$!",
        "trap 'told=yes; kill -USR2 \"$floss\"' USR2",
        "trap 'told=yes; kill -TERM \"$floss\"' TERM",
        "# A signal ends the wait. Asked again for a process that has ended, a shell says 127, and bash sometimes -1.",
        "status=127 told=yes",
        'while [ "$told" ]; do',
        "    told=",
        '    wait "$floss"',
        "    code=$?",
        '    [ "$code" -eq 127 ] || [ "$code" -lt 0 ] || status=$code',
        "done",
        'if [ "$status" -eq 140 ]; then',
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
        "fi",
        'exit "$status"',
        "",
    ]
    return "\n".join(lines)
