"""What the data say of a paper's claims: the value of each statistic, with its bootstrap interval."""

import hashlib

import numpy as np

from floss.papers.claim import Claim, Result, Sample
from floss.papers.finding import Findings
from floss.papers.findings import Reproduction

REPLICATES = 2000
"""Bootstrap replicates behind an interval."""


def judged(reproduction: Reproduction) -> list[Result]:
    """Every claim of a paper beside what a results folder holds, in the order of the figures."""
    claims = reproduction.paper.claims()
    return [judge(claim, reproduction.findings_for(claim.figure, claim.further)) for claim in claims]


def judge(claim: Claim, findings: Findings | None) -> Result:
    """Measure a claim on findings; without any there is nothing but the claim."""
    if findings is None:
        return Result(claim)
    value = low = high = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is not a number, and the result says so
        sample = claim.sample(findings)
        if len(sample.rows):
            value = float(sample.statistic(sample.rows))
            low, high = bootstrap(sample, claim.name)
    return Result(
        claim,
        value=value,
        low=low,
        high=high,
        networks=sample.networks,
        scales=tuple(dict.fromkeys(finding.scale for finding in findings.values())),
        commands=tuple(dict.fromkeys(finding.command for finding in findings.values())),
        units=len(sample.rows),
    )


def bootstrap(sample: Sample, name: str, replicates: int = REPLICATES) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of a statistic over samples of the rows with replacement.

    Percentile bootstrap (Efron 1979); the random numbers depend on the name alone. Replicates that are not a number
    (no network of a kind was drawn) are left out, and there is no interval where they are more than half of them.
    """
    random = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    draws = random.integers(len(sample.rows), size=(replicates, len(sample.rows)))
    values = np.array([sample.statistic(sample.rows[draw]) for draw in draws], dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < replicates / 2:
        return np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between two infinite replicates
        low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
