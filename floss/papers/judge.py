"""What the data say of a paper's claims: the value of each statistic with its interval, and that of its control."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from floss.papers.claim import Claim, Result
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction
from floss.papers.intervals import interval


def judged(reproduction: Reproduction) -> list[Result]:
    """Every claim of a paper beside what a results folder holds, in the order of the figures."""
    claims = reproduction.paper.claims()
    return [judge(claim, reproduction.findings_for(claim.figure, claim.further)) for claim in claims]


def judge(claim: Claim, findings: Findings) -> Result:
    """Measure a claim on findings; where a run that it looks at is not there, there is nothing but the claim."""
    looked_at = _LookedAt(findings)
    value = low = high = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is not a number, and the result says so
        try:
            sample = claim.sample(looked_at)
        except _NoRunError:
            return Result(claim)
        if len(sample.rows):
            value = float(sample.statistic(sample.rows))
            low, high = interval(sample, claim.name)
    runs = [finding for name, finding in findings.items() if name in looked_at.names]
    return Result(
        claim,
        value=value,
        low=low,
        high=high,
        networks=sample.networks,
        scales=tuple(dict.fromkeys(finding.scale for finding in runs)),
        commands=tuple(dict.fromkeys(finding.command for finding in runs)),
        units=len(sample.rows),
        counted=int(sample.rows.sum()) if sample.counted else None,
        formula=sample.formula,
        identities=frozenset().union(*(finding.identities for finding in runs)),
        control=_control(claim, findings),
    )


class _NoRunError(Exception):
    """A run that a claim looks at is not there."""


class _LookedAt(Mapping[str, Finding]):
    """Findings that remember which runs were looked at."""

    def __init__(self, findings: Findings) -> None:
        self.findings, self.names = findings, set[str]()

    def __getitem__(self, name: str) -> Finding:
        self.names.add(name)
        if name not in self.findings:
            raise _NoRunError(name)
        return self.findings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)


def _control(claim: Claim, findings: Findings) -> Result | None:
    """The same statistic and criterion of the data that must miss it."""
    if claim.control is None:
        return None
    name = f"{claim.name}.control"  # its random numbers are its own
    return judge(replace(claim, name=name, sample=claim.control, control=None, control_says=""), findings)
