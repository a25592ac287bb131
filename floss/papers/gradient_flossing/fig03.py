"""Fig. 3: loss on the delayed copy and the continuous XOR task, without flossing and with flossing before training.

The paper claims: flossing before training lets networks learn longer delays.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import (
    TASKS,
    against,
    at_delay,
    by_schedule,
    count,
    courses,
    delay_axis,
    epoch_axis,
    legend_below,
)
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import at, losses

GUESSING = {"copy": 1 / 12, "xor": 1 / 18}
"""Loss of the best constant, the mean of the target, x ~ U(0, 1) or |x - x'|: the variance of the target."""
_DELAY = 40
_CONVENTIONS = (
    "A, B: single networks thin, their median thick; "
    "C, D: single networks as dots, their mean, 20th to 80th percentile shaded"
)


def draw(findings: Findings) -> Figure:
    """Loss against the epoch at d = 40 (A, B) and at the end against the delay (C, D)."""
    n = count(pd.concat([findings[name].summary for name in GUESSING]), ["task", "d", "flossing"], "final_loss")
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8, 6.2), sharey="row")
        for column, (name, variance) in enumerate(GUESSING.items()):
            upper, lower = panels[:, column]
            summary, (d, training) = findings[name].summary, at_delay(findings[name].training, _DELAY)
            task = TASKS[summary["task"].iloc[0]]
            for group in by_schedule(training, n):
                courses(upper, group, "loss", "median")
            epoch_axis(upper, training)
            upper.set_title(f"{'AB'[column]}  {task}, d = {d}")
            against(lower, by_schedule(summary, n), "d", "final_loss")
            delay_axis(lower, summary)
            lower.set_title(f"{'CD'[column]}  {task}, end of training")
            for axes in (upper, lower):
                axes.set_yscale("log")
                axes.axhline(variance, color="0.6", linewidth=0.8, zorder=0, label="chance (variance of the target)")
        panels[0, 0].set_ylabel("test loss (mean squared error)")
        panels[1, 0].set_ylabel("final test loss (mean squared error)")
        legend_below(figure, panels[1], title=_CONVENTIONS)
        return figure


# --- claims ---


LEARNED = 0.5
"""A network has learnt a task when its loss is below this part of that of guessing."""
EXAMPLE = 3000
"""Last epoch of the author's published example."""


def _learned(findings: Findings, run: str) -> pd.DataFrame:
    """1 where a network has learnt its task at the end, 0 where it has not: seeds by schedule and delay."""
    final = losses(findings[run].summary)
    return (final < LEARNED * _guessing(run)).astype(float).where(final.notna())


def _learned_at(findings: Findings, run: str, epoch: int) -> pd.DataFrame:
    """The same at a logged epoch. The loss is of a fresh batch; a network that has diverged has not learnt."""
    rows, final = findings[run].training, losses(findings[run].summary)
    rows = rows[rows["epoch"] == epoch]
    then = losses(rows.rename(columns={"loss": "final_loss"})).reindex_like(final)
    return (then < LEARNED * _guessing(run)).astype(float).where(final.notna())


def _guessing(run: str) -> float:
    return GUESSING[run.partition("_")[0]]


def _count(findings: Findings, run: str, schedule: str, last: int, first: int | None = None) -> Sample:
    """How many seeds have learnt every delay of a range: the networks of one seed are the same at first."""
    table = at(_learned(findings, run), schedule, lambda d: (first or last) <= d <= last).dropna()
    return samples.count(table.all(axis=1) if table.size else [], each=table.shape[1])


def _crossing(findings: Findings, run: str, d: int) -> pd.DataFrame:
    """The first logged epoch at which the loss is below half of guessing's, infinite for none: seeds by schedule."""
    rows = findings[run].training
    rows = rows[rows["d"] == d]
    epochs = rows["epoch"].where(rows["loss"] < LEARNED * _guessing(run), np.inf)
    return epochs.groupby([rows["seed"], rows["flossing"]]).min().unstack("flossing")


def _sooner(findings: Findings, run: str, d: int, other: str = "none") -> Sample:
    """How many times as many epochs one schedule takes to cross as `pre` takes; the epochs are counted from 1."""
    crossing = _crossing(findings, run, d).reindex(columns=["none", "pre"]).dropna()
    before = crossing[other] if other != "pre" else crossing["pre"].set_axis(np.roll(crossing.index, 1))
    return samples.middle(((before + 1) / (crossing["pre"] + 1)).dropna(), each=2)


