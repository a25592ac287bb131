"""Many networks in one picture: each of them thin and their median thick, or the median and the quartiles."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from floss.figures.panels import Dashes, thin

HALO = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
"""Box behind a text that lines may cross."""


def curves(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """One column of y for each network, by x; NaN where a value is not finite."""
    finite = rows.assign(**{y: rows[y].replace([np.inf, -np.inf], np.nan)})
    return finite.pivot_table(index=x, columns="network", values=y, dropna=False)


def singles(
    axes: Axes, table: pd.DataFrame, colour: str, dashes: Dashes = "-", label: str | None = None, marker: str = ""
) -> None:
    """The curves of `curves`, and their median in the given line style, with about eight markers."""
    if not table.empty:
        thin(axes, table, colour)
    axes.plot(
        table.index,
        table.median(axis=1),
        color=colour,
        linestyle=dashes,
        marker=marker,
        markevery=max(1, len(table) // 8),
        markersize=4,
        linewidth=1.8,
        label=label,
    )


def quartiles(
    axes: Axes, table: pd.DataFrame, colour: str, dashes: Dashes = "-", label: str | None = None, *, log: bool = True
) -> None:
    """The median of the curves of `curves`, and a band from the 25th to the 75th percentile.

    On a logarithmic axis where `log`, and where any value is positive; others are passed over there.
    """
    if log:
        table = table.where(table > 0)
    low, middle, high = (table.quantile(q, axis=1) for q in (0.25, 0.5, 0.75))
    axes.fill_between(table.index, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(table.index, middle, color=colour, linestyle=dashes, linewidth=1.8, label=label)
    if log and middle.notna().any():
        axes.set_yscale("log")
