"""Final accuracy and loss of trained networks by seed, schedule and delay, and what counts as learnt."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from floss.figures.panels import CHANCE
from floss.papers.claim import Sample
from floss.papers.samples import count, mean_of

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


def how_many(table: pd.DataFrame, schedule: str, d: int, above: float) -> Sample:
    """Of how many networks of one schedule and delay the accuracy is above a bound."""
    values = at(table, schedule, lambda own: own == d).to_numpy().ravel()
    return count(values[~np.isnan(values)] > above)


def any_leaves_chance(table: pd.DataFrame, schedule: str, first: int) -> Sample:
    """Of how many seeds any network of one schedule leaves chance, over the delays from `first` on.

    The networks of a seed have the same initial weights, so that a seed counts once.
    """
    values = at(table, schedule, lambda d: d >= first)
    values = values[values.notna().all(axis=1) & bool(values.shape[1])]
    return count((values > AT_CHANCE).any(axis=1), each=values.shape[1])


def solves_more(table: pd.DataFrame, more: str, less: str, moved: int = 0) -> Sample:
    """Of how many seeds the network of one schedule solves more delays than that of another one.

    Seeds of which a network is missing are left out.

    Args:
        table: accuracies by seed and (schedule, delay).
        more: the one.
        less: the other one.
        moved: compare with the seed so many places further on instead, as a control.
    """
    pairs = at(table, more) - at(table, less)
    whole = pairs.dropna().index if pairs.shape[1] else pairs.index[:0]
    many, few = ((at(table, schedule).reindex(whole) > SOLVED).sum(axis=1).to_numpy() for schedule in (more, less))
    return count(many > np.roll(few, moved), each=2 * pairs.shape[1])


def solved_difference(table: pd.DataFrame, more: tuple[str, int], less: tuple[str, int]) -> Sample:
    """Share of networks that solve their task, of one schedule and delay minus that of another one."""
    if more not in table or less not in table:
        return Sample(np.zeros((0, 2)), np.mean, 0)
    rows = table[[more, less]].dropna().to_numpy() > SOLVED

    def statistic(rows: np.ndarray) -> float:
        many, few = rows.mean(axis=0)
        return many - few

    return Sample(rows.astype(float), statistic, rows.size)


def difference(table: pd.DataFrame, more: str, less: str, first: int = 0) -> Sample:
    """Mean of one schedule minus that of another one, over the delays from `first` on."""
    return mean_of(at(table, more, lambda d: d >= first) - at(table, less, lambda d: d >= first), each=2)
