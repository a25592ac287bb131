"""`floss sbatch`: an array script for SLURM that needs no plugin.

Every task of the array runs the same sweep. They share the results folder and lease its ensembles in turn, so the
ensemble of a task that is preempted, or runs out of time, is resumed by the next task that is free.
"""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from floss.errors import ConfigError
from floss.jobs.keys import Check, key, optional, text, whole
from floss.runtime.requeue import shell_lines

_TIME = re.compile(r"(?:(?P<days>\d+)-(?P<hours>\d+)(?::(?P<min>\d+)(?::(?P<s>\d+))?)?)|(?P<plain>\d+(?::\d+){0,2})")
_ENDLESS = ("UNLIMITED", "INFINITE")


def seconds_of(time: str) -> float:
    """Seconds of a time limit as SLURM writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S, or UNLIMITED.

    Raises:
        ValueError: it is none.
    """
    if time.upper() in _ENDLESS:
        return math.inf
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError
    if match["plain"] is None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.group("days", "hours", "min", "s"))
        return 86400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds
    parts = [int(part) for part in match["plain"].split(":")]
    hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts, 0)[:3]
    return 3600.0 * hours + 60.0 * minutes + seconds


def _time(value: Any) -> str:
    limit = text().convert(value)
    if seconds_of(limit) == 0:
        raise ValueError
    return limit


def _matching(pattern: str, allowed: str) -> Check:
    """A text on a line of the script, which is no place for blanks."""

    def convert(value: Any) -> str:
        word = text().convert(value)
        if not re.fullmatch(pattern, word):
            raise ValueError
        return word

    return Check(convert, allowed, text=True)


_WORD = _matching(r"\S+", "a word without blanks")
_MEMORY = _matching(r"[0-9]+[KMGTkmgt]?[Bb]?", "a whole number of megabytes, or one with K, M, G or T")
_LIMIT = Check(_time, "a time limit of SLURM above 0: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S or UNLIMITED", text=True)


@dataclass(frozen=True, kw_only=True)
class SlurmConfig:
    """Keys `slurm.*` of `floss sbatch`."""

    tasks: int = key(whole(1), "tasks of the job array; the sweep is cut into at least so many ensembles")
    time: str = key(_LIMIT, "time limit of one task; it goes on in a new one where that is not enough")
    partition: str | None = key(optional(_WORD), "partition")
    cpus: int = key(whole(1), "CPU cores of one task")
    gpus: int = key(whole(0), "GPUs of one task")
    memory: str | None = key(optional(_MEMORY), "memory of one task, as in 8G")
    grace: int = key(whole(1), "seconds before the time limit at which a task writes its checkpoint")
    setup: str | None = key(optional(text()), "a shell command before floss, to load modules or an environment")


_LONGER = "slurm.time must be longer, or slurm.grace shorter"


def check_grace(slurm: SlurmConfig) -> None:
    """Raise a ConfigError where a task would be told to stop before it starts."""
    limit = seconds_of(slurm.time)
    if slurm.grace >= limit:
        raise ConfigError(f"slurm.grace={slurm.grace}: must be less than the {limit:g} s of slurm.time={slurm.time}")


def sbatch_script(slurm: SlurmConfig, overrides: Sequence[str], results: str = "results") -> str:
    """The script, for `sbatch`.

    Args:
        slurm: what to ask of the cluster.
        overrides: arguments of `floss train -m`.
        results: the folder of the sweep's results.
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
    started, out_of_time, ended = shell_lines(
        results, 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"', _LONGER
    )
    lines = [
        "#!/bin/sh",
        *(f"#SBATCH {option}" for option in options),
        "# Each task takes the ensembles of the sweep that no other has. USR2 comes before the time limit, TERM when",
        "# the task is preempted: floss writes a checkpoint and leaves, and goes on from there when queued again.",
        "told= floss=",
        'trap \'told=USR2; [ -z "$floss" ] || kill -USR2 "$floss"\' USR2',
        'trap \'told=TERM; [ -z "$floss" ] || kill -TERM "$floss"\' TERM',
        *([slurm.setup] if slurm.setup else []),
        f"export OMP_NUM_THREADS={slurm.cpus}",
        'mark=".floss-${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
        *started,
        "# A signal that came during the setup: 140 and 143 are what floss answers to them.",
        'case "$told" in USR2) status=140 ;; TERM) status=143 ;; *) status=127 ;; esac',
        'if [ -z "$told" ]; then',
        f"    {command} &",
        "    floss=$!",
        '    [ -z "$told" ] || kill -"$told" "$floss"',
        "    told=yes",
        "    # A signal ends the wait. Asked for a process that has ended, a shell says 127, and bash sometimes -1.",
        '    while [ "$told" ]; do',
        "        told=",
        '        wait "$floss"',
        "        code=$?",
        '        [ "$code" -eq 127 ] || [ "$code" -lt 0 ] || status=$code',
        "    done",
        "fi",
        'if [ "$status" -eq 140 ]; then',
        *(f"    {line}" for line in out_of_time),
        "fi",
        *ended,
        'exit "$status"',
        "",
    ]
    return "\n".join(lines)
