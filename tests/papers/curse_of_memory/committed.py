"""The committed data of the second paper, and data that are changed in one column."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from floss.papers.curse_of_memory import PAPER
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / PAPER.results_folder
REPRODUCTION = Reproduction(FOLDER, PAPER)
CLAIMS = {claim.name: claim for claim in PAPER.claims()}


def committed(figure: str) -> Findings:
    """The runs of a figure."""
    found = REPRODUCTION.findings(figure)
    assert found is not None, figure
    return found


def changed(findings: Findings, run: str | tuple[str, ...], table: str, change: Callable[[Any], Any]) -> Findings:
    """With one table changed, of one run or of several."""
    if isinstance(run, tuple):
        for each in run:
            findings = changed(findings, each, table, change)
        return findings
    finding: Finding = findings[run]
    return {**findings, run: replace(finding, tables={**finding.tables, table: change(finding.tables[table].copy())})}
