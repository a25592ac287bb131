"""Appendix D: along training, how far the last step's gradient lies along the first covariant Lyapunov vector.

The paper claims: the gradient turns to the first of them when accuracy rises.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import math
from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from floss.figures.departure import leaves_chance
from floss.figures.panels import accuracy_axis, epoch_axis, legend_below
from floss.figures.spread import curves, singles
from floss.figures.style import house_style, look
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

RUNS = {"flossed": "early", "unflossed": "none"}
"""The runs of conf/experiment/overlap.yaml, and the schedules whose looks they have."""
SHOWN = 600
"""Epochs on either side of leaving chance in C."""
RANDOM = math.sqrt(2 / (math.pi * 80))
"""Mean overlap of two random directions, about: these networks have N = 80 units."""
_TICKS = (0, 250, 500, 2000, 10000)
_MEASURES = ("clv_overlap", "accuracy")


def draw(findings: Findings) -> Figure:
    """Overlap (above) and accuracy (below) against the epoch (A, B), and against that since leaving chance (C)."""
    with house_style():
        figure, axes = plt.subplots(2, 3, figsize=(8, 5), sharex="col", sharey="row")
        for column, run in enumerate(RUNS):
            training = findings[run].training
            left = leaves_chance(training)
            d = training["d"].iloc[0]
            label = f"{run}, d = {d} (n = {len(left)}, of which {left.notna().sum()} leave chance)"
            colour, marker, dashes = look(RUNS[run], list(RUNS.values()))
            for measure, panel, aligned in zip(_MEASURES, axes[:, column], axes[:, 2], strict=True):
                singles(panel, curves(training, "epoch", measure), colour, dashes, label)
                _mark(panel, training, measure, left, marker)
                singles(aligned, since_departure(training, measure, left), colour, dashes)
            axes[0, column].set_title(f"{'AB'[column]}  {run}, d = {d}")
            _epoch_axis(axes[1, column], training)
        axes[0, 2].set_title("C  both, aligned")
        axes[1, 2].set_xlabel("epochs since leaving chance")
        for panel in axes[:, 2]:
            panel.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        for panel in axes[1]:
            accuracy_axis(panel)
        for panel in axes[0]:
            panel.axhline(RANDOM, color="0.4", linestyle=":", linewidth=1.2, zorder=0)
        axes[0, 0].set_ylim(0, min(1.02, max(0.3, axes[0, 0].get_ylim()[1])))
        axes[0, 0].set_ylabel("|cos| of gradient and\ncovariant vector")
        axes[1, 0].set_ylabel("test accuracy")
        title = (
            "median thick, networks thin; black symbols: a network leaves chance, for good above 60 %\n"
            f"grey dotted line: two random directions, {RANDOM:.2f}"
        )
        legend_below(figure, axes[0], title=title, ncols=2)
        return figure


def since_departure(training: pd.DataFrame, measure: str, left: pd.Series, around: int = SHOWN) -> pd.DataFrame:
    """A measure by the epochs since each network left chance, one column for each that did.

    From so many epochs before to so many after; only where half of those networks or more have a value.
    """
    since = training.assign(epoch=training["epoch"] - training["network"].map(left))
    table = curves(since[since["epoch"].abs() <= around], "epoch", measure)
    return table.loc[table.notna().sum(axis=1) >= table.shape[1] / 2, :]


def _epoch_axis(axes: Axes, training: pd.DataFrame) -> None:
    """As elsewhere, with labels that fit a narrow panel."""
    epoch_axis(axes, training, early=True)
    if axes.get_xscale() != "linear":
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if tick <= axes.get_xlim()[1]]))
        axes.set_xlabel("training epoch\n(logarithmic from 500)")


def _mark(axes: Axes, training: pd.DataFrame, measure: str, left: pd.Series, marker: str) -> None:
    """A symbol on each network's curve where it leaves chance."""
    rows = training[training["epoch"] == training["network"].map(left)]
    axes.plot(rows["epoch"], rows[measure], marker, color="black", markersize=4, fillstyle="none")


# --- claims ---


AROUND = 500
"""Epochs before and after leaving chance that are compared."""
SHORTLY, LONG = (-150, 0), (-600, -300)
"""Epochs shortly and long before leaving chance."""


def _change(findings: Findings, run: str, later: tuple[int, int], earlier: tuple[int, int]) -> Sample:
    """Median overlap in one span of epochs, counted from leaving chance, minus that in another, of each network."""
    rows = findings[run].training
    table = rows.pivot_table(index="epoch", columns="network", values="clv_overlap", dropna=False)
    changes = []
    for key, e in leaves_chance(rows).dropna().items():
        spans = (
            table.loc[(table.index >= e + first) & (table.index < e + last), key] for first, last in (later, earlier)
        )
        to, start = (span.median() for span in spans)
        changes.append(to - start)
    return middle(pd.Series(changes, dtype=float))


def _rises(run: str, circumstance: str) -> Claim:
    return Claim(
        name=f"overlap.{run}_rises",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases when accuracy leaves"
        f" chance, {circumstance}.",
        statistic=f"median |cos| in the {AROUND} epochs from the first from which accuracy stays above 60 % on minus"
        f" in the {AROUND} before it, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=partial(_change, run=run, later=(0, AROUND), earlier=(-AROUND, 0)),
        tried="An increase that is over when accuracy leaves chance, which another claim, added after these data were"
        " seen, is about. The paper does not say from which past its vector comes; here it is half of the run.",
    )


def _peaks(run: str, circumstance: str) -> Claim:
    return Claim(
        name=f"overlap.{run}_peaks",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases around the epoch at"
        f" which accuracy leaves chance, {circumstance}.",
        statistic="median |cos| in the 150 epochs before the first from which accuracy stays above 60 % minus that 600"
        " to 300 epochs before it, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=partial(_change, run=run, later=SHORTLY, earlier=LONG),
        tried="Added after the data were seen, since the claim before it looks too late.",
    )


_FLOSSED = ("flossed", "with flossing (d = 70)")
_UNFLOSSED = ("unflossed", "without flossing (d = 20)")
CLAIMS = [_rises(*_FLOSSED), _peaks(*_FLOSSED), _rises(*_UNFLOSSED), _peaks(*_UNFLOSSED)]
