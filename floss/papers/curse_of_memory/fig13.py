"""Fig. 13: gradients of the stacks of Fig. 5, layer by layer, and of stacks of more and fewer blocks.

The paper claims: no layer is special. A summary of the paper says that sensitivity grows exponentially with depth.
Inputs are a surrogate of word embeddings, which are not to be had.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.fig05 import GROUPS, WORDS
from floss.papers.curse_of_memory.plots import input_words, ramp
from floss.papers.curse_of_memory.stack import RECURRENT
from floss.papers.curse_of_memory.stack_rows import AUTHORS, ENDS, gradients, outside, times
from floss.papers.finding import Findings

DEPTHS = ("depth_crnn", "depth_crnn_norm", "depth_lru", "depth_gru")
"""Runs over the number of blocks."""
SHALLOW, DEEP = 2, 8
"""Numbers of blocks between which growth is measured."""


def draw(findings: Findings) -> Figure:
    """A to C: gradients of each block against memory, groups by dashes; D: against the number of blocks."""
    with house_style():
        figure, line = plt.subplots(1, 4, figsize=(12, 3.7))
        for axes, (run, groups) in zip(line, GROUPS.items(), strict=False):
            for dashes, group in zip(DASHES, groups, strict=False):
                values = gradients(findings, run, group).mean(axis=0)
                for layer, style in enumerate(ramp(range(values.shape[1]))):
                    label = f"{group}, block {layer + 1}" if layer in (0, values.shape[1] - 1) else None
                    look = {"color": style["color"], "linestyle": dashes, "label": label}
                    axes.plot(times(findings, run), values[:, layer], linewidth=1.2, **look)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("memory t (steps)")
            axes.set_title(f"{'ABC'[list(GROUPS).index(run)]}  {WORDS[run]}")
            axes.legend(fontsize=6.5)
        _depth(line[3], findings)
        line[0].set_ylabel("mean squared gradient")
        figure.suptitle(input_words(findings["crnn"].tables["activity"]), fontsize=10)
        return figure


def _depth(axes: Axes, findings: Findings) -> None:
    for place, run in enumerate(DEPTHS):
        layers, values = by_depth(findings, run)
        look = {"color": COLOURS[place], "marker": MARKERS[place], "label": WORDS[run.removeprefix("depth_")]}
        mean = np.exp(np.log(values).mean(axis=0))
        axes.plot(layers, mean / mean[0], linewidth=1.2, markersize=3.5, **look)
    axes.set_yscale("log")
    axes.set_xticks([1, 2, 4, 8])
    axes.set_xlabel("number of blocks, t = 10")
    axes.set_title("D  Recurrent parameters")
    axes.set_ylabel("mean squared gradient / that of one block")
    axes.legend(fontsize=6.5)


def by_depth(findings: Findings, run: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of blocks, and mean squared gradients of all recurrent parameters [networks, numbers of blocks]."""
    table = findings[run].tables["gradients"]
    rows = table[table["group"].isin(list(RECURRENT[table["cell"].iloc[0]]))]
    weighted = rows.assign(total=rows["mean_square"] * rows["parameters"])
    sums = weighted.groupby(["seed", "layers"])[["total", "parameters"]].sum()
    square = (sums["total"] / sums["parameters"]).unstack("layers")
    return square.columns.to_numpy(dtype=int), square.to_numpy(dtype=float)


# --- claims ---


def _trend(findings: Findings, runs: tuple[str, ...]) -> Sample:
    """Decades between the first and the last block, the largest of groups and memories."""
    every = np.concatenate([gradients(findings, run, group) for run in runs for group in GROUPS[run]], axis=1)

    def statistic(rows: np.ndarray) -> float:
        mean = rows.mean(axis=0)
        return float(np.abs(np.log10(mean[:, -1] / mean[:, 0])).max())

    return Sample(every, statistic, 0)


def _outside(findings: Findings, run: str, like: str | None = None) -> Sample:
    """Factor by which a layer's mean is outside the range of the authors' layers, the largest of groups, layers, t."""
    groups = [group for cell, group in AUTHORS if cell == (like or run)]
    ends = [int(np.flatnonzero(times(findings, run) == t)[0]) for t in ENDS]
    own = dict(zip(groups, GROUPS[run] if like else groups, strict=False))
    every = np.stack([gradients(findings, run, own.get(g, "rest"))[:, ends] for g in groups], 1)

    def statistic(rows: np.ndarray) -> float:
        mean = rows.mean(axis=0)
        bounds = [AUTHORS[like or run, group] for group in groups]
        return float(max(outside(mean[g, e], bounds[g][e]).max() for g in range(len(groups)) for e in (0, 1)))

    return Sample(every, statistic, 0)


