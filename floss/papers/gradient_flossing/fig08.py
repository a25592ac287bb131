"""Fig. 8: how far the last step's gradient reaches, ‖∂L/∂h₀‖, and accuracy, without and with early episodes.

The paper claims: flossing makes the last step's gradient reach the initial state.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import matplotlib.pyplot as plt
import numpy as np
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
    epoch_axis,
    legend_below,
    mark_schedules,
    norm_axis,
    norms,
    pad,
    thin,
)
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

_CONVENTIONS = (
    "A, B: the first seed thick, the others thin; C, D: every flossed network by itself, "
    "a marker where it leaves chance for good"
)


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
            epoch_axis(axes, training, early=True)
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
    axes.plot([], [], color="black", linewidth=0.5, label="without flossing (C, D)")
    departures = leaves_chance(training)
    for group in by_network(training[~unflossed]):
        table = course(group.rows, measure)
        axes.plot(table.index, table, color=group.colour, linewidth=0.8, rasterized=True)
        left = group.rows[group.rows["epoch"] == departures[group.rows["network"].iloc[0]]]
        looks = {"color": group.colour, "marker": group.marker, "markeredgecolor": "black", "markersize": 6}
        axes.plot(left["epoch"], left[measure], linestyle="", zorder=4, **looks)
        axes.plot([], [], linewidth=0.8, label=group.label, **looks)


# --- claims ---


EPISODES = (0, 100, 200, 300, 400)


def gradient_norms(findings: Findings, schedule: str) -> pd.DataFrame:
    """‖dL/dh0‖ by epoch (rows) and network (columns)."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == schedule]
    return rows.pivot_table(index="epoch", columns="network", values="grad_norm_h0", dropna=False)


def _unflossed(findings: Findings) -> Sample:
    table = gradient_norms(findings, "none")
    return middle(table[table.index >= 100].median())


def _spikes(findings: Findings) -> Sample:
    table = gradient_norms(findings, "early")
    after = pd.DataFrame({e: table[(table.index >= e) & (table.index < e + 50)].max() for e in EPISODES})
    return Sample((after > 1e-2).to_numpy(dtype=float), np.mean, len(after))


def _coincide(findings: Findings) -> Sample:
    """Of the networks that leave chance: whether the gradient is macroscopic around then."""
    rows = findings["gradient"].training
    departure = leaves_chance(rows[rows["flossing"] == "early"]).dropna()
    table = gradient_norms(findings, "early")
    around = [table.loc[(table.index >= e - 200) & (table.index <= e + 200), key].max() for key, e in departure.items()]
    return samples.count([value > LARGE for value in around])


def _before(findings: Findings) -> Sample:
    """Of the networks that leave chance late: whether the gradient was small for most of the time before."""
    rows = findings["gradient"].training
    departure = leaves_chance(rows[rows["flossing"] == "early"]).dropna()
    table = gradient_norms(findings, "early")
    before = [
        table.loc[(table.index >= EPISODES[-1] + 100) & (table.index < e - 200), key].median()
        for key, e in departure.items()
    ]
    return middle(np.log10(before))


CLAIMS = [
    Claim(
        name="fig08.unflossed_vanishes",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Without flossing, the gradient of the last step with respect to h0 falls below 10⁻⁶ and stays there.",
        statistic="median over epochs ≥ 100 of ‖dL/dh0‖, median over networks, none, d = 70",
        criterion=Criterion(below=1e-6),
        sample=_unflossed,
    ),
    Claim(
        name="fig08.episodes_spike",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Each episode of flossing makes the norm spike above 10⁻².",
        statistic="share of networks and episodes (0, 100, ..., 400) with ‖dL/dh0‖ > 10⁻² at an epoch from 0 to 49"
        " after the episode, early, d = 70",
        criterion=Criterion(above=0.9),
        sample=_spikes,
    ),
    Claim(
        name="fig08.accuracy_follows_gradient",
        figure="fig08",
        place="App. D, Fig. 8C, D",
        sentence="Accuracy leaves chance about when the gradient becomes macroscopic.",
        statistic=f"share of learning networks with ‖dL/dh0‖ > {LARGE:g} within 200 epochs of leaving chance for good"
        " (accuracy stays above 60 %), early",
        criterion=Criterion(above=0.9),
        sample=_coincide,
    ),
    Claim(
        name="fig08.small_before",
        figure="fig08",
        place="App. D, Fig. 8A, C",
        sentence="Between the episodes and that moment the gradient stays small, around 10⁻⁴.",
        statistic="log₁₀ of the median ‖dL/dh0‖ from epoch 500 to 200 before leaving chance for good (accuracy stays"
        " above 60 %), median over learning networks, early",
        criterion=Criterion(below=-3.0),
        sample=_before,
    ),
]
