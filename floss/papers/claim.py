"""A claim of the paper as code: what is measured, what would make it true, and what the data say.

The criterion is a number chosen from the words of the paper, before the data. The measured value comes with the
interval in which 95 % of its bootstrap replicates lie, and that alone decides: all of it meets the criterion
(reproduced), none of it does (not reproduced), or it lies on both sides (not yet enough data).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from floss.papers.finding import Findings
from floss.runtime.files import csv_text

COLUMNS = ("claim", "figure", "statistic", "criterion", "value", "low", "high", "networks", "verdict")
"""Columns of claims.csv."""
REPRODUCED, NOT_REPRODUCED, NOT_ENOUGH = "reproduced", "not reproduced", "not yet enough data"
FEWEST = 5
"""Rows of a sample (networks, in most claims) below which there is no verdict."""
REPLICATES = 2000


@dataclass(frozen=True)
class Criterion:
    """The values of a statistic with which a claim holds: those between two bounds, open at either end."""

    above: float = -np.inf
    below: float = np.inf

    def __str__(self) -> str:
        """As a formula."""
        if self.above == -np.inf:
            return f"< {self.below:g}"
        return f"> {self.above:g}" if self.below == np.inf else f"> {self.above:g} and < {self.below:g}"

    def met(self, low: float, high: float) -> bool:
        """Whether a whole interval meets it."""
        return self.above < low and high < self.below

    def missed(self, low: float, high: float) -> bool:
        """Whether no value of an interval meets it."""
        return high <= self.above or low >= self.below


@dataclass(frozen=True)
class Sample:
    """What a statistic is computed from."""

    rows: np.ndarray
    """Numbers of each independent unit [units, ...]: a network, or a seed where one seed makes several networks."""
    statistic: Callable[[np.ndarray], float]
    """Of some of the units, with repetitions; NaN where they do not determine it."""
    networks: int
    """How many networks the rows are of."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and how it is measured."""

    name: str
    figure: str
    place: str
    """Where the paper says it."""
    sentence: str
    """What it says, in our words."""
    statistic: str
    """What is measured, in words."""
    criterion: Criterion
    sample: Callable[[Findings], Sample]
    tried: str = ""
    """What else was tried, where the claim did not reproduce."""
    further: tuple[str, ...] = ()
    """Figures whose runs it needs as well; theirs are found under `figure/run`."""


@dataclass(frozen=True)
class Result:
    """A claim beside the data."""

    claim: Claim
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    networks: int = 0
    scales: tuple[str, ...] = ()
    """Scales of the runs behind it."""
    commands: tuple[str, ...] = ()
    """Command lines of the runs behind it."""
    units: int = 0
    """Rows of the sample."""

    @property
    def verdict(self) -> str:
        """Reproduced, not reproduced, or not yet enough data."""
        if self.units < FEWEST or "smoke" in self.scales or not np.isfinite([self.low, self.high]).all():
            return NOT_ENOUGH
        if self.claim.criterion.met(self.low, self.high):
            return REPRODUCED
        return NOT_REPRODUCED if self.claim.criterion.missed(self.low, self.high) else NOT_ENOUGH


def judge(claim: Claim, findings: Findings | None) -> Result:
    """Measure a claim on what was found; without findings there is nothing but the claim."""
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


def claims_csv(results: list[Result]) -> str:
    """claims.csv: one row for each claim."""
    rows = []
    for r in results:
        claim, numbers = r.claim, map(_digits, (r.value, r.low, r.high))
        rows.append([claim.name, claim.figure, claim.statistic, claim.criterion, *numbers, r.networks, r.verdict])
    return csv_text(COLUMNS, rows)


def _digits(value: float) -> str:
    """Six significant digits."""
    return "" if np.isnan(value) else f"{value:.6g}"
