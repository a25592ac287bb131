"""Folders that one process at a time may write: kernel file locks, which a dead process never holds."""

import contextlib
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from floss.errors import RunBusyError


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel drops it with its process, so a dead owner never blocks another process.

    Raises:
        RunBusyError: another process holds it; the message names it.
    """
    path = folder / ".lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunBusyError(f"{folder} is being computed by {owner_of(folder)}") from None
    try:
        started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        path.with_name(".owner").write_text(
            f"process {os.getpid()} on {platform.node()}, started {started}\n", encoding="utf-8"
        )
        yield
    finally:
        path.with_name(".owner").unlink(missing_ok=True)
        lock.release()  # the file stays: another process may hold it open already


def locked(folder: Path) -> bool:
    """Whether a living process holds the folder's lock.

    Checking acquires the lock for a moment, so callers must hold another lock, with which one process checks at a time.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def owner_of(folder: Path) -> str:
    """The process that holds a folder's lock, as it has written it there."""
    try:
        return (folder / ".owner").read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except OSError:
        return "another process"
