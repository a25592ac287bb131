"""What App. D measures along training: gradients around episodes of flossing and around the epoch of leaving chance.

Each statistic compares medians over equally treated windows of epochs: the highest of a few logged values is above the
median of others by noise alone.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Sequence

import numpy as np
import pandas as pd

from floss.figures.departure import LARGE, leaves_chance
from floss.papers.finding import Finding

EPISODES = (0, 100, 200, 300, 400)
"""Epochs of the episodes of the schedule `early`; the paper's text has these five, its caption of Fig. 8 a sixth."""
SETTLED = EPISODES[-1] + 50
"""From here on the spike of the last episode is over."""
FEWEST = 100
"""Epochs that a stretch of training must have for a growth in it to be measured."""


def course_of(finding: Finding, schedule: str, column: str) -> pd.DataFrame:
    """A column by epoch (rows) and network (columns), of the networks of one schedule."""
    rows = finding.training
    rows = rows[rows["flossing"] == schedule]
    if rows.empty or column not in rows:
        return pd.DataFrame()
    return rows.pivot_table(index="epoch", columns="network", values=column, dropna=False)


def departures(finding: Finding, schedule: str) -> pd.Series:
    """First epoch from which the accuracy stays above 60 %, of the networks that have one, by network."""
    rows = finding.training
    rows = rows[rows["flossing"] == schedule]
    return pd.Series(dtype=float) if rows.empty else leaves_chance(rows).dropna()


def window(table: pd.DataFrame, first: float, last: float) -> pd.DataFrame:
    """The epochs from the first to before the last."""
    return table[(table.index >= first) & (table.index < last)]


def boosts(table: pd.DataFrame, episodes: Sequence[int] = EPISODES[1:], epochs: int = 25) -> pd.Series:
    """log₁₀ of a measure's median in so many epochs after an episode over that before: each network's median."""
    ratios = {
        e: np.log10(window(table, e, e + epochs).median() / window(table, e - epochs, e).median()) for e in episodes
    }
    return pd.DataFrame(ratios).median(axis=1)


def last_small(norms: pd.DataFrame) -> pd.Series:
    """The last epoch with a gradient norm below the threshold of Fig. 9B, of each network; -1 where there is none."""
    return pd.Series({key: norms.index[norms[key] < LARGE].max() for key in norms}, dtype=float).fillna(-1)


def growth(table: pd.DataFrame, ends: pd.Series, first: int = SETTLED) -> pd.Series:
    """Decades per 100 epochs by which a measure grows from one epoch to an end for each network, by least squares.

    Of the networks for which these are at least 100 epochs; values that are not positive are left out.
    """
    slopes = {}
    for key, end in ends.items():
        part = table.loc[(table.index >= first) & (table.index <= end), key]
        logs = np.log10(part[part > 0])
        if len(logs) > 1 and end - first >= FEWEST:
            x = logs.index.to_numpy(dtype=float) / 100
            x = x - x.mean()
            slopes[key] = (x * logs.to_numpy()).sum() / (x * x).sum()
    return pd.Series(slopes, dtype=float)
