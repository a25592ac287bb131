"""A sweep of twelve tiny networks, and what must not depend on how it is run."""

from pathlib import Path
from typing import Any

import pytest
from command import TINY, rows

from floss.runtime.interrupt import Interrupt
from floss.sweep import ensemble_run as experiment
from floss.sweep import run as sweep
from floss.sweep.store import Lease

SWEEP = (*TINY, "d=2,4", "flossing=none,pre", "seeds=3")
CLOCK = ("seconds", "floss_seconds")


def tables(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """What must not depend on how a job was run: metrics.csv to the byte, summary.csv but for the clock."""
    summary = rows(folder / "summary.csv")
    return (folder / "metrics.csv").read_bytes(), [{k: v for k, v in row.items() if k not in CLOCK} for row in summary]


def by_job(results: Path) -> dict[str, tuple[bytes, list[dict[str, str]]]]:
    return {folder.name: tables(folder) for folder in sorted(results.glob("xor-*"))}


def ensembles(results: Path) -> list[Path]:
    return sorted(path for path in (results / "ensembles").iterdir() if path.is_dir())


def computed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keys of the networks of every ensemble that is computed from now on in this process."""
    seen: list[list[str]] = []

    def watched(lease: Lease, interrupt: Interrupt, *more: Any) -> None:
        seen.append(list(lease.stack.networks))
        experiment.compute(lease, interrupt, *more)

    monkeypatch.setattr(sweep, "compute", watched)
    return seen
