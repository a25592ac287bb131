"""Reproducing figures of a paper: compute what is missing of their data, and nothing else.

Networks are found by what they compute, wherever they lie in the results folder, so figures share theirs. Started
again after an interruption, it goes on.
"""

import functools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from floss.papers.experiments import SCALES
from floss.papers.kind import Job, Kind, Missing
from floss.papers.paper import Paper
from floss.papers.words import plural
from floss.runtime.progress import OneBar
from floss.sweep.forecast import duration
from floss.sweep.store import Store

_WORTH_SAYING = 1e9
"""Bytes that any machine has."""


@dataclass(frozen=True, eq=False)
class FigureRequest:
    """Figures of a paper that are asked for at a scale."""

    paper: Paper
    figures: tuple[str, ...]
    scale: str
    results: Path
    """Folder of the reproduction."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys that change no number: device, engine, memory_limit."""

    @functools.cached_property
    def store(self) -> Store:
        """The networks of the folder."""
        return Store(self.results)

    def jobs(self, figure: str, **settings: Any) -> dict[Kind, list[Job]]:
        """The jobs of a figure by their kind, in the order of the paper's kinds."""
        return self._jobs(figure, self.scale, settings)

    def jobs_of_all(self, **settings: Any) -> dict[Kind, list[Job]]:
        """The jobs of all figures that are asked for."""
        return _together(self.paper, [self.jobs(figure, **settings) for figure in self.figures])

    def jobs_of_paper(self, kind: Kind) -> list[Job]:
        """The jobs of a kind of every figure of the paper at every scale."""
        every = [self._jobs(figure, scale, {}) for figure in self.paper.figures() for scale in SCALES]
        return _together(self.paper, every).get(kind, [])

    def _jobs(self, figure: str, scale: str, settings: dict[str, Any]) -> dict[Kind, list[Job]]:
        runs = self.paper.experiment(figure).scales[scale].values()
        return _together(self.paper, [{run.kind: run.jobs(self.results, **settings)} for run in runs])


def _together(paper: Paper, several: list[dict[Kind, list[Job]]]) -> dict[Kind, list[Job]]:
    jobs = {kind: [job for each in several for job in each.get(kind, ())] for kind in paper.kinds}
    return {kind: of_kind for kind, of_kind in jobs.items() if of_kind}


@dataclass(frozen=True)
class Work:
    """What of a request is missing."""

    request: FigureRequest
    missing: dict[Kind, Missing]

    @property
    def seconds(self) -> float:
        """About how long computing it takes on this machine."""
        return sum(missing.seconds for missing in self.missing.values())

    def compute(self, bar: OneBar) -> None:
        """Compute all of it, kind by kind.

        Raises:
            SystemExit: after a signal; what was finished is on disk, and the same request goes on.
            RunBusyError: another process computes one of the analyses.
            OSError: a file cannot be written; what was written before is whole.
        """
        for missing in self.missing.values():
            missing.compute(bar)


def plan(request: FigureRequest) -> Work:
    """What of a request is missing, and how long that takes.

    Raises:
        ConfigError: something cannot be computed here.
    """
    jobs = request.jobs_of_all(**request.settings)
    return Work(request, {kind: kind.missing(of_kind, request.store) for kind, of_kind in jobs.items()})


def overview(work: Work) -> str:
    """What there is and what is missing, figure by figure, and how long that will take."""
    request = work.request
    lines = []
    for figure in request.figures:
        number, done = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for kind, jobs in request.jobs(figure).items():
            every, computed = kind.count(jobs, request.store)
            number[kind.nouns] += every
            done[kind.nouns] += computed
        counts = [f"{plural(number[nouns], *nouns)}, {done[nouns]} done" for nouns in number]
        lines.append(f"{request.paper.label(figure):<8} {'; '.join(counts) or 'a drawing, nothing to compute'}")
    absent, detail = Counter[tuple[str, str]](), {}
    for kind, missing in work.missing.items():
        if missing.number:
            absent[kind.nouns] += missing.number
            detail[kind.nouns] = missing.detail
    todo = [f"{plural(absent[nouns], *nouns)}{detail[nouns]}" for nouns in absent]
    if todo:
        memory = max(missing.memory for missing in work.missing.values())
        room = f", with up to {memory / 1e9:.1f} GB of memory" if memory > _WORTH_SAYING else ""
        lines.append(f"to compute: {', '.join(todo)}; about {duration(work.seconds)} on this machine{room}")
    else:
        lines.append("nothing to compute")
    return "\n".join(lines)


def mend(request: FigureRequest) -> list[str]:
    """Mend the files beside the tables of a request that is computed; a line for each that was damaged.

    Raises:
        OSError: a file cannot be written.
    """
    lines = []
    for kind, jobs in request.jobs_of_all().items():
        of_paper = functools.partial(request.jobs_of_paper, kind)
        lines += kind.mend(jobs, request.store, of_paper)
    return lines


def failures(request: FigureRequest) -> list[str]:
    """The networks of a request that failed, with their reasons; empty where none did."""
    texts = [kind.failures(jobs) for kind, jobs in request.jobs_of_all().items()]
    return [text for text in texts if text]
