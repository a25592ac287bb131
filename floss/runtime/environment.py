"""Where numbers were made: environment.json beside every result."""

import contextlib
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any


def read_environment(folder: Path) -> dict[str, Any]:
    """A folder's environment.json; empty where it is missing or damaged."""
    try:
        content = json.loads((folder / "environment.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def environment(device: str) -> dict[str, Any]:
    """Where numbers were made, without host name and path.

    Versions, device, vector instructions of torch on the CPU, source revision, date and command. What else an engine's
    bits depend on is in `Engine.environment`.
    """
    import torch

    # Its build as well (+cpu, +cu130), which the metadata of its package may leave out.
    versions = {"torch": str(torch.__version__)}
    for name in ("numpy", "hydra-core", "omegaconf", "pandas", "matplotlib"):
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
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The git commit of the source that runs, with '+' where it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=20,
        ).stdout.strip()

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "floss", "conf")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    return None
