"""Files of a run: tidy CSV, configuration and environment; each appears whole or not at all."""

import contextlib
import csv
import hashlib
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

IDENTITY = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed")
"""The columns that say which network a row is about."""

METRICS = (*IDENTITY, "epoch", "phase", "loss", "accuracy", "lambda_1", "floss_loss")
"""The first columns of metrics.csv; those of diagnostics follow, and last `network`, the network's key."""
SUMMARY = (
    *IDENTITY,
    *("final_loss", "final_accuracy", "diverged_at", "epochs", "seconds", "floss_seconds"),
    *("status", "reason", "network", "sha256"),
)


class RunBusyError(RuntimeError):
    """Another process is computing the same run."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside, then rename it: after a crash there is the old file or the new one, never a part.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the old file is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left half written."""
    for aside in folder.glob(".*.tmp"):
        aside.unlink(missing_ok=True)


CHECKSUMS = "SHA256SUMS"
"""File with the checksums of a folder's tables, as `sha256sum -c` reads them: written last, so what has it is whole."""


def seal(folder: Path) -> None:
    """Write down the checksums of a folder's CSV files, which says that they are all there."""
    write_whole(folder / CHECKSUMS, _checksums(folder).encode())


def sealed(folder: Path) -> bool:
    """Whether a folder's CSV files are all there, and are those that were written."""
    try:
        written = (folder / CHECKSUMS).read_text()
        return bool(written) and written == _checksums(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _checksums(folder: Path) -> str:
    files = sorted(folder.glob("*.csv"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def format_value(value: Any) -> str:
    """One CSV field: floats with nine digits, which hold a float32 exactly; empty for None and NaN."""
    if value is None or value != value:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, header: bool = True) -> str:
    """Rows as CSV text with Unix line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows([format_value(value) for value in row] for row in rows)
    return out.getvalue()


def write_json(path: Path, content: Any) -> None:
    """Indented JSON with a final line end."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def read_environment(folder: Path) -> dict[str, Any]:
    """A folder's environment.json; empty where it is missing or damaged."""
    try:
        content = json.loads((folder / "environment.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel drops it with its process, so a dead owner never blocks anybody.

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
        path.with_name(".owner").write_text(f"process {os.getpid()} on {platform.node()}, started {started}\n")
        yield
    finally:
        path.with_name(".owner").unlink(missing_ok=True)
        lock.release()  # the file stays: another process may hold it open already


def locked(folder: Path) -> bool:
    """Whether a living process holds the folder's lock.

    Looking takes the lock for a moment, so those who look must have something that lets one look at a time.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def owner_of(folder: Path) -> str:
    """What the holder of a folder's lock says of itself."""
    try:
        return (folder / ".owner").read_text().strip() or "another process"
    except OSError:
        return "another process"


def environment(device: str) -> dict[str, Any]:
    """Where numbers were made, without host name and path.

    Versions, device, vector instructions of torch on the CPU, source revision, date and command. What else an engine's
    bits depend on is in `TorchEngine.environment`.
    """
    import torch

    names = ("torch", "numpy", "hydra-core", "omegaconf", "pandas", "matplotlib")
    versions = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "floss": metadata.version("floss"),
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": os.environ.get("FLOSS_COMMAND", "python"),
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": versions,
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The git commit of the source that runs, with '+' where it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "floss", "conf")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    return None
