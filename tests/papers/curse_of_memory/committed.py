"""The committed data of the second paper, and data that are changed in one column."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from floss.papers.claim import Result
from floss.papers.curse_of_memory import PAPER
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction
from floss.papers.judge import judged

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / PAPER.results_folder
REPRODUCTION = Reproduction(FOLDER, PAPER)
CLAIMS = {claim.name: claim for claim in PAPER.claims()}


@functools.cache
def results() -> list[Result]:
    """Every claim beside them."""
    return judged(REPRODUCTION)


def committed(figure: str) -> Findings:
    """The runs of a figure."""
    found = REPRODUCTION.findings(figure)
    assert found is not None, figure
    return found


def behind(name: str) -> Findings:
    """The runs of a claim: those of its figure, and of further ones."""
    claim = CLAIMS[name]
    return REPRODUCTION.findings_for(claim.figure, claim.further)


def changed(findings: Findings, run: str | tuple[str, ...], table: str, change: Callable[[Any], Any]) -> Findings:
    """With one table changed, of one run or of several: an analysis, or `summary` or `metrics` of trained networks."""
    if isinstance(run, tuple):
        for each in run:
            findings = changed(findings, each, table, change)
        return findings
    finding: Finding = findings[run]
    if table == "summary":
        return {**findings, run: replace(finding, summary=change(finding.summary.copy()))}
    if table == "metrics":
        header, *_ = (text := change(finding.metrics.copy()).to_csv(index=False)).splitlines(keepends=True)
        return {**findings, run: replace(finding, texts=(header, text[len(header) :]))}
    return {**findings, run: replace(finding, tables={**finding.tables, table: change(finding.tables[table].copy())})}
