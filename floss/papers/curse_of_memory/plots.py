"""What several figures of the paper share: a line for each of some ordered values, matrices, eigenvectors, spectra."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm

from floss.figures.style import DASHES

STUDENTS = {"dense": "dense", "diagonal": "complex diagonal", "lru": "LRU", "s4": "S4-like"}
"""What titles call the students."""
RULES = {"sign": "sign of the gradient", "adam": "Adam"}
"""What titles call the rules of Fig. 7."""
PARAMETRISATIONS = {"polar": "polar", "exp": "exponential", "optimal": "optimal"}
"""What titles call the parametrisations."""


def input_words(table: pd.DataFrame, surrogate: str = "independent") -> str:
    """What the networks of a table have as their input, for a title: a surrogate of such a kind, or the user's data."""
    if "data" in table:
        return f"Input: embeddings of one's own ({table['data'].iloc[0]})"
    return f"Input: surrogate of word embeddings ({surrogate}), not real ones"


def ramp(values: Sequence[float], colours: str = "viridis") -> list[dict[str, Any]]:
    """Colour, from dark to light, and dashes for each of some values."""
    shades = plt.get_cmap(colours)(np.linspace(0, 0.85, len(values)))
    return [{"color": tuple(shade), "linestyle": DASHES[i % len(DASHES)]} for i, shade in enumerate(shades)]


def families(axes: Axes, table: pd.DataFrame, by: str, x: str, y: str, label: str, colours: str = "viridis") -> None:
    """One line for each value of a column."""
    values = sorted(table[by].unique())
    for value, style in zip(values, ramp(values, colours), strict=True):
        rows = table[table[by] == value]
        axes.plot(rows[x], rows[y], label=label.format(value), linewidth=1.3, **style)


def matrix_of(table: pd.DataFrame) -> np.ndarray:
    """Rows with row, column and value as a matrix."""
    return table.pivot(index="row", columns="column", values="value").to_numpy(dtype=float)


def hessian_panel(axes: Axes, matrix: np.ndarray, bounds: Sequence[tuple[str, int, int]], norm: SymLogNorm) -> Any:
    """A Hessian in symmetric logarithmic colours, with lines between groups of parameters: name, first row, end."""
    image = axes.imshow(matrix, cmap="RdBu_r", norm=norm, interpolation="nearest")
    for _, _, end in bounds[:-1]:
        for line in (axes.axhline, axes.axvline):
            line(end - 0.5, color="0.4", linewidth=0.5)
    places = [(first + end - 1) / 2 for _, first, end in bounds]
    axes.set_yticks(places, [name for name, _, _ in bounds], fontsize=7)
    axes.set_xticks([])
    axes.tick_params(length=0)
    return image


def blocks(groups: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Name, first row and end of each group of parameters of one student."""
    found = groups.groupby("group", sort=False)["row"].agg(["min", "max"])
    return [(str(name), int(first), int(last) + 1) for name, first, last in found.itertuples()]


def symlog(largest: float) -> SymLogNorm:
    """Colours from minus to plus the largest power of ten, linear over the middle of it."""
    top = 10.0 ** np.ceil(np.log10(largest))
    return SymLogNorm(linthresh=top * 1e-6, linscale=0.3, vmin=-top, vmax=top, base=10)


def spectrum_panel(axes: Axes, eigenvalues: pd.DataFrame, rank: int, **look: Any) -> None:
    """Eigenvalues against their number, those that are zero in float64 at the lower edge."""
    values = eigenvalues["value"].to_numpy(dtype=float)
    floor = values[0] * 1e-17
    axes.plot(eigenvalues["i"], np.maximum(values, floor), markersize=3.5, linewidth=0.8, **look)
    axes.axvline(rank + 0.5, color="0.6", linestyle=":", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("number of the eigenvalue")
    axes.set_ylabel("eigenvalue")
