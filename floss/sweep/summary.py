"""The state of some jobs after a run, in words."""

import csv
import statistics
from collections import Counter
from dataclasses import dataclass

from floss.jobs.train import TrainJob
from floss.sweep.columns import in_words
from floss.sweep.records import DONE
from floss.sweep.request import Request


@dataclass(frozen=True)
class Outcome:
    """The state of a request after a run."""

    request: Request
    status: dict[str, str]
    """Of each network."""
    already_done: set[str]
    """Networks that were done before."""
    complete: list[TrainJob]
    """Jobs of which every network is done; their folders can be drawn."""
    left_out: list[str]
    """Flossing episodes beyond the end of training, a sentence for each job that has any."""


def tally(request: Request) -> tuple[str, bool]:
    """How many networks are done, diverged, failed and interrupted, with reasons; and whether any failed."""
    records, status = request.store.records(), request.statuses()
    counts = Counter(status.values())
    lines = [", ".join(f"{counts[name]} {name}" for name in (*DONE, "failed", "interrupted") if counts[name])]
    for network_id, network in request.networks.items():
        if status[network_id] == "failed":
            name = in_words(network, list(request.networks.values()))
            lines.append(f"  {name} seed={network.seed}: {records[network_id].row.get('reason')}")
    return "\n".join(lines), bool(counts["failed"])


def describe(job: TrainJob, outcome: Outcome) -> str:
    """One line about a job: its networks' final accuracy, or loss."""
    with (job.folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = "final_accuracy" if any(row["final_accuracy"] for row in rows) else "final_loss"
    values = [f"{float(row[column]):.3f}" if row[column] else row["status"] for row in rows]
    if len(values) > 10:
        numbers = [float(row[column]) for row in rows if row[column]]
        values = [f"median {statistics.median(numbers):.3f}" if numbers else "none", f"of {len(values)} networks"]
    state = "known   " if outcome.already_done.issuperset(outcome.request.ids[job]) else "finished"
    return f"{state} {in_words(job, outcome.request.jobs)}: {column} {' '.join(values)}"
