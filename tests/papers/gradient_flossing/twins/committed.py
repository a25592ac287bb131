"""The claims of the first paper, and their numbers as `floss` has them and as rows of committed files."""

import math
from typing import Any

from made_up_data import Row
from papers.gradient_flossing.twins.rows import rows_of

from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing import PAPER

CLAIMS = {each.name: each for each in PAPER.claims()}


class Committed(dict[str, Any]):
    """Rows of the runs of a figure, and of further ones, by run and table; none is read before it is asked for."""

    def __init__(self, runs: Findings) -> None:
        super().__init__()
        self.runs = runs

    def __missing__(self, run: str) -> "CommittedTables":
        self[run] = CommittedTables(self.runs[run])
        return self[run]


class CommittedTables(dict[str, Any]):
    """Rows of the tables of one run, from the text of the files."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding

    def __missing__(self, table: str) -> list[Row]:
        finding = self.finding
        if table == "summary":
            content = finding.summary.to_csv(index=False)
        elif table == "metrics":
            content = "".join(finding.texts)
        else:
            content = (finding.folders[0] / f"{table}.csv").read_text(encoding="utf-8")
        self[table] = rows_of({table: content})[table]
        return self[table]


def measured(figure: str, data: Findings) -> dict[str, float]:
    """The values of a figure's claims."""
    samples = {one.name.partition(".")[2]: one.sample(data) for one in CLAIMS.values() if one.figure == figure}
    return {
        name: float(sample.statistic(sample.rows)) if len(sample.rows) else math.nan for name, sample in samples.items()
    }
