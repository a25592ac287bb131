"""What the figures of trained students share: final losses at tuned learning rates, and a panel of them."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from floss.figures.style import COLOURS, MARKERS
from floss.papers.claim import Sample
from floss.papers.samples import middle


@dataclass(frozen=True)
class Tuned:
    """Final losses of some networks, one for each seed."""

    losses: pd.Series
    """By seed; infinite where the network diverged."""
    rates: pd.Series
    """The learning rate of each."""
    at_an_edge: bool
    """Whether the best rate is the least or the largest that was tried, so that a better one may lie beyond."""
    networks: int
    """How many networks were trained for this."""


def tuned(summary: pd.DataFrame) -> Tuned:
    """The loss of each seed at the learning rate with the smallest mean loss over all other seeds.

    The paper takes the rate with the smallest mean over all seeds; but a seed that a choice was made on does not test
    it. A rate at which a network diverged has an infinite mean.
    """
    table = summary.assign(loss=summary["final_loss"].fillna(np.inf)).pivot(
        index="seed", columns="train.lr", values="loss"
    )
    rates = {}
    for seed in table.index:
        others = table.drop(index=seed) if len(table) > 1 else table
        rates[seed] = others.mean().idxmin()
    best = table.mean().idxmin()
    losses = pd.Series({seed: table.loc[seed, rate] for seed, rate in rates.items()})
    edges = (table.columns.min(), table.columns.max())
    return Tuned(losses, pd.Series(rates), best in edges and len(table.columns) > 1, table.size)


def ratio(worse: pd.DataFrame, better: pd.DataFrame) -> Sample:
    """Median over seeds of log₁₀ of the loss of one student over that of another, each at its tuned rate.

    A network that diverged counts as a million times worse, in either direction.
    """
    first, second = tuned(worse), tuned(better)
    sample = middle(decades(first.losses, second.losses))
    return Sample(sample.rows, sample.statistic, first.networks + second.networks)


def decades(worse: pd.Series, better: pd.Series) -> pd.Series:
    """log₁₀ of losses over others by seed, at most six in either direction; NaN where both diverged."""
    with np.errstate(invalid="ignore"):
        return (np.log10(worse) - np.log10(better)).clip(-6.0, 6.0)


_HIGHEST = 1e4
"""Loss up to which losses are drawn as they are; before training it is about 1."""


def losses_panel(axes: Axes, groups: Sequence[tuple[str, Sequence[float], Sequence[Tuned]]]) -> None:
    """Final losses of groups of students: medians over seeds as lines, and every seed as a dot.

    A median is open where the best learning rate is the least or the largest that was tried. Losses beyond `_HIGHEST`,
    of networks that all but diverged, are triangles at the height of it: the others would all lie on one line.
    """
    for place, (label, x, results) in enumerate(groups):
        colour, marker = COLOURS[place], MARKERS[place]
        medians = [result.losses.median() for result in results]
        axes.plot(x, medians, color=colour, linewidth=1.4, label=label)
        for at, result, median in zip(x, results, medians, strict=True):
            shown = result.losses[result.losses <= _HIGHEST]
            axes.plot([at] * len(shown), shown, ".", color=colour, alpha=0.5, markersize=4)
            if beyond := len(result.losses) - len(shown):
                axes.plot([at] * beyond, [_HIGHEST] * beyond, "^", color=colour, alpha=0.5, markersize=4)
            axes.plot(
                [at],
                [median],
                marker,
                color=colour,
                markersize=6,
                markerfacecolor="white" if result.at_an_edge else colour,
            )
    axes.set_yscale("log")
    axes.set_ylabel("final loss")
