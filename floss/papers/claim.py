"""A claim of the paper as code: what is measured, what would make it true, and what the data say.

The criterion is a number chosen from the words of the paper, before the data. The measured value comes with the
interval in which 95 % of its bootstrap replicates lie, and that alone decides: all of it meets the criterion
(reproduced), none of it does (not reproduced), or it lies on both sides (not yet enough data).
"""

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
