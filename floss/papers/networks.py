"""The kind `train`: networks, found by what they compute wherever they lie in the store, so figures share theirs.

Torch is imported where something is computed, since drawing and reporting need none of it.
"""

import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from floss.errors import ConfigError
from floss.jobs.compose import sweep_jobs
from floss.jobs.train import TrainJob, train_job
from floss.papers.finding import Finding
from floss.papers.kind import Kind, Missing, Run
from floss.papers.mend import check_environment, read_config, write_config
from floss.papers.words import plural
from floss.runtime.environment import read_environment
from floss.runtime.files import csv_text
from floss.runtime.interrupt import interruptible
from floss.runtime.progress import OneBar
from floss.sweep.columns import SUMMARY
from floss.sweep.networks import Networks, expand
from floss.sweep.store import DONE, Store, config_text


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
        networks = expanded(jobs)
        return len(networks), len(_done(networks, store))

    def missing(self, jobs: list[TrainJob], store: Store) -> Missing:
        from floss.sweep.forecast import timed_stacks
        from floss.sweep.placement import memory_model

        networks = expanded(jobs)
        have = _done(networks, store)
        absent = {key: network for key, network in networks.items() if key not in have}
        stacks = timed_stacks(absent, store, memory_model(networks))
        return Missing(
            len(absent),
            sum(seconds for _, seconds in stacks),
            lambda bar: _train(jobs, stacks, store, bar),
            detail=f" in {plural(len(stacks), 'ensemble')}",
        )

    def find(self, run: Run, jobs: list[TrainJob], store: Store) -> Finding | None:
        every = store.records()
        records = [every.get(key) for key in expanded(jobs)]
        whole = [record for record in records if record is not None and record.status in DONE]
        if len(whole) < len(records):
            return None
        columns, texts = store.rows(whole)
        text = csv_text(SUMMARY, [[record.row.get(column) for column in SUMMARY] for record in whole])
        folders = tuple(dict.fromkeys(record.folder for record in whole))
        return Finding(
            name=run.name,
            scale=run.scale,
            command=run.line,
            summary=pd.read_csv(io.StringIO(text), dtype={"network": str}),
            texts=(csv_text(columns, []), *texts),
            environments=tuple(map(read_environment, folders)),
            folders=folders,
        )

    def mend(self, jobs: list[TrainJob], store: Store, of_all_figures: Callable[[], list[TrainJob]]) -> Iterator[str]:
        networks = expanded(jobs)
        for folder, records in store.ensembles().items():
            keys = dict.fromkeys(record.key for record in records if record.status in DONE).keys()
            if not keys & networks.keys():
                continue
            if not keys <= _described(folder):
                # An ensemble of one figure may have networks of others.
                several = networks if keys <= networks.keys() else expanded(of_all_figures())
                if keys <= several.keys():
                    yield write_config(folder, config_text({key: several[key] for key in keys}))
                else:
                    path = folder / "config.yaml"
                    yield f"{path} is damaged or missing, and has networks of no figure: take it from a copy"
            yield from check_environment(folder)

    def failures(self, jobs: list[TrainJob]) -> str:
        from floss.sweep.summary import report

        text, failed = report(jobs)
        return f"networks {text}" if failed else ""


TRAIN = TrainedNetworks()


def expanded(jobs: list[TrainJob]) -> Networks:
    """The networks of some jobs by their keys; shared by all callers, so not to be changed."""
    return _expanded(tuple(jobs))


@functools.lru_cache(maxsize=256)
def _expanded(jobs: tuple[TrainJob, ...]) -> Networks:
    return expand(jobs)


def _done(networks: Networks, store: Store) -> set[str]:
    records = store.records()
    return {key for key in networks if key in records and records[key].status in DONE}


def _train(jobs: list[TrainJob], stacks: list[tuple[Any, float]], store: Store, bar: OneBar) -> None:
    """Compute what is missing in one sweep, and pack the store.

    Args:
        jobs: of all networks.
        stacks: ensembles of those that are missing, and the seconds that each is expected to take.
        store: of the networks.
        bar: whose shares are filled.
    """
    from floss.sweep.run import complete

    expected = {key: seconds / len(stack.networks) for stack, seconds in stacks for key in stack.networks}

    def share_of(stack: Any) -> Callable[..., object]:
        return bar.share(sum(expected.get(key, 0.0) for key in stack.networks))

    if stacks:
        with interruptible() as interrupt:
            complete(jobs, interrupt, share_of)
            if interrupt.signal:  # it came too late to stop a network, but must stop what comes next
                raise SystemExit(interrupt.status)
    with store.locked():
        store.pack()  # thousands of networks are to fit into a repository


def _described(folder: Path) -> set[str]:
    """Keys of the networks that an ensemble's config.yaml describes; none where it is damaged."""
    elsewhere = {"device": "auto", "engine": "auto", "results": str(folder)}  # it may come from another machine
    try:
        runs = [{**run, **elsewhere} for run in read_config(folder)["runs"]]
        return set(expand([train_job({key: run[key] for key in run if key != "label"}) for run in runs]))
    except (KeyError, TypeError, ConfigError):
        return set()
