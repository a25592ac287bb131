"""What lies in the folder of a run, and how its tables begin."""

from collections.abc import Sequence
from pathlib import Path

from command import TINY, jobs, rows

TABLES = ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]
RUN_FILES = sorted([*TABLES, "learning_curves.png", "learning_curves.svg"])


SWEEP = (*TINY, "d=2,4", "flossing=none,pre")
IDENTITY = "task,d,arch,init,g,flossing,k,t_ons,seed"
METRICS = f"{IDENTITY},epoch,phase,loss,accuracy,lambda_1,floss_loss,network"
SUMMARY = (
    f"{IDENTITY},final_loss,final_accuracy,diverged_at,epochs,floss_epochs,seconds,floss_seconds,"
    "status,reason,network,sha256"
)


CLOCK = ("seconds", "floss_seconds")
"""Columns of summary.csv that the clock fills."""


def only(folder: Path, pattern: str) -> Path:
    """The one path that fits the pattern."""
    (found,) = folder.glob(pattern)
    return found


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


def held(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Time and content of every file under a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def tables_of(folder: Path, sweep: Sequence[str]) -> dict[str, object]:
    """The tables of all jobs of a sweep, but for what the clock says."""
    tables: dict[str, object] = {}
    for job in jobs(*sweep):
        summary = rows(folder / job.folder / "summary.csv")
        metrics = (folder / job.folder / "metrics.csv").read_bytes()
        tables[job.folder.name] = metrics, [{k: v for k, v in row.items() if k not in CLOCK} for row in summary]
    return tables
