"""Fig. 14: entries of the Jacobians of gated networks against the lag.

The paper claims: with its standard initialisation a GRU is nearly diagonal, and its forget gates set its time scales.
The input is a surrogate of word embeddings; the embeddings of the paper are not to be had.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.jacobian_jobs import PANELS
from floss.papers.curse_of_memory.plots import input_words
from floss.papers.finding import Findings
from floss.papers.samples import count, middle

EVERY = 4
"""One of so many entries in the table is drawn."""
EXACT = 1e-9
"""Relative deviation from [U/(1 + U)]^Δ that rounding may make."""


def draw(findings: Findings) -> Figure:
    """Rows A, B, C: a GRU; D: an LSTM with gates that depend on input and state. Columns: ranges of U, or σ_h."""
    with house_style():
        figure, grid = plt.subplots(4, 3, figsize=(8, 8), sharex=True, sharey="row")
        for place, panel in enumerate(PANELS):
            axes = grid[place // 3, place % 3]
            _entries(axes, findings["gru"].tables["entries"], panel)
            axes.set_title(f"{panel[0]}  GRU, {_words(panel)}", fontsize=9)
        for axes, panel in zip(grid[3], PANELS[3:6], strict=True):
            _entries(axes, findings["lstm"].tables["entries"], panel)
            axes.set_title(f"D  LSTM, {_words(panel)}", fontsize=9)
            axes.set_xlabel("lag Δ (steps)")
        for axes, name in zip(grid[:, 0], ("∂h$_Δ$/∂h$_0$",) * 3 + ("∂c$_Δ$/∂c$_0$",), strict=True):
            axes.set_ylabel(f"entries of {name}")
        grid[0, 0].plot([], [], color=COLOURS[0], label="diagonal")
        grid[0, 0].plot([], [], color=COLOURS[1], label="others, drawn at random")
        grid[0, 0].legend(fontsize=7)
        figure.suptitle(input_words(findings["gru"].tables["lags"]), fontsize=10)
        return figure


def _words(panel: tuple[str, int, float, float]) -> str:
    _, T, sigma_x, sigma_h = panel
    return f"U in [1, {T}], σ$_x$ = {sigma_x:g}, σ$_h$ = {sigma_h:g}"


def _entries(axes: Axes, table: pd.DataFrame, panel: tuple[str, int, float, float]) -> None:
    rows = _of(table, *panel)
    lags = [column for column in table.columns if column.startswith("lag")]
    x = [int(name.removeprefix("lag")) for name in lags]
    looks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("other", {"color": COLOURS[1], "alpha": 0.45, "zorder": 1}),
        ("diagonal", {"color": COLOURS[0], "alpha": 0.45, "zorder": 2}),
    )
    for kind, look in looks:
        values = rows[rows["kind"] == kind][lags].to_numpy(dtype=float)[::EVERY].T
        axes.plot(x, values, linewidth=0.6, rasterized=True, **look)
    axes.set_xscale("log")


# --- claims ---


def _of(table: pd.DataFrame, row: str, T: int, sigma_x: float, sigma_h: float) -> pd.DataFrame:
    """The rows of a panel."""
    same = {"row": row, "T": T, "sigma_x": sigma_x, "sigma_h": sigma_h}
    return table[np.logical_and.reduce([table[name] == value for name, value in same.items()])]


def _networks(findings: Findings, run: str, row: str, sigma_h: float | None = None) -> pd.DataFrame:
    """Networks of a row of the figure, those of the same seed together."""
    table = findings[run].tables["networks"]
    rows = table[table["row"] == row]
    return rows if sigma_h is None else rows[rows["sigma_h"] == sigma_h]


def _exact(findings: Findings, run: str, row: str) -> Sample:
    """Of how many seeds all networks of a row have the entries of constant gates."""
    rows = _networks(findings, run, row)
    exact = (rows["nonzero"] == 0) & (rows["off_law"] < EXACT)
    return count(exact.groupby(rows["seed"]).all(), each=0)


def _diagonal(findings: Findings, run: str, row: str, sigma_h: float) -> Sample:
    return count(_networks(findings, run, row, sigma_h)["nonzero"] == 0, each=0)


def _others(findings: Findings, run: str, row: str, sigma_h: float | None = None) -> Sample:
    rows = _networks(findings, run, row, sigma_h)
    return middle(rows.groupby("seed")["others_largest"].max(), each=0)


def _shape(findings: Findings, run: str) -> Sample:
    rows = _networks(findings, run, "B")
    return middle(rows.groupby("seed")["correlation"].min(), each=0)


_LARGEST = "largest |entry| of 512 off the diagonal, over 20 lags up to 512 steps"
_EXACT = (
    "seeds whose networks, in all three ranges of U, have no entry off the diagonal that is not 0, and diagonal"
    " entries within 10⁻⁹ of [U/(1 + U)]^Δ; surrogate embeddings"
)
_SUMMARY = "a summary of the paper"


def _claim(
    name: str, place: str, sentence: str, statistic: str, criterion: Criterion, sample: Any, **more: Any
) -> Claim:
    return Claim(
        name=f"fig14.{name}",
        figure="fig14",
        place=place,
        sentence=sentence,
        statistic=statistic,
        criterion=criterion,
        sample=sample,
        **more,
    )


_OFF_B = f"{_LARGEST}, the largest of three ranges of U, median over networks; surrogate embeddings"
_SHAPE = (
    "correlation of the diagonal entries at 20 lags with [U/(1 + U)]^Δ, the smallest of three ranges of U, median over"
    " networks; surrogate embeddings"
)

CLAIMS = [
    _claim(
        "constant_gates",
        "App. C, Fig. 14A",
        "With constant gates the Jacobian of a GRU is diagonal, and its entries are powers of the forget gates.",
        _EXACT,
        Criterion(above=0.5),
        partial(_exact, run="gru", row="A"),
        control=partial(_exact, run="gru", row="B"),
        control_says="gates that depend on input and state",
    ),
    _claim(
        "off_diagonal",
        "App. C, Fig. 14B",
        "With gates that depend on input and state entries off the diagonal stay small: 0.07 at most.",
        _OFF_B,
        Criterion(below=0.1),
        partial(_others, run="gru", row="B"),
        control=partial(_others, run="gru", row="C", sigma_h=3),
        control_says="recurrent weights three times as large",
    ),
    _claim(
        "same_shape",
        "App. C, Fig. 14B",
        "The diagonal entries decay as they do with constant gates.",
        _SHAPE,
        Criterion(above=0.9),
        partial(_shape, run="gru"),
        tried="It is that of U = 1, whose gates move the most; with U up to 16 and 256 it is 0.96 and 0.98. With input"
        " weights of variance 1 / features it is 0.93 for U = 1.",
    ),
    _claim(
        "input_gates",
        "App. C, Fig. 14C",
        "With gates that depend on the input alone the Jacobian is diagonal.",
        "networks with σ_h = 0 that have no entry off the diagonal that is not 0; surrogate embeddings",
        Criterion(above=0.5),
        partial(_diagonal, run="gru", row="C", sigma_h=0),
        control=partial(_diagonal, run="gru", row="C", sigma_h=1),
        control_says="σ_h = 1",
    ),
    _claim(
        "breaks",
        "App. C, Fig. 14C",
        "With large recurrent weights, σ_h = 3, this breaks: entries off the diagonal reach 0.2.",
        f"{_LARGEST}, median over networks; surrogate embeddings",
        Criterion(above=0.1),
        partial(_others, run="gru", row="C", sigma_h=3),
        control=partial(_others, run="gru", row="C", sigma_h=1),
        control_says="σ_h = 1",
    ),
    _claim(
        "lecun",
        "Sec. 5, Fig. 14B",
        "It does not depend on the input weights' variance, of which text and code have different ones.",
        f"{_OFF_B}; input weights of variance 1 / features instead of 2 / features",
        Criterion(below=0.1),
        partial(_others, run="lecun", row="B"),
        control=partial(_others, run="lecun", row="C", sigma_h=3),
        control_says="recurrent weights three times as large",
        ours=True,
    ),
    _claim(
        "lstm_constant_gates",
        _SUMMARY,
        "LSTMs are element-wise as well: with constant gates the Jacobian of their cells is diagonal.",
        _EXACT,
        Criterion(above=0.5),
        partial(_exact, run="lstm", row="A"),
        control=partial(_exact, run="lstm", row="B"),
        control_says="gates that depend on input and state",
    ),
    _claim(
        "lstm_off_diagonal",
        _SUMMARY,
        "With gates that depend on input and state its entries off the diagonal stay small.",
        _OFF_B,
        Criterion(below=0.1),
        partial(_others, run="lstm", row="B"),
        control=partial(_others, run="lstm", row="C", sigma_h=3),
        control_says="recurrent weights three times as large",
        tried="Six networks; the largest entries are those of the longest range of U, in the GRU of the shortest.",
    ),
    _claim(
        "lstm_same_shape",
        _SUMMARY,
        "Its diagonal entries decay as they do with constant gates.",
        _SHAPE,
        Criterion(above=0.9),
        partial(_shape, run="lstm"),
        tried="It is that of U = 1, whose gates move the most; with U up to 16 and 256 it is 0.96 and 0.98.",
    ),
]
