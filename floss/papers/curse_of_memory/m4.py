"""A figure of ours: tanh networks that are flossed and trained on temporal XOR, under the lens of the second paper.

What is expected, from the theory of Fig. 1 and before any data: flossing brings exponents to 0, which is a long memory,
so it raises the sensitivity of the states and the curvature of the loss, and lowers the learning rate that serves. It
helps since the gradient over the delay grows by more. Exponents of -1/d reach as far as the delay, and should do as
well as 0 at more learning rates.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import by_schedule, legend_below
from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

SOLVED = 0.9
"""Accuracy above which a network has learnt the task."""
COURSES = {
    "sensitivity": "sensitivity of the last state, ‖∂h_T/∂θ‖²",
    "sharpness": "leading eigenvalue of the Hessian",
    "effective_rate_recurrent": "Adam's effective learning rate of W, V, b",
    "accuracy": "test accuracy",
}
"""Columns that are drawn against the epoch, and what their axes are called."""
WINDOW = 500
"""Epoch at which effective learning rates are compared: after the last of the early episodes."""


def draw(findings: Findings) -> Figure:
    """A-D: courses of training; E: sensitivity against λ₁; F: networks that learn, against the learning rate."""
    training = findings["course"].training
    with house_style():
        figure, panels = plt.subplots(2, 3, figsize=(12.6, 6.8))
        (a, b, c), (d, e, f) = panels
        for axes, letter, column in zip((a, b, c, d), "ABCD", COURSES, strict=True):
            _course(axes, training, column)
            axes.set_title(f"{letter}  {COURSES[column]}", fontsize=9)
        for place, group in enumerate(by_schedule(training)):
            rows = group.rows[group.rows["sensitivity"] > 0]
            e.plot(rows["lambda_1"], rows["sensitivity"], MARKERS[place], color=group.colour, markersize=3.5, alpha=0.6)
        e.set_yscale("log")
        e.set_xlabel("λ₁ along the training input")
        e.set_ylabel(COURSES["sensitivity"])
        e.set_title("E  every logged epoch of every network", fontsize=9)
        _rates(f, findings)
        legend_below(figure, (a, f), ncols=4)
        return figure


def _course(axes: Axes, training: pd.DataFrame, column: str) -> None:
    """Every network thin, the median of each schedule thick."""
    for group in by_schedule(training):
        table = group.rows.pivot(index="epoch", columns="network", values=column)
        positive = table.where(table > 0) if column != "accuracy" else table
        axes.plot(positive.index, positive, color=group.colour, alpha=0.2, linewidth=0.7)
        axes.plot(
            positive.index,
            positive.median(axis=1),
            color=group.colour,
            linestyle=group.dashes,
            marker=group.marker,
            markersize=3.5,
            label=group.label,
        )
    if column != "accuracy":
        axes.set_yscale("log")
    axes.set_xlabel("training epoch")


def _rates(axes: Axes, findings: Findings) -> None:
    """How many networks of each kind learn at each learning rate."""
    kinds = [("never flossed, at each rate", findings["unflossed"].summary, "0.4")]
    pre = findings["rates"].summary
    for place, target in enumerate(sorted(pre["flossing.target"].unique(), reverse=True)):
        label = "flossed to 0" if target == 0 else "flossed to -1/d"
        kinds.append((label, pre[pre["flossing.target"] == target], COLOURS[5 - place]))
    for place, (label, rows, colour) in enumerate(kinds):
        shares = (rows["final_accuracy"].fillna(0.0) > SOLVED).groupby(rows["train.lr"]).mean()
        axes.plot(shares.index, shares, marker=MARKERS[place + 3], color=colour, label=label, linewidth=1.2)
    axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"share of networks above {SOLVED:.0%}")
    each = pre.groupby(["train.lr", "flossing.target"]).size().min()
    axes.set_title(f"F  after 3000 epochs, {each} networks at each point", fontsize=9)


# --- claims ---


def _logged(findings: Findings, flossing: str, column: str, epoch: int) -> pd.Series:
    """log₁₀ of a column at an epoch, by seed; NaN where it is not positive."""
    rows = findings["course"].training
    rows = rows[(rows["flossing"] == flossing) & (rows["epoch"] == epoch)].set_index("seed")[column].astype(float)
    return np.log10(rows.where(rows > 0))


def _by_flossing(findings: Findings, column: str, flossing: str = "pre", epoch: int = 0) -> pd.Series:
    """Decades by which a column is larger with flossing than without, at the same epoch of the same seed."""
    return _logged(findings, flossing, column, epoch) - _logged(findings, "none", column, epoch)


def _rises(findings: Findings, column: str) -> Sample:
    return middle(_by_flossing(findings, column), each=2)


def _rate_falls(findings: Findings) -> Sample:
    epoch = findings["course"].training["epoch"]
    at = WINDOW if (epoch == WINDOW).any() else int(epoch.max())
    return middle(_by_flossing(findings, "effective_rate_recurrent", "early", at), each=2)


def _signal(findings: Findings) -> Sample:
    return middle(_by_flossing(findings, "grad_norm_h0") - _by_flossing(findings, "sharpness"), each=2)


def _stays(findings: Findings) -> Sample:
    """Decades from right after flossing to the end of training, of networks that learn."""
    summary = findings["course"].summary
    learnt = summary[(summary["flossing"] == "pre") & (summary["final_accuracy"] > SOLVED)]["seed"]
    last = int(findings["course"].training["epoch"].max())
    change = _logged(findings, "pre", "sensitivity", last) - _logged(findings, "pre", "sensitivity", 0)
    return middle(change[change.index.isin(learnt)])


def _learns(findings: Findings) -> dict[str, pd.DataFrame]:
    """Whether a network learns, [seed, rate], for the targets -1/d and 0."""
    rows = findings["rates"].summary
    rows = rows.assign(learnt=rows["final_accuracy"].fillna(0.0) > SOLVED)
    kinds = {"below": rows["flossing.target"] < 0, "zero": rows["flossing.target"] == 0}
    return {
        kind: rows[of].pivot(index="seed", columns="train.lr", values="learnt").astype(float)
        for kind, of in kinds.items()
    }


def _as_well(findings: Findings) -> Sample:
    learns = _learns(findings)
    best = {kind: table[table.mean().idxmax()] for kind, table in learns.items()}
    difference = (best["below"] - best["zero"]).dropna()
    return Sample(difference.to_numpy(), np.mean, 2 * len(difference))


def _wider(findings: Findings) -> Sample:
    learns = _learns(findings)
    difference = (learns["below"].sum(axis=1) - learns["zero"].sum(axis=1)).dropna()
    return Sample(difference.to_numpy(), np.mean, sum(table.size for table in learns.values()))


_AT_ONCE = "right after flossing before training, over that of the same seed without; median over seeds"


def _claim(
    name: str, sentence: str, statistic: str, criterion: Criterion, sample: partial[Sample], tried: str = ""
) -> Claim:
    return Claim(
        name=f"m4.{name}",
        figure="m4",
        place="M4",
        sentence=sentence,
        statistic=statistic,
        criterion=criterion,
        sample=sample,
        ours=True,
        tried=tried,
    )


CLAIMS = [
    _claim(
        "sensitivity_rises",
        "Flossing raises the sensitivity of the states to the recurrent parameters, by more than a decade.",
        f"log₁₀ of ‖∂h_T/∂θ‖² {_AT_ONCE}",
        Criterion(above=1.0),
        partial(_rises, column="sensitivity"),
    ),
    _claim(
        "curvature_rises",
        "Flossing raises the curvature of the task loss, by more than a decade.",
        f"log₁₀ of the leading eigenvalue of the Hessian {_AT_ONCE}",
        Criterion(above=1.0),
        partial(_rises, column="sharpness"),
    ),
    _claim(
        "signal_beats_curvature",
        "It helps since the gradient over the delay grows by more than the curvature.",
        f"log₁₀ of ‖∂L/∂h_0‖ minus log₁₀ of the leading eigenvalue, {_AT_ONCE}",
        Criterion(above=0.0),
        partial(_signal),
    ),
    _claim(
        "memory_stays_enough",
        "Once flossed, a network needs no more sensitivity to learn: it ends within a decade of what flossing left.",
        "log₁₀ of ‖∂h_T/∂θ‖² at the end of training over that right after flossing, of networks flossed before training"
        f" that end above {SOLVED:.0%}; median",
        Criterion(above=-1.0, below=1.0),
        partial(_stays),
    ),
    _claim(
        "effective_rate_falls",
        "Adam's effective learning rate of the recurrent parameters is lower after episodes of flossing.",
        f"log₁₀ of the effective rate at epoch {WINDOW}, after five early episodes over that without flossing, median"
        " over seeds",
        Criterion(below=-0.3),
        partial(_rate_falls),
        "The measure of the second paper asks what a gradient of ones would do. Gradients that are clipped to 0.03 are"
        " far below that, so that it depends on the epoch alone, and says nothing about these networks.",
    ),
    _claim(
        "target_below_zero_as_good",
        "Exponents of -1/d serve as well as 0.",
        f"share of networks above {SOLVED:.0%} with the target -1/d minus that with 0, each at the learning rate at"
        " which most learn",
        Criterion(above=-0.2),
        partial(_as_well),
    ),
    _claim(
        "wider_window",
        "And at more learning rates.",
        f"number of learning rates at which a network ends above {SOLVED:.0%}, target -1/d minus 0, mean over seeds",
        Criterion(above=0.5),
        partial(_wider),
        "With the target 0 all six networks learn at the three lower learning rates, with -1/d five of six; at 10⁻²"
        " none of either.",
    ),
]
