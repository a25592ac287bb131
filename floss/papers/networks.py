"""The kind `train`: networks, found by what they compute wherever they lie in the store, so figures share theirs.

Torch is imported where something is computed, since drawing and reporting need none of it.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from floss.errors import ConfigError
from floss.jobs.checked import train_job
from floss.jobs.compose import sweep_jobs
from floss.jobs.train import DERIVED, TrainJob
from floss.papers.finding import Finding
from floss.papers.kind import Kind, Missing, Run
from floss.papers.mend import check_environment, mend_config, read_config
from floss.papers.words import plural
from floss.runtime.environment import read_environment
from floss.runtime.files import AS_TEXT, csv_text
from floss.runtime.interrupt import interruptible
from floss.runtime.progress import OneBar
from floss.sweep.columns import IDENTITY, SUMMARY, Columns
from floss.sweep.records import DONE, Record, config_text
from floss.sweep.request import Request
from floss.sweep.store import Store


class TrainedNetworks(Kind):
    """Networks of `floss train -m`; those of all figures are computed in one sweep."""

    command = "train"
    nouns = ("network", "networks")

    def compose(self, overrides: tuple[str, ...]) -> list[TrainJob]:
        return sweep_jobs(self.command, list(overrides), lambda values, _: train_job(values))

    def place(self, run: Run, results: Path) -> Path:  # noqa: ARG002
        return results

    def line(self, overrides: tuple[str, ...]) -> str:
        return " ".join(["floss train -m", *overrides])

    def count(self, jobs: list[TrainJob], store: Store) -> tuple[int, int]:
        request = Request(jobs, store)
        return len(request.networks), len(request.done())

    def missing(self, jobs: list[TrainJob], store: Store) -> Missing:
        from floss.sweep.forecast import timed_stacks
        from floss.sweep.placement import memory_model

        request = Request(jobs, store)
        done = request.done()
        absent = {i: network for i, network in request.networks.items() if i not in done}
        stacks = timed_stacks(absent, store, memory_model(request.networks))
        return Missing(
            len(absent),
            sum(seconds for _, seconds in stacks),
            lambda bar: _train(request, stacks, bar),
            detail=f" in {plural(len(stacks), 'ensemble')}",
        )

    def find(self, run: Run, jobs: list[TrainJob], store: Store) -> Finding | None:
        request, every = Request(jobs, store), store.records()
        asked = {(i, job.flossing.label): None for job, ids in request.ids.items() for i in ids}
        records = [(every.get(network_id), label) for network_id, label in asked]
        whole = [_as_asked(record, label) for record, label in records if record is not None and record.status in DONE]
        if len(whole) < len(records):
            return None
        networks = request.networks
        columns, texts = store.rows(whole)
        texts = [_rows_of(record, text) for record, text in zip(whole, texts, strict=True)]
        further = Columns(networks)
        rows = [[record.row.get(column) for column in SUMMARY] + further.values[record.network_id] for record in whole]
        text = csv_text((*SUMMARY, *further.keys), rows)
        folders = tuple(dict.fromkeys(record.folder for record in whole))
        return Finding(
            name=run.name,
            scale=run.scale,
            command=run.line,
            summary=pd.read_csv(io.StringIO(text), dtype=AS_TEXT),
            texts=(csv_text(columns, []), *texts),
            environments=tuple(map(read_environment, folders)),
            folders=folders,
        )

    def mend(self, jobs: list[TrainJob], store: Store, of_all_figures: Callable[[], list[TrainJob]]) -> Iterator[str]:
        networks = Request(jobs, store).networks
        for folder, records in store.ensembles().items():
            ids = dict.fromkeys(record.network_id for record in records if record.status in DONE).keys()
            if not ids & networks.keys():
                continue
            if not ids <= _described(folder):
                # An ensemble of one figure may have networks of others.
                several = networks if ids <= networks.keys() else Request(of_all_figures(), store).networks
                if ids <= several.keys():
                    yield mend_config(folder, config_text({network_id: several[network_id] for network_id in ids}))
                else:
                    path = folder / "config.yaml"
                    yield f"{path} is damaged or missing, and has networks of no figure: take it from a copy"
            yield from check_environment(folder)

    def failures(self, jobs: list[TrainJob]) -> str:
        from floss.sweep.summary import tally

        text, failed = tally(Request(jobs))
        return f"networks {text}" if failed else ""


TRAIN = TrainedNetworks()


def _train(request: Request, stacks: list[tuple[Any, float]], bar: OneBar) -> None:
    """Compute what is missing in one sweep, and pack the store.

    Args:
        request: all networks.
        stacks: ensembles of those that are missing, and the seconds that each is expected to take.
        bar: whose shares are filled.
    """
    from floss.sweep.run import complete

    expected = {i: seconds / len(stack.networks) for stack, seconds in stacks for i in stack.networks}

    def share_of(stack: Any) -> Callable[..., object]:
        return bar.share(sum(expected.get(network_id, 0.0) for network_id in stack.networks))

    if stacks:
        with interruptible() as interrupt:
            complete(request, interrupt, share_of)
            if interrupt.signal:  # it came too late to stop a network, but must stop what comes next
                raise SystemExit(interrupt.status)
    with request.store.locked():
        request.store.pack()  # thousands of networks are to fit into a repository


def _as_asked(record: Record, label: str) -> Record:
    """A network's record with the schedule that a figure asks for by name.

    In a training that is too short (scale=smoke) the network is that of another schedule with the same episodes. Then
    its rows stand beside those of that one, which is another network for a figure.
    """
    if record.row.get("flossing") == label:
        return record
    return replace(record, row={**record.row, "flossing": label, "network": f"{record.network_id}-{label}"})


def _rows_of(record: Record, text: str) -> str:
    """A network's rows of metrics.csv, by the schedule and the name that its record has."""
    if record.row["network"] == record.network_id:
        return text
    place = IDENTITY.index("flossing")
    rows = csv.reader(text.splitlines())
    named = [[*r[:place], record.row["flossing"], *r[place + 1 : -1], record.row["network"]] for r in rows]
    return csv_text((), named, header=False)


def _described(folder: Path) -> set[str]:
    """The networks that an ensemble's config.yaml describes; none where it is damaged."""
    elsewhere = {"device": "auto", "engine": "auto", "results": str(folder)}  # it may come from another machine
    try:
        runs = [{**run, **elsewhere} for run in read_config(folder)["runs"]]
        jobs = [train_job({key: run[key] for key in run if key not in DERIVED}) for run in runs]
        return set(Request(jobs).networks) if jobs else set()
    except (KeyError, TypeError, ConfigError):
        return set()
