"""Fig. 8: how far the gradient of the loss reaches, ‖∂L/∂h₀‖, and accuracy, without and with early episodes.

L is the loss of all steps t ≥ d, as in the author's published example; Eq. 18 has that of the last step alone, which
the tables have as well (`grad_norm_h0_last`).

The paper claims: flossing makes the gradient reach the initial state.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import LARGE, leaves_chance
from floss.figures.panels import (
    NORM,
    accuracy_axis,
    at_delay,
    by_network,
    by_schedule,
    count,
    course,
    episodes,
    first_epochs,
    legend_below,
    mark_schedules,
    norm_axis,
    norms,
    pad,
    thin,
)
from floss.figures.schedules import in_words
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.courses import SETTLED
from floss.papers.gradient_flossing.which_gradient import (
    AHEAD,
    NEAR,
    ahead,
    before,
    coincide,
    highest,
    leaving,
    spikes,
    unflossed,
)

_CONVENTIONS = (
    "A, B: the first seed thick, the others thin; C, D: every flossed network by itself, "
    "a marker where it leaves chance for good"
)


SHOWN = 4000
"""Epochs that are shown: by then all of the networks have left chance."""


def draw(findings: Findings) -> Figure:
    """The norm against the epoch (A: logarithmic, C: linear), and accuracy (B, D), every network.

    A and B have the first seed thick and colours by schedule; C and D have colours by flossed network, unflossed ones
    black, and a marker at the epoch from which on the accuracy stays above 60 %.
    """
    d, training = at_delay(findings["gradient"].training)
    n = count(findings["gradient"].summary, ["d", "flossing"], "final_accuracy")
    with house_style():
        figure, ((a, b), (c, e)) = plt.subplots(2, 2, figsize=(8.4, 7))
        for group in by_schedule(training, n):
            for axes, table in ((a, norms(group.rows)), (b, course(group.rows, "accuracy"))):
                thin(axes, table, group.colour, alpha=0.6)
                first = table.iloc[:, :1]
                axes.plot(first.index, first, color=group.colour, linewidth=1.5, zorder=3)
                axes.plot([], [], color=group.colour, linewidth=1.5, label=group.label)
        _networks(c, training, "grad_norm_h0")
        _networks(e, training, "accuracy")
        titles = ("A  gradient norm", "B  accuracy", "C  gradient norm, linear", "D  accuracy")
        for axes, title in zip((a, b, c, e), titles, strict=True):
            rows = mark_schedules(axes, training)
            axes.set_title(f"{title}, d = {d}", pad=pad(rows))
            first_epochs(axes, training, SHOWN)
        norm_axis(a)
        _cut(c, training)
        for axes in (b, e):
            accuracy_axis(axes)
            axes.set_ylabel("test accuracy")
        legend_below(figure, (a, e), title=_CONVENTIONS, ncols=6)
        return figure


def _cut(axes: Axes, training: pd.DataFrame) -> None:
    """Cut off the peaks of the epochs right after an episode, beside which nothing else would be seen."""
    axes.set_ylabel(NORM)
    epochs = int(training["epoch"].max()) + 1
    starts = training["flossing"].map({name: episodes(name, epochs) for name in set(training["flossing"])})
    peak = [epoch in start for epoch, start in zip(training["epoch"], starts, strict=True)]
    highest, rest = (training.loc[where, "grad_norm_h0"].max() for where in (peak, [not each for each in peak]))
    if 0 < rest < highest:
        axes.set_ylim(-0.03 * rest, 1.1 * rest)
        axes.set_ylabel(f"{NORM}\n(cut: peaks reach {highest:.2g})")


def _networks(axes: Axes, training: pd.DataFrame, measure: str) -> None:
    """Unflossed networks black; of each flossed one the course, and a marker at the epoch when it leaves chance."""
    unflossed = training["flossing"] == "none"
    thin(axes, course(training[unflossed], measure), "black", alpha=0.5)
    axes.plot([], [], color="black", linewidth=0.5, label=f"{in_words('none')} (C, D)")
    departures = leaves_chance(training)
    for group in by_network(training[~unflossed]):
        table = course(group.rows, measure)
        axes.plot(table.index, table, color=group.colour, linewidth=0.8, rasterized=True)
        left = group.rows[group.rows["epoch"] == departures[group.rows["network"].iloc[0]]]
        looks = {"color": group.colour, "marker": group.marker, "markeredgecolor": "black", "markersize": 6}
        axes.plot(left["epoch"], left[measure], linestyle="", zorder=4, **looks)
        axes.plot([], [], linewidth=0.8, label=group.label, **looks)


# --- claims ---


_WAS_LAST_STEP = "before, L was the loss of the last step alone; the author's published example takes that of all steps"
_KNOWN = "a rerun of ten other networks by an audit: {}"

CLAIMS = [
    Claim(
        name="fig08.unflossed_vanishes",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Without flossing, the gradient of the loss with respect to h0 falls below 10⁻⁶ and stays there.",
        statistic="highest ‖dL/dh0‖ of a logged epoch ≥ 100, median over networks, none, d = 70",
        criterion=Criterion(below=1e-6),
        sample=partial(highest, schedule="none"),
        control=partial(highest, schedule="early"),
        control_says="the networks that are flossed",
        changed=f"{_WAS_LAST_STEP}, and the median over epochs instead of the highest; that was zero in float32, so no"
        " data could miss the criterion",
    ),
    Claim(
        name="fig08.episodes_spike",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Each episode of flossing makes the norm spike above 10⁻².",
        statistic="share of networks and episodes (0, 100, ..., 400) with ‖dL/dh0‖ > 10⁻² at an epoch from 0 to 49"
        " after the episode, early, d = 70",
        criterion=Criterion(above=0.9),
        sample=partial(spikes, schedule="early"),
        control=partial(spikes, schedule="none"),
        control_says="the networks that are never flossed, at the same epochs",
        changed=_WAS_LAST_STEP,
        after_data=_KNOWN.format("0.70 (0.98 for the step of Adam)"),
    ),
    Claim(
        name="fig08.accuracy_follows_gradient",
        figure="fig08",
        place="App. D, Fig. 8C, D",
        sentence="Accuracy leaves chance about when the gradient becomes macroscopic.",
        statistic=f"share of learning networks whose last ‖dL/dh0‖ < {LARGE:g} is within {NEAR} epochs of leaving"
        " chance for good (accuracy stays above 60 %), early",
        criterion=Criterion(above=0.9),
        sample=coincide,
        further=("fig09",),
        control=partial(coincide, shift=1),
        control_says="each network's norm beside the accuracy of the next one",
        changed=f"{_WAS_LAST_STEP}, and any norm above {LARGE:g} within {NEAR} epochs of leaving chance was enough,"
        " which a random epoch has as well",
    ),
    Claim(
        name="fig08.small_before",
        figure="fig08",
        place="App. D, Fig. 8A, C",
        sentence="Between the episodes and that moment the gradient stays around 10⁻⁴.",
        statistic="log₁₀ of the median ‖dL/dh0‖ from epoch 500 to 200 before leaving chance for good (accuracy stays"
        " above 60 %), median over learning networks, early",
        criterion=Criterion(above=-5.0, below=-3.0),
        sample=before,
        further=("fig09",),
        control=unflossed,
        control_says="the networks that are never flossed, from epoch 500 to 1000",
        changed=f"{_WAS_LAST_STEP}, and the criterion was one-sided (< -3)",
        after_data=_KNOWN.format("10⁻³·⁷ to 10⁻⁴·⁹"),
    ),
    Claim(
        name="fig08.rises_to_a_hundredth",
        figure="fig08",
        place="App. D, Fig. 8A, C",
        sentence="Then the norm rises to values around 10⁻².",
        statistic="log₁₀ of the median ‖dL/dh0‖ within 50 epochs of leaving chance for good (accuracy stays above"
        f" 60 %), median over learning networks that do so from epoch {SETTLED + 50} on, early",
        criterion=Criterion(above=-3.0, below=-1.0),
        sample=leaving,
        further=("fig09",),
        control=unflossed,
        control_says="the networks that are never flossed, from epoch 500 to 1000",
        after_data=_KNOWN.format("0.0097"),
    ),
    Claim(
        name="fig08.predicts_success",
        figure="fig08",
        place="App. D",
        sentence="The norm can predict success, sometimes hundreds of epochs before the accuracy leaves chance.",
        statistic=f"share of learning networks whose last ‖dL/dh0‖ < {LARGE:g} is {AHEAD} epochs or more before the"
        " first from which accuracy stays above 60 %, early; sometimes: one in ten",
        criterion=Criterion(above=0.1),
        sample=ahead,
        further=("fig09",),
        after_data=_KNOWN.format("80 to 140 epochs in the middle of them"),
    ),
]
