"""Appendix D: along training, how far the last step's gradient lies along the first covariant Lyapunov vector.

The paper claims: the gradient turns to the first of them when accuracy rises.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import math
from collections.abc import Callable
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
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing.courses import course_of, departures, window
from floss.papers.samples import middle

RUNS = {"flossed": "early", "span": "early", "unflossed": "none"}
"""The runs of conf/experiment/overlap.yaml, and the schedules whose looks they have."""
UNITS = 80
"""N of these networks."""
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


AROUND, BEFORE = -60, (-600, -480, -360)
"""Where a span of epochs around leaving chance begins, and those before it."""
SPAN = 120
"""Epochs of each: the highest of a few values is above their median by noise, and so is that of as many others."""
SHIFT = 1000
"""Epochs by which a control looks too late."""
PEAK = 0.05
"""A change that counts, of overlaps between 0 and 1."""


def _peak(findings: Findings, run: str, measure: Callable[[Finding], pd.DataFrame], shift: int = 0) -> Sample:
    """Highest value of a measure around leaving chance minus that long before, of each network that has both."""
    table, changes = measure(findings[run]), []
    for key, left in departures(findings[run], RUNS[run]).items():
        highest = [window(table, left + shift + e, left + shift + e + SPAN)[key].max() for e in (AROUND, *BEFORE)]
        changes.append(highest[0] - pd.Series(highest[1:], dtype=float).mean())
    return middle(pd.Series(changes, dtype=float))


def _cosines(finding: Finding) -> pd.DataFrame:
    return course_of(finding, finding.summary["flossing"].iloc[0], "clv_overlap")


def beyond_chance(finding: Finding) -> pd.DataFrame:
    """Share of the gradient in the span, by epoch and network: 0 for random directions, 1 for all of it.

    (s - m/N) / (1 - m/N) for the share s of the squared norm in m of N dimensions; NaN where m = N.
    """
    schedule = finding.summary["flossing"].iloc[0]
    share, vectors = (course_of(finding, schedule, column) for column in ("neutral_share", "neutral_vectors"))
    chance = vectors / UNITS
    return ((share - chance) / (1 - chance)).where(vectors < UNITS)


_LATER = f"the same {SHIFT} epochs later"
_CHANGED = (
    "before, there were a step (the 500 epochs after leaving chance minus the 500 before, which the paper does not say)"
    " and the 150 epochs up to leaving chance, each with the criterion > 0"
)
_EPOCHS = (
    "highest within 60 epochs of leaving chance (the first epoch from which accuracy stays above 60 %) minus that of as"
    " many epochs from 600, 480 and 360 epochs before it (mean of the three), median over networks that have one"
)


def _first_vector(run: str, circumstance: str, known: str, tried: str = "") -> Claim:
    return Claim(
        name=f"overlap.{run}_peaks",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases around the epoch at"
        f" which accuracy leaves chance, {circumstance}.",
        statistic=f"|cos|, {_EPOCHS}",
        criterion=Criterion(above=PEAK),
        sample=partial(_peak, run=run, measure=_cosines),
        control=partial(_peak, run=run, measure=_cosines, shift=SHIFT),
        control_says=_LATER,
        changed=_CHANGED,
        after_data=known,
        tried=tried,
    )


CLAIMS = [
    _first_vector(
        "flossed",
        "with flossing (d = 70)",
        "these networks",
        "The span of all covariant vectors that outlast the delay, which the next claim is about: after flossing dozens"
        " of exponents lie within 0.03 of each other, so that no single vector is apart from the others after 150"
        " steps.",
    ),
    Claim(
        name="overlap.flossed_span_peaks",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the least stable directions increases around the epoch at which"
        " accuracy leaves chance, with flossing (d = 70).",
        statistic="share of the squared norm of the gradient in the span of the covariant vectors with exponents"
        f" above -1/d, beyond that of random directions, {_EPOCHS}",
        criterion=Criterion(above=PEAK),
        sample=partial(_peak, run="span", measure=beyond_chance),
        control=partial(_peak, run="span", measure=beyond_chance, shift=SHIFT),
        control_says=_LATER,
        after_data="the overlaps of these networks with the first vector alone",
    ),
    _first_vector("unflossed", "without flossing (d = 20)", "these networks"),
]
