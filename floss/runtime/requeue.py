"""Tasks of a cluster that are queued again when their time is up: one that comes no further gives up.

A checkpoint, or the networks of an ensemble that is finished, is written after at least one more epoch, and so are the
checkpoint and the checksums of an analysis. A task that was queued again twice and has written none since it started
would come no further the next time either. It is the same rule for the scripts of `floss sbatch`, in lines of shell,
and for the jobs of a launcher of Hydra.

A task has two marks beside its log: STARTED, as old as its last start, and STALLED, with a line for each start in a row
without an epoch.
"""

import contextlib
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from floss.errors import LaunchError
from floss.runtime.files import CHECKPOINT, CHECKSUMS, NETWORKS

_QUEUED = 2
"""How often a task is queued again without one more epoch."""
_WRITTEN = (CHECKPOINT, NETWORKS)
"""What is written after at least one more epoch."""
_ENSEMBLES = "ensembles"
"""Where in a results folder; the folders of jobs have copies."""
OF_ENSEMBLES = tuple(f"{_ENSEMBLES}/*/{name}" for name in _WRITTEN)
"""Patterns of what is written in a results folder after at least one more epoch of training."""
OF_ANALYSIS = (CHECKPOINT, CHECKSUMS)
"""Patterns of what is written in the folder of an analysis after at least one more epoch of flossing, or at its end."""
_STARTED, _STALLED = ".started", ".stalled"


def gives_up(advice: str) -> str:
    """What a task says that comes no further."""
    return f"queued again twice without one more epoch, so this task gives up: {advice}"


def shell_lines(results: str, again: str, advice: str) -> tuple[list[str], list[str], list[str]]:
    """The rule in lines of shell, where `$mark` is what the names of the marks begin with.

    Args:
        results: the folder of the sweep's results.
        again: the command that queues the task again.
        advice: what helps.

    Returns:
        Lines for the start, for a task whose time is up (they leave it, or set `$status`), and for the end.
    """
    written = " -o ".join(f"-name {name}" for name in _WRITTEN)
    found = f'find {shlex.quote(f"{results}/{_ENSEMBLES}")} \\( {written} \\) -newer "$mark{_STARTED}"'
    up = [
        "# A checkpoint is written after at least one more epoch. Without any, a new task would come no further.",
        f'if [ "$({found} 2>/dev/null)" ]; then',
        f'    rm -f "$mark{_STALLED}"',
        "else",
        f'    echo >> "$mark{_STALLED}"',
        "fi",
        f'if [ "$(cat "$mark{_STALLED}" 2>/dev/null | wc -l)" -le {_QUEUED} ]; then',
        f"    {again}",
        "    exit 140",
        "fi",
        f"echo {shlex.quote(f'floss: {gives_up(advice)}')} >&2",
        "status=1",
    ]
    return [f': > "$mark{_STARTED}"'], up, [f'rm -f "$mark{_STARTED}" "$mark{_STALLED}"']


@contextlib.contextmanager
def queued_again(mark: Path, folder: Path, written: Sequence[str], advice: str) -> Iterator[None]:
    """Within it SIGUSR2 reaches the handler that was there, which queues this task again, unless it comes no further.

    Nothing happens where no handler is there.

    Args:
        mark: what the names of the marks begin with.
        folder: of the results.
        written: patterns in it of what is written after at least one more epoch.
        advice: what helps.

    Raises:
        LaunchError: instead of being queued again; it was said on standard error as well.
    """
    before: Any = signal.getsignal(signal.SIGUSR2)
    if not callable(before):
        yield
        return
    started, stalled = (mark.with_name(f"{mark.name}{ending}") for ending in (_STARTED, _STALLED))
    started.write_bytes(b"")
    queued = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal queued
        if _has_written(folder, written, started.stat().st_mtime_ns):
            stalled.unlink(missing_ok=True)
        else:
            with stalled.open("a", encoding="utf-8") as file:
                file.write("\n")
        if stalled.exists() and len(stalled.read_bytes()) > _QUEUED:
            print(f"floss: {gives_up(advice)}", file=sys.stderr, flush=True)
            raise LaunchError(gives_up(advice))
        queued = True
        before(number, frame)

    signal.signal(signal.SIGUSR2, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR2, before)
        if not queued:
            for path in (started, stalled):
                path.unlink(missing_ok=True)


def _has_written(folder: Path, written: Sequence[str], since: int) -> bool:
    """Whether a file of these patterns was written later."""
    for pattern in written:
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # a checkpoint goes when its ensemble is finished
                if path.stat().st_mtime_ns > since:
                    return True
    return False
