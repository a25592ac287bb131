"""Final accuracy and loss of trained networks by seed, schedule and delay, and what counts as learnt."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from floss.figures.panels import CHANCE
from floss.papers.claim import Sample
from floss.papers.samples import mean_of

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


def difference(table: pd.DataFrame, more: str, less: str, first: int = 0) -> Sample:
    """Mean of one schedule minus that of another one, over the delays from `first` on."""
    return mean_of(at(table, more, lambda d: d >= first) - at(table, less, lambda d: d >= first), each=2)