def _reach(shares: np.ndarray, delays: Sequence[int]) -> float:
    """The longest delay up to which more than half of the networks have learnt every one."""
    return [0, *delays][np.argmin([*(shares > 0.5), False])]


def _further(findings: Findings, run: str, epoch: int | None = None) -> Sample:
    learned = _learned(findings, run) if epoch is None else _learned_at(findings, run, epoch)
    delays = sorted(set(at(learned, "pre")) & set(at(learned, "none")))
    table = learned[[(schedule, d) for schedule in ("pre", "none") for d in delays]].dropna()
    rows = table.to_numpy().reshape(len(table), 2, len(delays))

    def statistic(rows: np.ndarray) -> float:
        pre, none = (_reach(shares, delays) for shares in rows.mean(axis=0))
        return pre - none

    return Sample(rows if delays else rows[:0], statistic, rows.size)


_EPOCHS = {False: "at epoch 10⁴", True: f"at epoch {EXAMPLE}"}
_POOLED = (
    "Before, a share of five networks at epoch 10⁴ with a bootstrap interval. The author's published example ends at"
    f" epoch {EXAMPLE}, and twenty networks have an exact interval."
)
_KNOWN = f"the losses of five networks of other seeds at epoch {EXAMPLE} were known."
_LATER = (
    f"At epoch {EXAMPLE} the paper's boundaries hold; by epoch 10⁴ networks without flossing cross half of guessing at"
    " d = 30, and some at d = 40."
)


def _task(run: str) -> str:
    name = {"copy": "delayed copy", "xor": "continuous XOR"}[run.partition("_")[0]]
    return f"test loss below half of guessing's 1/{1 / _guessing(run):.0f}, {name}"


def _counted(
    name: str, run: str, schedule: str, d: int, sentence: str, criterion: Criterion, other: tuple[str, int], **more: Any
) -> Claim:
    """How many networks learn a delay, and as a control how many of another schedule or delay do.

    With the seeds of its own, at the end of the author's example; with those of the panels, at epoch 10⁴.
    """
    example = run.endswith("example")
    what = {"none": "without flossing", "pre": "flossed before training"}[other[0]]
    return Claim(
        name=f"fig03.{name}" if example else f"fig03.{name}_at_10000",
        figure="fig03",
        place="Sec. 6, Fig. 3A, C" if run.startswith("copy") else "Sec. 6, Fig. 3B, D",
        sentence=sentence if example else f"{sentence.removesuffix('.')}, trained for 10⁴ epochs.",
        statistic=f"networks with a {_task(run)}, d = {d}, {schedule}, {_EPOCHS[example]}",
        criterion=criterion,
        sample=partial(_count, run=run, schedule=schedule, last=d),
        control=partial(_count, run=run, schedule=other[0], last=other[1]),
        control_says=f"{what}, d = {other[1]}",
        after_data=_KNOWN if example else "",
        **more,
    )


_MOST, _FEW, _HALF = Criterion(above=0.8), Criterion(below=0.2), Criterion(below=0.5)
_FLOSSED_40 = "Networks flossed before training learn to copy over 40 steps."
_UNFLOSSED_40 = "Networks that were not flossed do not learn to copy over 40 steps."
_UNFLOSSED_20 = "Networks that were not flossed learn to copy over 20 steps."
_UNFLOSSED_30 = "Networks that were not flossed are not reliably trained to copy over 30 steps."
_XOR_FLOSSED = "Networks flossed before training learn the continuous temporal XOR over 40 steps."
_XOR_UNFLOSSED = "Networks that were not flossed do not learn the continuous temporal XOR over 40 steps."
_SPLIT = (
    "Before, one claim pooled d = 30 to 80, of which d = 30 was learnt by 5 of 5 networks at epoch 10⁴ and d ≥ 50 by"
    " none."
)
_BOOTSTRAP = "Before, a bootstrap interval, which is too narrow for five networks."

