"""What a results folder holds of a paper: for every run of every figure the rows of its largest complete scale."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from floss.errors import ConfigError
from floss.jobs.paper import DEFAULT_PAPER, paper_names
from floss.papers.experiments import SCALES
from floss.papers.finding import Finding, Findings
from floss.papers.kind import Run
from floss.papers.paper import Paper, paper_named
from floss.runtime.files import write_json
from floss.sweep.store import Record, Store

REQUESTS = "reproduction.json"
"""File that says of which paper a folder is, which figures were asked for, and at which scales."""
_NO_FIGURES = ("paper", "data")
"""What stands in it beside the figures: the paper's name, and the record of the user's data that they are of."""


def record_request(results: Path, paper: Paper, asked: Sequence[str], scale: str) -> None:
    """Note that some figures of a paper were asked for at a scale, so that they are looked for.

    Raises:
        ConfigError: the folder is of another paper.
    """
    check_paper(results, paper)
    before = _requests(results, paper)
    requests = {
        figure: [s for s in SCALES if s in before.get(figure, ()) or (s == scale and figure in asked)]
        for figure in paper.figures()
    }
    requests = {figure: scales for figure, scales in requests.items() if scales}
    if requests != before or data_of(results) != paper.data:  # whose file may have another name now
        results.mkdir(parents=True, exist_ok=True)
        of: dict[str, Any] = {} if paper.name == DEFAULT_PAPER else {"paper": paper.name}
        if paper.data is not None:
            of["data"] = dict(paper.data)
        write_json(results / REQUESTS, {**of, **requests})


def check_paper(results: Path, paper: Paper) -> None:
    """Raise a ConfigError where a folder holds the reproduction of another paper, or one on other data."""
    if (name := paper_of(results)) not in (None, paper.name):
        raise ConfigError(f"results={results}: holds the figures of paper={name}, and not of paper={paper.name}")
    data = data_of(results)
    if name is not None and (data and data["name"]) != (paper.data and paper.data["name"]):
        there, wanted = (
            f"data={each['file']} ({each['name']})" if each else "data=null" for each in (data, paper.data)
        )
        raise ConfigError(f"results={results}: holds the figures of {there}, and not of {wanted}")


def paper_of(results: Path) -> str | None:
    """Name of the paper whose reproduction a folder holds; None where it holds none, or does not say of which."""
    content = _read(results)
    if not isinstance(content, dict):
        return None
    return str(content.get("paper", DEFAULT_PAPER))


def data_of(results: Path) -> Mapping[str, Any] | None:
    """The record of the user's data whose figures a folder holds; None where they are those of the paper."""
    content = _read(results)
    data = content.get("data") if isinstance(content, dict) else None
    return data if isinstance(data, dict) and {"name", "file"} <= data.keys() else None


def paper_in(results: Path, name: str | None = None) -> Paper:
    """The paper whose figures a folder holds, of the user's own data where they were computed on such.

    Args:
        results: the folder.
        name: of the paper, where it is known.

    Raises:
        ConfigError: the paper is not installed, or the record of the data is damaged.
    """
    paper, data = paper_named(name or paper_of(results) or DEFAULT_PAPER), data_of(results)
    if data is None or paper.own_data is None:
        return paper
    try:
        return paper.own_data.paper(paper, data)
    except (KeyError, TypeError, ValueError):
        place = results / REQUESTS
        raise ConfigError(f"{place}: the record of data={data['file']} is damaged; floss reproduce mends it") from None


def reproduction_folders(root: Path) -> dict[Path, str]:
    """A folder and those right below it that hold reproductions, each with the name of its paper."""
    folders = [folder for folder in (root, *sorted(root.iterdir())) if (folder / REQUESTS).exists()]
    return {folder: paper_of(folder) or _by_folder(folder) for folder in folders}


def _by_folder(folder: Path) -> str:
    """The paper of a folder whose record is damaged: the one whose own folder has that name."""
    papers = map(paper_named, paper_names())
    return next((p.name for p in papers if Path(p.results_folder).name == folder.resolve().name), DEFAULT_PAPER)


def _read(results: Path) -> Any:
    """The content of the record; None where there is none, and a text where it is damaged."""
    try:
        text = (results / REQUESTS).read_bytes()
    except OSError:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return "damaged"


def _requests(results: Path, paper: Paper) -> dict[str, list[str]]:
    content = _read(results)
    if content is None:
        return {}
    try:
        asked = {figure: scales for figure, scales in content.items() if figure not in _NO_FIGURES}
        return {figure: [scale for scale in SCALES if scale in scales] for figure, scales in asked.items()}
    except (TypeError, AttributeError):
        return {figure: list(SCALES) for figure in paper.figures()}  # looking for all of it loses nothing


class Reproduction:
    """The data of a paper's figures in a results folder. Reads, and never computes."""

    def __init__(self, results: str | Path, paper: Paper | None = None) -> None:
        """Nothing is read but the paper's name where it is not given."""
        self.results = Path(results)
        self.paper = paper or paper_in(self.results)
        self.store = Store(results)

    @property
    def records(self) -> dict[str, Record]:
        """Every network of the folder."""
        return self.store.records()

    @functools.cached_property
    def requested(self) -> dict[str, tuple[str, ...]]:
        """The scales at which each figure was asked for, from the largest to the smallest."""
        asked = _requests(self.results, self.paper)
        return {figure: tuple(asked.get(figure, ())) for figure in self.paper.figures()}

    def findings(self, figure: str) -> Findings | None:
        """The rows behind a figure, each run's at the largest scale that is complete; None where a run has none."""
        found = self.complete(figure)
        return found if self.requested[figure] and len(found) == len(self._runs(figure)) else None

    @functools.cache  # noqa: B019  # one reader for one look at a folder
    def complete(self, figure: str) -> Findings:
        """The rows of those runs of a figure that are complete at some scale, each's at the largest."""
        found = {name: self._largest(runs) for name, runs in self._runs(figure).items()}
        return {name: finding for name, finding in found.items() if finding is not None}

    def findings_for(self, figure: str, further: tuple[str, ...] = ()) -> Findings:
        """The complete runs behind a figure, and those behind further ones under `figure/run`."""
        others = {f"{other}/{name}": finding for other in further for name, finding in self.complete(other).items()}
        return {**self.complete(figure), **others}

    def _runs(self, figure: str) -> dict[str, tuple[Run, ...]]:
        """Each run of a figure at the scales that were asked for."""
        runs, scales = self.paper.experiment(figure).scales, self.requested[figure]
        return {name: tuple(runs[scale][name] for scale in scales) for name in runs[SCALES[0]]}

    def _largest(self, runs: tuple[Run, ...]) -> Finding | None:
        return next((finding for run in runs if (finding := self.finding(run)) is not None), None)

    @functools.cache  # noqa: B019  # one reader for one look at a folder
    def finding(self, run: Run) -> Finding | None:
        """The rows of one run; None where any of them is missing or damaged."""
        return run.kind.find(run, run.jobs(self.results), self.store)
