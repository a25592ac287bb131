"""What most claims are measured on: one row for each seed, one column for each kind of network."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from floss.paper.claims.claim import Sample

CHANCE = 0.5
"""Accuracy of guessing."""
AT_CHANCE = 0.55
"""A mean accuracy below this counts as chance."""
SOLVED = 0.95
"""An accuracy from which a task counts as solved."""


def accuracies(summary: pd.DataFrame, by: Sequence[str] = ("flossing", "d")) -> pd.DataFrame:
    """Final accuracy by seed (rows) and kind of network (columns); of one that diverged, that of guessing."""
    return _by_seed(summary, "final_accuracy", by).fillna(CHANCE)


def losses(summary: pd.DataFrame, by: Sequence[str] = ("flossing", "d")) -> pd.DataFrame:
    """Final loss by seed (rows) and kind of network (columns); infinite for one that diverged."""
    return _by_seed(summary, "final_loss", by).fillna(np.inf)


def _by_seed(summary: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    return summary.pivot_table(index="seed", columns=list(by), values=value, dropna=False, aggfunc="first")


def chosen(table: pd.DataFrame, *columns: tuple[object, ...]) -> pd.DataFrame:
    """Some columns; none of the rows where a column is missing."""
    return table[list(columns)] if all(column in table for column in columns) else table.iloc[:0, :0]


def mean_of(table: pd.DataFrame) -> Sample:
    """The mean over everything in a table."""
    return Sample(table, lambda rows: float(rows.to_numpy().mean()), table.size)


def median_of(table: pd.DataFrame) -> Sample:
    """The median over everything in a table."""
    return Sample(table, lambda rows: float(np.median(rows.to_numpy())), table.size)


def difference(table: pd.DataFrame, more: str, less: str) -> Sample:
    """Mean of the columns of one schedule, without the mean of those of another one."""
    both = table[[column for column in table if column[0] in (more, less)]]

    def statistic(rows: pd.DataFrame) -> float:
        return float(rows[more].to_numpy().mean() - rows[less].to_numpy().mean())

    enough = more in table and less in table
    return Sample(both if enough else both.iloc[:0], statistic, both.size if enough else 0)


def at(table: pd.DataFrame, schedule: str, keep: Callable[[int], bool]) -> pd.DataFrame:
    """The columns of one schedule whose delay is kept."""
    return chosen(table, *(column for column in table if column[0] == schedule and keep(column[1])))


def share(values: Sequence[object] | pd.Series) -> Sample:
    """The share of networks of which something is true."""
    table = pd.DataFrame({"true": np.asarray(values, dtype=float)})
    return Sample(table, lambda rows: float(rows["true"].mean()), len(table))


def middle(values: Sequence[float] | pd.Series) -> Sample:
    """The median of one number for each network; those without a number are left out."""
    table = pd.DataFrame({"value": np.asarray(values, dtype=float)}).dropna()
    return Sample(table, lambda rows: float(rows["value"].median()), len(table))