CLAIMS = [
    _counted("copy_flossed_learns_40", "copy_example", "pre", 40, _FLOSSED_40, _MOST, ("none", 40), changed=_POOLED),
    _counted("copy_flossed_learns_40", "copy", "pre", 40, _FLOSSED_40, _MOST, ("pre", 80), changed=_BOOTSTRAP),
    _counted(
        "copy_unflossed_learns_20", "copy_example", "none", 20, _UNFLOSSED_20, _MOST, ("none", 40), changed=_POOLED
    ),
    _counted("copy_unflossed_learns_20", "copy", "none", 20, _UNFLOSSED_20, _MOST, ("none", 80), changed=_BOOTSTRAP),
    _counted(
        *("copy_unflossed_unreliable_30", "copy_example", "none", 30, _UNFLOSSED_30, _HALF, ("none", 20)),
        changed=_SPLIT,
    ),
    _counted(
        *("copy_unflossed_unreliable_30", "copy", "none", 30, _UNFLOSSED_30, _HALF, ("none", 20)),
        changed=_SPLIT,
        tried=_LATER,
    ),
    _counted("copy_unflossed_fails_40", "copy_example", "none", 40, _UNFLOSSED_40, _FEW, ("pre", 40), changed=_POOLED),
    _counted(
        *("copy_unflossed_fails_40", "copy", "none", 40, _UNFLOSSED_40, _FEW, ("none", 20)),
        changed=_BOOTSTRAP,
        tried=_LATER,
    ),
    Claim(
        name="fig03.copy_longer_delays",
        figure="fig03",
        place="Sec. 6, Fig. 3C",
        sentence="Flossing before training lets networks learn to copy over longer delays: 40 steps instead of 20.",
        statistic="longest delay up to which more than half of the networks learn every one (loss below 1/24; 0: none),"
        f" delayed copy, pre minus none, in steps, at epoch {EXAMPLE}",
        criterion=Criterion(above=0.0),
        sample=partial(_further, run="copy", epoch=EXAMPLE),
        after_data="the losses were known.",
    ),
    Claim(
        name="fig03.copy_converges_sooner",
        figure="fig03",
        place="abstract, Sec. 9, Fig. 3",
        sentence="Flossing before training makes training converge faster (copy over 20 steps, which networks learn"
        " with and without).",
        statistic="first logged epoch with a loss below half of guessing's 1/12, delayed copy, d = 20, none over pre,"
        " median over seeds",
        criterion=Criterion(above=1.5),
        sample=partial(_sooner, run="copy_example", d=20),
        control=partial(_sooner, run="copy_example", d=20, other="pre"),
        control_says="pre of another seed over pre",
    ),
    Claim(
        name="fig03.copy_converges_sooner_30",
        figure="fig03",
        place="abstract, Sec. 9, Fig. 3",
        sentence="Flossing before training makes training converge faster (copy over 30 steps, within 10⁴ epochs).",
        statistic="first logged epoch with a loss below half of guessing's 1/12, delayed copy, d = 30, none over pre,"
        " median over seeds",
        criterion=Criterion(above=1.5),
        sample=partial(_sooner, run="copy", d=30),
        control=partial(_sooner, run="copy", d=30, other="pre"),
        control_says="pre of another seed over pre",
        after_data="the epochs were known.",
    ),
    _counted("xor_flossed_learns_40", "xor_example", "pre", 40, _XOR_FLOSSED, _MOST, ("none", 40), changed=_POOLED),
    _counted("xor_flossed_learns_40", "xor", "pre", 40, _XOR_FLOSSED, _MOST, ("none", 80), changed=_BOOTSTRAP),
    _counted("xor_unflossed_fails_40", "xor_example", "none", 40, _XOR_UNFLOSSED, _FEW, ("pre", 40), changed=_POOLED),
    _counted("xor_unflossed_fails_40", "xor", "none", 40, _XOR_UNFLOSSED, _FEW, ("pre", 40), changed=_BOOTSTRAP),
    Claim(
        name="fig03.xor_longer_delays",
        figure="fig03",
        place="Sec. 6, Fig. 3D",
        sentence="Flossing before training lets networks learn the continuous XOR over substantially longer delays.",
        statistic="longest delay up to which more than half of the networks learn every one (loss below 1/36; 0: none),"
        " continuous XOR, pre minus none, in steps",
        criterion=Criterion(above=0.0),
        sample=partial(_further, run="xor"),
    ),
]
