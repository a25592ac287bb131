"""What most claims are measured on: one row for each seed, one column for each kind of network."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from floss.papers.claim import Sample

CHANCE = 0.5
"""Accuracy of guessing."""
AT_CHANCE = 0.55
"""A mean accuracy below this counts as chance."""
SOLVED = 0.95
"""An accuracy from which a task counts as solved."""
ACCURACY = "final accuracy (50 % if diverged)"
"""What `accuracies` are, in words."""


def accuracies(summary: pd.DataFrame, by: Sequence[str] = ("flossing", "d")) -> pd.DataFrame:
    """Final accuracy by seed (rows) and kind of network (columns); of one that diverged, that of guessing.

    NaN where there is no such network.
    """
    return _by_seed(summary, summary["final_accuracy"].fillna(CHANCE), by)


def losses(summary: pd.DataFrame, by: Sequence[str] = ("flossing", "d")) -> pd.DataFrame:
    """Final loss by seed (rows) and kind of network (columns); infinite for one that diverged, NaN for none."""
    return _by_seed(summary, summary["final_loss"].fillna(np.inf), by)


def _by_seed(summary: pd.DataFrame, values: pd.Series, by: Sequence[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_frame(summary[["seed", *by]])
    return values.set_axis(index).unstack(list(by)).sort_index(axis=1)


def pick(table: pd.DataFrame, first: object) -> pd.DataFrame:
    """The columns that begin with a name, by the rest of theirs; none where there are none."""
    return table[first] if first in table else table.iloc[:0, :0]


def at(table: pd.DataFrame, schedule: str, keep: Callable[[int], bool] = lambda _: True) -> pd.DataFrame:
    """The columns of one schedule whose delay is kept, by delay."""
    columns = pick(table, schedule)
    return columns[[d for d in columns if keep(d)]]


def sample(table: pd.DataFrame, statistic: Callable[[np.ndarray], float], each: int = 1) -> Sample:
    """The rows of a table, every number of which is of so many networks; none where it has no columns."""
    rows = table.to_numpy(dtype=float)
    return Sample(rows[: len(rows) if table.size else 0], statistic, each * table.size)


def mean_of(table: pd.DataFrame, each: int = 1) -> Sample:
    """The mean over everything in a table."""
    return sample(table, np.mean, each)


def difference(table: pd.DataFrame, more: str, less: str, first: int = 0) -> Sample:
    """Mean of one schedule minus that of another one, over the delays from `first` on."""
    return mean_of(at(table, more, lambda d: d >= first) - at(table, less, lambda d: d >= first), each=2)


def share(values: Sequence[object] | pd.Series) -> Sample:
    """The share of networks of which something is true."""
    rows = np.asarray(values, dtype=float)
    return Sample(rows, np.mean, len(rows))


def middle(values: Sequence[float] | pd.Series, each: int = 1) -> Sample:
    """The median of one number for each network, or so many; those without a number are left out."""
    rows = np.asarray(values, dtype=float)
    rows = rows[~np.isnan(rows)]
    return Sample(rows, np.median, each * len(rows))


def median(values: np.ndarray) -> float:
    """The median of those values that are numbers; NaN where none is."""
    numbers = values[~np.isnan(values)]
    return np.median(numbers) if len(numbers) else np.nan
