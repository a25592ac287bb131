"""Fig. 15: states of gated neurons, and their derivatives by the forget gates' biases, against the time constant.

The paper claims: both are as the theory of constant gates has them, and bounded. The input is a surrogate of word
embeddings; the embeddings of the paper are not to be had.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.plots import input_words
from floss.papers.finding import Findings

MOMENTS = {"state": "h²", "sensitivity": "(∂h/∂b)²"}
WORDS = {"constant": "constant", "input": "input", "state": "input and state"}
"""What a legend says that the gates depend on."""
FROM = 16
"""Time constants from here on are wider than the kernel of the means."""


def draw(findings: Findings) -> Figure:
    """Rows: GRU, LSTM; columns: squares of the state and of its derivative. Dots: neurons; lines: means and theory."""
    tables = findings["gates"].tables
    top = 10 * tables["theory"][list(MOMENTS)].to_numpy(dtype=float).max()
    limits = (top / 3e6, top) if "data" in tables["means"] else (1e-6, 3)  # embeddings may have any size
    with house_style():
        figure, grid = plt.subplots(2, 2, figsize=(8.6, 6.4), sharex=True, sharey="col")
        for line, cell in zip(grid, ("gru", "lstm"), strict=True):
            law = tables["theory"][tables["theory"]["cell"] == cell]
            for axes, (moment, words) in zip(line, MOMENTS.items(), strict=True):
                for place, (gates, label) in enumerate(WORDS.items()):
                    neurons = _rows(tables["neurons"], cell, gates)
                    look = {"color": COLOURS[place], "rasterized": True}
                    axes.plot(neurons["T"], neurons[moment], ".", markersize=1.5, alpha=0.35, **look)
                    means = mean_at(_rows(tables["means"], cell, gates), moment)
                    look = {"color": COLOURS[place], "marker": MARKERS[place], "markersize": 3.5}
                    axes.plot(means.index, means, label=label, linewidth=1.2, linestyle=DASHES[place], **look)
                axes.plot(law["T"], law[moment], color="black", linewidth=1, label="theory, constant", zorder=5)
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.set_ylim(*limits)
                axes.set_title(f"{cell.upper()}: {words}")
        for axes in grid[1]:
            axes.set_xlabel("time constant T (steps)")
        grid[0, 0].legend(title="gates depend on", title_fontsize=7, fontsize=7, loc="lower left", frameon=True)
        figure.suptitle(input_words(tables["means"]), fontsize=10)
        return figure


def _rows(table: pd.DataFrame, cell: str, gates: str) -> pd.DataFrame:
    return table[(table["cell"] == cell) & (table["gates"] == gates)]


def mean_at(rows: pd.DataFrame, moment: str) -> pd.Series:
    """Means over all batches at every T."""
    sums = rows.groupby("T")[["weight", moment]].sum()
    return sums[moment] / sums["weight"]


# --- claims ---


def _sums(findings: Findings, cell: str, kinds: Sequence[str], least: int) -> tuple[np.ndarray, list[int]]:
    """Weights and weighted squares [batches, 2 moments, kinds, times, 2], and the times from `least` on."""
    table = findings["gates"].tables["means"]
    table = table[(table["cell"] == cell) & (table["T"] >= least)]
    values = [
        [_rows(table, cell, gates).pivot(index="batch", columns="T", values=name).to_numpy(dtype=float)]
        for gates in kinds
        for name in ("weight", *MOMENTS)
    ]
    stacked = np.stack([each[0] for each in values], 1)
    batches, _, times = stacked.shape
    by_kind = stacked.reshape(batches, len(kinds), 3, times)
    pairs = np.stack([by_kind[:, :, [0, 1 + m]] for m in range(2)], 1)
    return np.moveaxis(pairs, 3, -1), sorted(table["T"].unique())


def _off_theory(findings: Findings, cell: str, kinds: Sequence[str], columns: Sequence[str], factor: bool) -> Sample:
    """|mean / theory - 1|, or the factor between both, the largest over moments, kinds of gates and T from 16 on."""
    rows, times = _sums(findings, cell, kinds, FROM)
    theory = findings["gates"].tables["theory"]
    theory = theory[(theory["cell"] == cell) & theory["T"].isin(times)].sort_values("T")
    law = theory[list(columns)].to_numpy(dtype=float).T[:, None, :]

    def statistic(some: np.ndarray) -> float:
        ratio = _means(some) / law
        return np.maximum(ratio, 1 / ratio).max() if factor else np.abs(ratio - 1).max()

    return Sample(rows, statistic, 0)


def _means(some: np.ndarray) -> np.ndarray:
    """[2 moments, kinds, times], of some batches."""
    sums = some.sum(axis=0)
    return sums[..., 1] / sums[..., 0]


def _range(findings: Findings, cell: str) -> Sample:
    rows, _ = _sums(findings, cell, tuple(WORDS), 2)

    def statistic(some: np.ndarray) -> float:
        means = _means(some)
        return (means.max(axis=-1) / means.min(axis=-1)).max()

    return Sample(rows, statistic, 0)


def _range_by_lambda(findings: Findings, cell: str) -> Sample:
    theory = findings["gates"].tables["theory"]
    values = theory[theory["cell"] == cell]["by_lambda"].to_numpy(dtype=float)
    return Sample(values, lambda rows: rows.max() / rows.min(), 0, formula=True)


_OWN, _WHITE = tuple(MOMENTS), ("white_state", "white_sensitivity")
_SUMMARY = "a summary of the paper"
_OFF = "the largest over h², (∂h/∂b)² and T from 16 to 256; means over neurons with about this T; surrogate embeddings"
_PLACE = "App. C, Fig. 15"


def _claim(
    name: str,
    place: str,
    sentence: str,
    statistic: str,
    below: float,
    sample: Callable[[Findings], Sample],
    **more: Any,
) -> Claim:
    return Claim(
        name=f"fig15.{name}",
        figure="fig15",
        place=place,
        sentence=sentence,
        statistic=statistic,
        criterion=Criterion(below=below),
        sample=sample,
        **more,
    )


_TRIED = {
    "lstm_theory": "With 512 steps a neuron with T = 256 has not settled: the same theory summed over 512 lags has"
    " 0.0103 there, and the mean of (∂h/∂b)² is 0.0112. Up to T = 128 all means are within 13 % of the theory.",
    "lstm_dependent": "The largest factor is that of h² at T = 45, with gates that depend on input and state: an input"
    " gate of its own is not tied to the forget gate, as that of a GRU is.",
}


def _claims(cell: str, prefix: str, place: str, who: str) -> list[Claim]:
    return [
        _claim(
            f"{prefix}theory",
            place,
            f"Sizes of states and of their derivatives by biases are those of the theory, {who} with constant gates.",
            f"|mean / theory - 1|, {_OFF}",
            0.3,
            partial(_off_theory, cell=cell, kinds=("constant",), columns=_OWN, factor=False),
            control=partial(_off_theory, cell=cell, kinds=("constant",), columns=_WHITE, factor=False),
            control_says="the theory of white input of the same variance",
            tried=_TRIED.get(f"{prefix}theory", ""),
        ),
        _claim(
            f"{prefix}dependent",
            place,
            f"They are close to it, {who} with gates that depend on the input, or on input and state.",
            f"factor between mean and theory of constant gates, {_OFF}",
            2,
            partial(_off_theory, cell=cell, kinds=("input", "state"), columns=_OWN, factor=True),
            control=partial(_off_theory, cell=cell, kinds=("input", "state"), columns=_WHITE, factor=True),
            control_says="the theory of white input of the same variance",
            tried=_TRIED.get(f"{prefix}dependent", ""),
        ),
        _claim(
            f"{prefix}bounded",
            place,
            f"Both stay bounded as the memory grows: they change by less than a decade, {who}.",
            "largest / smallest mean over T from 2 to 256, the largest of h², (∂h/∂b)² and three kinds of gates;"
            " surrogate embeddings",
            10,
            partial(_range, cell=cell),
            control=partial(_range_by_lambda, cell=cell),
            control_says="the derivative by λ instead of b, theory of constant gates",
        ),
    ]


CLAIMS = [*_claims("gru", "", _PLACE, "in a GRU"), *_claims("lstm", "lstm_", _SUMMARY, "in an LSTM")]
