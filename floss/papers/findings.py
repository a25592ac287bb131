"""What a results folder holds of the paper: for every run of every figure the rows of its largest complete scale."""

import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from floss.jobs.analysis import AnalysisJob
from floss.jobs.bench import BenchJob
from floss.jobs.train import TrainJob
from floss.papers.experiments import SCALES, Run, experiment, figures
from floss.papers.finding import Finding, Findings
from floss.runtime.environment import read_environment
from floss.runtime.files import csv_text, sealed, write_json
from floss.sweep.columns import SUMMARY
from floss.sweep.request import Request
from floss.sweep.store import DONE, Record, Store

REQUESTS = "reproduction.json"
"""File that says which figures were asked for, at which scales."""


def record_request(results: Path, asked: Sequence[str], scale: str) -> None:
    """Note that some figures were asked for at a scale, so that they are looked for."""
    before = _requests(results)
    requests = {
        figure: [s for s in SCALES if s in before.get(figure, ()) or (s == scale and figure in asked)]
        for figure in figures()
    }
    requests = {figure: scales for figure, scales in requests.items() if scales}
    if requests != before:
        results.mkdir(parents=True, exist_ok=True)
        write_json(results / REQUESTS, requests)


def _requests(results: Path) -> dict[str, list[str]]:
    try:
        text = (results / REQUESTS).read_bytes()
    except OSError:
        return {}
    try:
        content = json.loads(text)
        return {figure: [scale for scale in SCALES if scale in asked] for figure, asked in content.items()}
    except (ValueError, TypeError, AttributeError):
        return {figure: list(SCALES) for figure in figures()}  # damaged: looking for all of it loses nothing


class Reproduction:
    """The data of the paper's figures in a results folder. Reads, and never computes."""

    def __init__(self, results: str | Path) -> None:
        """Nothing is read yet."""
        self.results = Path(results)
        self.store = Store(results)

    @functools.cached_property
    def records(self) -> dict[str, Record]:
        """Every network of the folder."""
        return self.store.records()

    @functools.cached_property
    def requested(self) -> dict[str, tuple[str, ...]]:
        """The scales at which each figure was asked for, from the largest to the smallest."""
        asked = _requests(self.results)
        return {figure: tuple(scale for scale in SCALES if scale in asked.get(figure, ())) for figure in figures()}

    @functools.cache  # noqa: B019  # one reader for one look at a folder
    def findings(self, figure: str) -> Findings | None:
        """The rows behind a figure, each run's at the largest scale that is complete; None where a run has none."""
        runs, scales = experiment(figure).scales, self.requested[figure]
        if not scales:
            return None
        found = {name: self._largest(tuple(runs[scale][name] for scale in scales)) for name in runs[SCALES[0]]}
        complete = {name: finding for name, finding in found.items() if finding is not None}
        return complete if len(complete) == len(found) else None

    def findings_for(self, figure: str, further: tuple[str, ...] = ()) -> Findings | None:
        """The rows behind a figure, and those behind further ones under `figure/run`; None where any are missing."""
        found = self.findings(figure)
        for other in further:
            more = self.findings(other)
            if found is None or more is None:
                return None
            found = {**found, **{f"{other}/{name}": finding for name, finding in more.items()}}
        return found

    def _largest(self, runs: tuple[Run, ...]) -> Finding | None:
        return next((finding for run in runs if (finding := self.found(run)) is not None), None)

    @functools.cache  # noqa: B019  # one reader for one look at a folder
    def found(self, run: Run) -> Finding | None:
        """The rows of one run; None where any of them is missing or damaged."""
        jobs = run.jobs(self.results)
        if isinstance(jobs[0], TrainJob):
            return self._trained(run, [job for job in jobs if isinstance(job, TrainJob)])
        (job,) = jobs
        assert not isinstance(job, TrainJob)
        return _analysed(run, job)

    def _trained(self, run: Run, jobs: list[TrainJob]) -> Finding | None:
        records = [self.records.get(key) for key in Request(jobs, self.store).networks]
        whole = [record for record in records if record is not None and record.status in DONE]
        if len(whole) < len(records):
            return None
        columns, texts = self.store.rows(whole)
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


def _analysed(run: Run, job: AnalysisJob | BenchJob) -> Finding | None:
    folder = Path(job.results) if isinstance(job, BenchJob) else job.folder
    if not sealed(folder):
        return None
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return Finding(
        name=run.name,
        scale=run.scale,
        command=run.line,
        tables=tables,
        environments=(read_environment(folder),),
        folders=(folder,),
    )
