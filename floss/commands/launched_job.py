"""A job of a cluster that a launcher of Hydra runs is queued again when its time is up, unless it comes no further."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

_LONGER = "hydra.launcher.timeout_min must be longer, or hydra.launcher.signal_delay_s shorter"


def in_a_launchers_job(folder: Path, written: Sequence[str]) -> "contextlib.AbstractContextManager[None]":
    """`queued_again` for the job of submitit that this process is; nothing in a process that is none.

    Args:
        folder: of the results.
        written: patterns in it of what is written after at least one more epoch.
    """
    if "SUBMITIT_FOLDER" not in os.environ:
        return contextlib.nullcontext()
    from submitit import JobEnvironment

    from floss.runtime.requeue import queued_again

    task = JobEnvironment()
    if task.global_rank:  # the first process of a job alone queues it again
        return contextlib.nullcontext()
    return queued_again(task.paths.folder / f".floss-{task.job_id}", folder, written, _LONGER)
