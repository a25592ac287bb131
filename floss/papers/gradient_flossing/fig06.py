"""Fig. 6: flossing the first exponent of LSTM networks (A, B) and of ReLU networks (C, D)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from floss.figures.analysed import count, with_variant
from floss.figures.spread import HALO, curves, quartiles, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.finding import Findings

_LSTM = {"lstm": "learning rate 0.001", "lstm_faster": "learning rate 0.003"}
_RELU = {
    "relu_unstable": "mean of W 0.1, learning rate 0.001",
    "relu_centred": "mean of W 0, learning rate 0.01",
    "relu": "mean of W −0.1, as the paper",
}
"""What differs between the runs of conf/experiment/fig06.yaml."""


def draw(findings: Findings) -> Figure:
    """One row for each architecture: left λ₁ against the flossing epoch, right λ₁²."""
    with house_style():
        figure = plt.figure(figsize=(7.6, 6.9))
        rows: Any = figure.subfigures(2, 1)
        for row, letters, name, runs in ((rows[0], "AB", "LSTM", _LSTM), (rows[1], "CD", "ReLU", _RELU)):
            tables = {label: findings[run].tables["flossing"] for run, label in runs.items()}
            _row(row, letters, name, tables)
        return figure


def _row(figure: SubFigure, letters: str, name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    left, right = figure.subplots(1, 2)
    for place, (label, table) in enumerate(tables.items()):
        colour, dashes = COLOURS[place], DASHES[place]
        course = curves(with_variant(table), "epoch", "lambda_1")
        singles(left, course, colour, dashes, f"{label} ({count(course)})")
        quartiles(right, course**2, colour, dashes)
    left.axhline(0.0, color="0.4", linestyle="--", linewidth=1, zorder=0)
    silent = [text for label, table in tables.items() if (text := _silent(label, table))]
    _say(left, silent)
    n = next(iter(tables.values()))["n"].iloc[0]
    left.set_title(f"{letters[0]}  {name}, N = {n}: first exponent, target 0")
    left.set_ylabel("λ₁ (nats per step)")
    right.set_title(f"{letters[1]}  {name}: median, quartiles")
    right.set_ylabel("λ₁² (nats² per step²)")
    for axes in (left, right):
        axes.set_xlabel("flossing epoch")
    handles, labels = left.get_legend_handles_labels()
    title = "left: median thick, single networks thin"
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=title, title_fontsize=8)


def _silent(label: str, table: pd.DataFrame) -> str:
    """Says how many networks have an exponent of -inf, if any has: no unit responds, so nothing can be drawn."""
    lost = table[table["lambda_1"] == -np.inf]
    first = lost.groupby("seed").agg(epoch=("epoch", "min"))["epoch"].tolist()
    if not first:
        return ""
    since = "from the first epoch on" if not any(first) else f"from epoch {min(first)} on, or later"
    return f"{label}:\nλ₁ = −∞ in {len(first)} of {table['seed'].nunique()} networks {since}:\nno unit responds"


def _say(axes: Axes, texts: list[str]) -> None:
    if texts:
        axes.text(
            0.98, 0.04, "\n".join(texts), transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, bbox=HALO
        )
