"""A figure of ours: dense linear students whose exponents are flossed to a target before they learn.

What is expected, from the theory of Fig. 1 and before any data: a valley. An intermediate target beats none, the target
0 narrows the range of usable learning rates, and no target makes up for a recurrence that is not diagonal.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import legend_below
from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.flossed_jobs import NONE
from floss.papers.curse_of_memory.plots import ramp
from floss.papers.curse_of_memory.students import decades, losses_panel, tuned
from floss.papers.curse_of_memory.study import BETWEEN, MAGNITUDES, TARGETS, at, gap, least_loss, zero_loss
from floss.papers.finding import Findings
from floss.papers.samples import middle

LONG = 0.99
"""ν₀ of the longest memory."""
PLACES = ("none", *MAGNITUDES.values())
"""Ticks: no flossing, and the targets as magnitudes of eigenvalues."""
NUS = {0.9: "_short", LONG: ""}
"""Least eigenvalue magnitudes of the teachers, and how the names of their runs end; smoke scale has others."""
ALONE = TARGETS[1]
"""The one target of students that are flossed in training as well, at small scale."""
FAILS = 0.1
"""A rate is usable where the final loss is below this part of the loss of a student that says nothing."""


def draw(findings: Findings) -> Figure:
    """A: loss at the best rate against the target; B: at every rate; C: sharpest curvature; D: rates of Adam."""
    with house_style():
        figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(9.6, 6.8))
        _valley(a, findings)
        _rates_tried(b, findings)
        rows = findings["flossed"].tables["networks"]
        for place, target in enumerate((NONE, *TARGETS)):
            values = rows[np.isclose(rows["target"], target, atol=1e-6)]["largest"]
            c.plot([place] * len(values), values, ".", color=COLOURS[0], alpha=0.5)
            c.plot(place, values.median(), "o", color=COLOURS[0])
        c.set_yscale("log")
        c.set_ylabel("largest eigenvalue of the Hessian")
        c.set_title("C  right after flossing, at the student's own function")
        _effective(d, findings)
        for axes in (a, c, d):
            axes.set_xticks(range(len(PLACES)), PLACES)
            axes.set_xlabel("target of flossing, as |λ|")
        legend_below(figure, (b,), title="target in B, as |λ|", ncols=6)
        return figure


def _valley(axes: Axes, findings: Findings) -> None:
    groups = []
    for nu, ending in NUS.items():
        none, pre = (findings[f"{run}{ending}"].summary for run in ("none", "pre"))
        flossed = {place: at(pre, [target]) for place, target in enumerate(TARGETS, 1)}
        results = {0: tuned(none), **{place: tuned(rows) for place, rows in flossed.items() if len(rows)}}
        groups.append((f"ν₀ = {nu:g}", list(results), list(results.values())))
    losses_panel(axes, groups)
    during = findings["during"].summary
    for place, target in enumerate(TARGETS, 1):
        rows = at(during, [target]) if "flossing.target" in during else during
        if len(rows) and ("flossing.target" in during or target == ALONE):
            values = tuned(rows).losses
            axes.plot([place + 0.2] * len(values), values, ".", color=COLOURS[2], alpha=0.5, markersize=4)
            look = {"color": COLOURS[2], "label": "and after 500 epochs" if target == ALONE else None}
            axes.plot(place + 0.2, values.median(), MARKERS[2], **look)
    axes.legend(fontsize=7)
    axes.set_title("A  open: the best rate is at an edge of those tried")


def _rates_tried(axes: Axes, findings: Findings) -> None:
    """Median loss at each learning rate; failed networks at the upper edge."""
    none, pre = (findings[run].summary for run in ("none", "pre"))
    axes.axhline(zero_loss(LONG), color="0.6", linestyle=":", linewidth=1)
    styles = ramp(PLACES)
    for name, rows, look in zip(PLACES, [none, *(at(pre, [t]) for t in TARGETS)], styles, strict=True):
        losses = rows.assign(loss=rows["final_loss"].fillna(np.inf)).groupby("train.lr")["loss"].median()
        axes.plot(losses.index, losses.clip(upper=1e4), marker="o", markersize=3.5, label=name, **look)
    axes.set_xscale("log")
    axes.set_yscale("log")
    rates = sorted(none["train.lr"].unique())
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("final loss, median")
    axes.set_title(f"B  ν₀ = {LONG:g}; dotted: a student that says nothing")


def _effective(axes: Axes, findings: Findings) -> None:
    """Effective learning rate of A in the middle of training, at the best learning rate."""
    column = "effective_rate_recurrent"
    for place in range(len(PLACES)):
        finding = findings["pre" if place else "none"]
        rows = at(finding.summary, [TARGETS[place - 1]]) if place else finding.summary
        chosen = tuned(rows).rates
        networks = rows[rows["train.lr"] == rows["seed"].map(chosen)]["network"]
        course = finding.training[finding.training["network"].isin(networks)]
        course = course.dropna(subset=[column])
        from_middle = (course["epoch"] - course["epoch"].max() / 2).abs()
        nearest = course.loc[from_middle.groupby(course["network"]).idxmin()]
        axes.plot([place] * len(nearest), nearest[column], ".", color=COLOURS[1], alpha=0.5)
        axes.plot(place, nearest[column].median(), MARKERS[1], color=COLOURS[1])
    axes.set_yscale("log")
    axes.set_ylabel("effective learning rate of A")
    axes.set_title("D  in the middle of training, at the best rate")


# --- claims ---


def _helps(findings: Findings) -> Sample:
    return gap(findings["none"].summary, at(findings["pre"].summary, BETWEEN))


def _zero_costs(findings: Findings) -> Sample:
    pre = findings["pre"].summary
    return gap(at(pre, [0.0]), at(pre, BETWEEN))


def _usable(rows: pd.DataFrame, part: float) -> pd.DataFrame:
    """Which learning rates [seed, rate] end below a part of the loss of a student that says nothing."""
    table = rows.pivot(index="seed", columns="train.lr", values="final_loss")
    return table.fillna(np.inf) < part * zero_loss(LONG)


def _fewer_rates(findings: Findings) -> Sample:
    """How many rates are usable without flossing minus how many are after flossing to 0, mean over seeds."""
    none, zero = findings["none"].summary, at(findings["pre"].summary, [0.0])
    difference = _usable(none, FAILS).sum(axis=1) - _usable(zero, FAILS).sum(axis=1)
    return Sample(difference.to_numpy(dtype=float), np.mean, len(none) + len(zero))


def _fails_alone(findings: Findings) -> Sample:
    """At how many rates only the students flossed to 0 end above those that say nothing, mean over seeds."""
    none, zero = findings["none"].summary, at(findings["pre"].summary, [0.0])
    alone = _usable(none, 1.0) & ~_usable(zero, 1.0)
    return Sample(alone.sum(axis=1).to_numpy(dtype=float), np.mean, len(none) + len(zero))


def _beside_blocks(findings: Findings) -> Sample:
    blocks, _ = least_loss(findings["fig03/blocks"].summary)
    every = pd.concat([findings["none"].summary, findings["pre"].summary])
    own, networks = least_loss(every)
    sample = middle(decades(own, blocks))
    return Sample(sample.rows, sample.statistic, networks + len(findings["fig03/blocks"].summary))


def _sharper(findings: Findings, low: float, high: float) -> Sample:
    """Decades by which the largest eigenvalue of the Hessian is larger at one target than at another, per seed."""
    rows = findings["flossed"].tables["networks"]
    one, other = (
        rows[np.isclose(rows["target"], target, atol=1e-6)].set_index("seed")["largest"] for target in (high, low)
    )
    return middle(np.log10(one) - np.log10(other), each=2)


_SEEN = "Losses without flossing, by which the range of learning rates was chosen."
_BEST = "target and learning rate those that are best for the other seeds, ν₀ = 0.99, median over seeds"

CLAIMS = [
    Claim(
        name="m1.intermediate_helps",
        figure="m1",
        place="M1",
        sentence="Flossing a dense student to a target below 0 before training makes it learn better than without.",
        statistic="log₁₀ of the final loss without flossing over that with the best of the targets log 0.5, log 0.9,"
        f" log 0.97, log 0.99; {_BEST}",
        criterion=Criterion(above=0.3),
        sample=_helps,
        ours=True,
        after_data=_SEEN,
    ),
    Claim(
        name="m1.valley",
        figure="m1",
        place="M1",
        sentence="It is a valley: flossing to 0 is worse than to the best target below.",
        statistic=f"log₁₀ of the final loss with the target 0 over that with the best of the targets below; {_BEST}",
        criterion=Criterion(above=0.3),
        sample=_zero_costs,
        ours=True,
        after_data=_SEEN,
    ),
    Claim(
        name="m1.fewer_rates",
        figure="m1",
        place="M1",
        sentence="Flossing to 0 narrows the range of usable learning rates.",
        statistic="learning rates with a final loss below a tenth of that of a student that says nothing: their number"
        " without flossing minus that with the target 0, ν₀ = 0.99, mean over seeds",
        criterion=Criterion(above=0.5),
        sample=_fewer_rates,
        ours=True,
        after_data=_SEEN,
    ),
    Claim(
        name="m1.fails_alone",
        figure="m1",
        place="M1",
        sentence="Flossed to 0 a student diverges at learning rates that one without flossing survives.",
        statistic="learning rates at which the student flossed to 0 ends above the loss of one that says nothing, and"
        " the one without flossing below; ν₀ = 0.99, mean over seeds",
        criterion=Criterion(above=0.5),
        sample=_fails_alone,
        ours=True,
        after_data=_SEEN,
    ),
    Claim(
        name="m1.blocks_out_of_reach",
        figure="m1",
        place="M1",
        sentence="No target brings a dense student within a factor of ten of one with 2×2 blocks.",
        statistic="log₁₀ of the final loss with the best target, or without flossing, over that of 2×2 blocks without;"
        f" {_BEST}",
        criterion=Criterion(above=1.0),
        sample=_beside_blocks,
        further=("fig03",),
        ours=True,
        after_data=_SEEN,
    ),
    Claim(
        name="m1.sharper",
        figure="m1",
        place="M1",
        sentence="The closer the target is to 0, the sharper is the loss before training: by more than two decades"
        " from log 0.5 to 0.",
        statistic="log₁₀ of the largest eigenvalue of the Hessian right after flossing, at the student's own function:"
        " target 0 minus log 0.5, median over seeds",
        criterion=Criterion(above=2.0),
        sample=partial(_sharper, low=TARGETS[0], high=0.0),
        ours=True,
    ),
]
