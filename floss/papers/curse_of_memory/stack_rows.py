"""What Figs 5 and 13 share: gradients and activity of stacks as arrays, and the authors' values."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

import numpy as np
import pandas as pd

from floss.papers.finding import Findings

AUTHORS = {
    ("lru", "rest"): ((4.4e-7, 5.1e-7), (2.5e-7, 5.0e-7)),
    ("lru", "ν"): ((0.9e-7, 2.6e-7), (1.9e-7, 2.0e-6)),
    ("lru", "θ"): ((0.6e-6, 2.0e-6), (1.3e-3, 1.7e-2)),
    ("crnn", "rest"): ((1.0e-6, 1.5e-6), (7.4e5, 2.8e6)),
    ("crnn", "λ"): ((2.1e-6, 4.0e-6), (4.9e9, 4.3e10)),
}
"""Smallest and largest of four layers' mean squared gradients in the authors' stored data, at t = 1 and t = 100."""
ENDS = (1.0, 100.0)
"""The memories t at which they are."""
LATER = slice(1, None)
"""Layers without encoder and decoder, which are layer 0."""


def gradients(findings: Findings, run: str, group: str) -> np.ndarray:
    """Mean squared gradients of a group of parameters in every block [seeds, times, layers]."""
    table = findings[run].tables["gradients"]
    rows = table[(table["group"] == group) & (table["layer"] > 0)]
    return _array(rows.sort_values(["seed", "t", "layer"]), "mean_square", ["seed", "t", "layer"])


def whole(findings: Findings, run: str, group: str) -> np.ndarray:
    """The same over all parameters of a group in the whole network, encoder and decoder too [seeds, times]."""
    table = findings[run].tables["gradients"]
    rows = table[table["group"] == group]
    weighted = rows.assign(total=rows["mean_square"] * rows["parameters"])
    sums = weighted.groupby(["seed", "t"])[["total", "parameters"]].sum()
    return (sums["total"] / sums["parameters"]).unstack("t").to_numpy(dtype=float)


def activity(findings: Findings, run: str) -> np.ndarray:
    """Mean squares of the blocks' outputs [seeds, times, layers]."""
    rows = findings[run].tables["activity"].sort_values(["seed", "t", "layer"])
    return _array(rows, "mean_square", ["seed", "t", "layer"])


def times(findings: Findings, run: str) -> np.ndarray:
    """The memories t of a run, in order."""
    return np.sort(findings[run].tables["activity"]["t"].unique())


def on_own_data(findings: Findings) -> bool:
    """Whether the input is not a surrogate but embeddings of the user's own."""
    return "data" in findings["crnn"].tables["activity"]


def _array(rows: pd.DataFrame, column: str, axes: list[str]) -> np.ndarray:
    return rows[column].to_numpy(dtype=float).reshape([rows[axis].nunique() for axis in axes])


def outside(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """By what factor values are outside an interval; 1 for those within it."""
    return np.maximum(1.0, np.maximum(bounds[0] / values, values / bounds[1]))
