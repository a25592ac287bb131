"""A claim as code: what is measured, what would make it true, what must not meet the criterion, and what the data say.

The criterion is a number chosen from the words of the paper, before the data. The measured value comes with its 95 %
interval, and that alone decides: all of it meets the criterion (reproduced), none of it does (not reproduced), or it
lies on both sides (not yet enough data). How many of some networks do something has an exact interval, everything else
that of its bootstrap replicates. The values of a formula have none: the value alone decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from floss.papers.finding import Findings
from floss.runtime.files import csv_text

COLUMNS = (
    *("claim", "figure", "of", "statistic", "criterion", "value", "low", "high", "interval", "networks", "verdict"),
    *("control", "control_value", "control_low", "control_high", "control_misses", "changed", "after_data"),
)
"""Columns of claims.csv."""
BOOTSTRAP, EXACT, FORMULA = "bootstrap", "exact", "formula"
"""Kinds of intervals: percentiles of bootstrap replicates, Clopper and Pearson's, or none of a formula's values."""
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
    counted: bool = False
    """Whether the rows are yes or no, and the statistic is how often yes: the interval is exact then."""
    formula: bool = False
    """Whether the rows are values of a formula, or of one fixed computation: nothing was drawn, so the value is all."""


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
    control: Callable[[Findings], Sample] | None = None
    """The same statistic of data of which the sentence does not hold: the criterion must be missed there."""
    control_says: str = ""
    """What the control is, in words."""
    changed: str = ""
    """What statistic or criterion the claim had before, and why it was changed; empty where it never was."""
    after_data: str = ""
    """Which of the data were known when the claim was added; empty where none were."""
    ours: bool = False
    """Whether the sentence is ours: a question that the paper does not ask, and that counts for itself."""

    def __post_init__(self) -> None:
        """A control has words."""
        if (self.control is None) != (not self.control_says):
            raise ValueError(f"{self.name}: a control needs control_says, and control_says a control")


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
    counted: int | None = None
    """How many of the units are a yes, where the statistic is their share and the interval exact."""
    formula: bool = False
    """Whether the value is that of a formula, whose interval is the value alone."""
    identities: frozenset[str] = frozenset()
    """Names of the networks of the runs that were looked at."""
    control: "Result | None" = None
    """The control beside the same data, where the claim has one."""

    @property
    def interval(self) -> str:
        """Of which kind the interval is; empty where there is none."""
        if np.isnan([self.low, self.high]).any():
            return ""
        if self.formula:
            return FORMULA
        return BOOTSTRAP if self.counted is None else EXACT

    @property
    def misses(self) -> bool:
        """Whether the value does not meet the criterion, as that of a control must not."""
        return self.claim.criterion.missed(self.value, self.value)

    @property
    def verdict(self) -> str:
        """Reproduced, not reproduced, or not yet enough data."""
        too_few = self.units < FEWEST and not self.formula
        if too_few or "smoke" in self.scales or not np.isfinite([self.low, self.high]).all():
            return NOT_ENOUGH
        if self.claim.criterion.met(self.low, self.high):
            return REPRODUCED
        return NOT_REPRODUCED if self.claim.criterion.missed(self.low, self.high) else NOT_ENOUGH


def claims_csv(results: list[Result]) -> str:
    """claims.csv: one row for each claim."""
    return csv_text(COLUMNS, [_row(result) for result in results])


def _row(r: Result) -> list[object]:
    claim, numbers = r.claim, map(_digits, (r.value, r.low, r.high))
    row = [claim.name, claim.figure, "ours" if claim.ours else "paper", claim.statistic, claim.criterion]
    row += [*numbers, r.interval, r.networks, r.verdict, claim.control_says]
    if r.control is None:
        row += [""] * 4
    else:
        row += [*map(_digits, (r.control.value, r.control.low, r.control.high)), "yes" if r.control.misses else "no"]
    return [*row, claim.changed, claim.after_data]


def _digits(value: float) -> str:
    """Six significant digits."""
    return "" if np.isnan(value) else f"{value:.6g}"
