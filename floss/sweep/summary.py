"""What became of some jobs, in words and pictures."""

import csv
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from floss.figures import draw
from floss.jobs.train import TrainJob
from floss.sweep.folders import statuses, write_sweep
from floss.sweep.networks import expand, network_keys
from floss.sweep.store import DONE, Store


@dataclass(frozen=True)
class Outcome:
    """What became of some jobs."""

    status: dict[str, str]
    """Of each network."""
    known: set[str]
    """Networks that were done before."""


def draw_sweep(jobs: list[TrainJob]) -> Path:
    """Put the rows of a sweep's networks into one folder, draw them, and return the folder."""
    store = Store(jobs[0].results)
    with store.locked():
        records = store.records()
        folder = write_sweep(jobs, store, records)
    if any(status in DONE for status in statuses(expand(jobs), records).values()):
        draw(folder)
    return folder


def report(jobs: list[TrainJob]) -> tuple[str, bool]:
    """How many networks are done, diverged, failed and interrupted, with reasons; and whether any failed."""
    networks, records = expand(jobs), Store(jobs[0].results).records()
    status = statuses(networks, records)
    count = Counter(status.values())
    lines = [", ".join(f"{count[name]} {name}" for name in (*DONE, "failed", "interrupted") if count[name])]
    for key, one in networks.items():
        if status[key] == "failed":
            what = f"{one.task.name} d={one.d} flossing={one.flossing.label} seed={one.seed}"
            lines.append(f"  {what}: {records[key].row.get('reason')}")
    return "\n".join(lines), bool(count["failed"])


def describe(job: TrainJob, outcome: Outcome) -> str:
    """One line about a job: its networks' final accuracy, or loss."""
    keys = network_keys(job)
    with (job.folder / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    column = "final_accuracy" if any(row["final_accuracy"] for row in rows) else "final_loss"
    values = [f"{float(row[column]):.3f}" if row[column] else row["status"] for row in rows]
    if len(values) > 10:
        numbers = [float(row[column]) for row in rows if row[column]]
        values = [f"median {statistics.median(numbers):.3f}" if numbers else "none", f"of {len(values)} networks"]
    what = f"{job.task.name} d={job.d} flossing={job.flossing.label}"
    known = outcome.known.issuperset(keys)
    return f"{'known   ' if known else 'finished'} {what}: {column} {' '.join(values)}"
