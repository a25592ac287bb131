"""What most claims are measured on: one row for each independent unit, and a statistic of some of the rows."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from floss.papers.claim import Sample


def sample(table: pd.DataFrame, statistic: Callable[[np.ndarray], float], each: int = 1) -> Sample:
    """The rows of a table, every number of which is of so many networks; none where it has no columns."""
    rows = table.to_numpy(dtype=float)
    return Sample(rows[: len(rows) if table.size else 0], statistic, each * table.size)


def mean_of(table: pd.DataFrame, each: int = 1) -> Sample:
    """The mean over everything in a table."""
    return sample(table, np.mean, each)


def count(values: Sequence[bool] | np.ndarray | pd.Series, each: int = 1) -> Sample:
    """Of how many independent units something is true: each is one network, or so many that share a seed.

    Networks that share anything random (seed, initial weights) are one unit: an exact interval of units that are not
    independent is too narrow.

    Raises:
        ValueError: a value is neither true nor false.
    """
    rows = np.asarray(values, dtype=float)
    if rows.ndim != 1 or not np.isin(rows, (0.0, 1.0)).all():
        raise ValueError("count: must be given one yes or no for each unit")
    return Sample(rows, np.mean, each * len(rows), counted=True)


def number_of(units: pd.Series, of: pd.Series) -> pd.Series:
    """The number that each of some units has, such as a network's epoch; NaN where it has none.

    Numbers also of no units at all, which `map` makes texts where pyarrow is installed.
    """
    return units.map(of).astype(float)


def formula(values: Sequence[float] | np.ndarray | pd.Series, statistic: Callable[[np.ndarray], float]) -> Sample:
    """The values of a formula, or of one fixed computation: there is no interval, and no network."""
    return Sample(np.asarray(values, dtype=float), statistic, 0, formula=True)


def middle(values: Sequence[float] | pd.Series, each: int = 1) -> Sample:
    """The median of one number for each network, or so many; those without a number are left out."""
    rows = np.asarray(values, dtype=float)
    rows = rows[~np.isnan(rows)]
    return Sample(rows, middle_of, each * len(rows))


def middle_of(values: np.ndarray) -> float:
    """The median of some numbers [units]: that of NumPy, to the last bit, in a tenth of its time.

    A bootstrap interval takes it thousands of times, of a few numbers each.
    """
    ordered = np.sort(values)  # NaN comes last
    half = len(ordered) // 2
    if np.isnan(ordered[-1]) or len(ordered) % 2:
        return float(ordered[-1] if np.isnan(ordered[-1]) else ordered[half])
    return float((ordered[half - 1] + ordered[half]) / 2)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of two sequences of numbers.

    By plain sums, which are the same on every processor; those of a linear algebra library are not.
    """
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's: that of their ranks. 0 where all of y are the same; NaN for fewer than two values."""
    if len(y) < 2:
        return np.nan
    return 0.0 if (y == y[0]).all() else correlation(_ranks(x), _ranks(y))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Their ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


def median(values: np.ndarray) -> float:
    """The median of those values that are numbers; NaN where none is."""
    numbers = values[~np.isnan(values)]
    return middle_of(numbers) if len(numbers) else np.nan