def _per_block(findings: Findings, runs: tuple[str, ...]) -> Sample:
    """Growth per added block from 2 to 8 blocks, geometric mean over networks; the smallest of several cells."""
    every = []
    for run in runs:
        layers, values = by_depth(findings, run)
        every.append(np.log(values[:, layers == DEEP] / values[:, layers == SHALLOW])[:, 0] / (DEEP - SHALLOW))
    return Sample(np.stack(every, -1), lambda rows: float(np.exp(rows.mean(axis=0)).min()), 0)


_PLACE = "App. C, Fig. 13"
_SURROGATE = "surrogate embeddings, independent"
_FACTOR = (
    "factor by which a block's mean squared gradient is outside the range of the authors' four blocks, the largest of"
    f" groups of parameters, blocks, and t = 1 and 100; {_SURROGATE}"
)
_BLOCK = (
    "factor of the recurrent parameters' mean squared gradient per added block, from 2 to 8 blocks, t = 10, geometric"
    " mean over networks"
)


def _claim(
    name: str, place: str, sentence: str, statistic: str, criterion: Criterion, sample: Callable[[Findings], Sample],
    **more: Any,
) -> Claim:  # fmt: skip
    return Claim(
        name=f"fig13.{name}",
        figure="fig13",
        place=place,
        sentence=sentence,
        statistic=statistic,
        criterion=criterion,
        sample=sample,
        **more,
    )


CLAIMS = [
    _claim(
        "no_trend",
        _PLACE,
        "Gradients show no trend with the layer beyond one decade, in any group of parameters and at any memory.",
        f"|decades from block 1 to block 4|, the largest of groups of parameters, cells and t; {_SURROGATE}",
        Criterion(below=1),
        partial(_trend, runs=("crnn", "lru", "gru")),
        tried="Two groups exceed it: the cRNN's other parameters at t = 100, which fall by 1.2 decades, and the LRU's"
        " angles at t = 1, which rise by 1.06.",
    ),
    _claim(
        "lru_values",
        _PLACE,
        "The gradients of the LRU are those of the authors' stored data, block by block, within a factor of 4.",
        _FACTOR,
        Criterion(below=4),
        partial(_outside, run="lru"),
        control=partial(_outside, run="lru", like="crnn"),
        control_says="the authors' values of the cRNN",
        tried="Two of 24 values are not: the angle's in block 1 at t = 1, 4.4 times smaller, and in block 3 at t = 100,"
        " 10 times larger, 5 times with the median over networks. All others are within a factor of 2.4.",
        after_data="Values of another program with other random numbers, which agreed within a factor of 4.",
    ),
    _claim(
        "crnn_values",
        _PLACE,
        "So are those of the cRNN.",
        _FACTOR,
        Criterion(below=4),
        partial(_outside, run="crnn"),
        control=partial(_outside, run="crnn", like="lru"),
        control_says="the authors' values of the LRU",
        tried="One of 16 values is not: that of λ in block 1 at t = 1, which is 4.4 times smaller. All others are"
        " within a factor of 3.2.",
        after_data="Values of another program with other random numbers, which agreed within a factor of 4.",
    ),
    _claim(
        "exponential",
        "a summary of the paper",
        "The sensitivity to parameters grows exponentially with depth, even where no gradient explodes.",
        f"{_BLOCK}, the smallest of LRU, GRU, and cRNN with layer norms; {_SURROGATE}",
        Criterion(above=1.5),
        partial(_per_block, runs=("depth_lru", "depth_gru", "depth_crnn_norm")),
        tried="It depends on the stack: where activity grows from block to block, in LRUs without layer norms, it does,"
        " by a factor of 3.0 per block. In GRUs and with layer norms the factors are 1.15 and 1.25.",
    ),
    _claim(
        "exponential_crnn",
        _PLACE,
        "Where activity explodes it does: in a cRNN without layer norms.",
        f"{_BLOCK}; {_SURROGATE}",
        Criterion(above=1.5),
        partial(_per_block, runs=("depth_crnn",)),
        ours=True,
    ),
]
