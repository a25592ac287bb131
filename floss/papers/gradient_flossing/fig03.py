"""Fig. 3: loss on the delayed copy and the continuous XOR task, without flossing and with flossing before training.

The paper claims: flossing before training lets networks learn longer delays.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Sequence
from functools import partial

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
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import at, losses
from floss.papers.samples import mean_of

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


def _learned(findings: Findings, task: str) -> pd.DataFrame:
    final = losses(findings[task].summary)
    return (final < LEARNED * GUESSING[task]).astype(float).where(final.notna())


def _share(findings: Findings, task: str, schedule: str, first: int, last: int) -> Sample:
    return mean_of(at(_learned(findings, task), schedule, lambda d: first <= d <= last))


def _reach(shares: np.ndarray, delays: Sequence[int]) -> float:
    """The longest delay up to which more than half of the networks have learnt every one."""
    return [0, *delays][np.argmin([*(shares > 0.5), False])]


def _further(findings: Findings, task: str) -> Sample:
    learned = _learned(findings, task)
    delays = sorted(set(at(learned, "pre")) & set(at(learned, "none")))
    table = learned[[(schedule, d) for schedule in ("pre", "none") for d in delays]].dropna()
    rows = table.to_numpy().reshape(len(table), 2, len(delays))

    def statistic(rows: np.ndarray) -> float:
        pre, none = (_reach(shares, delays) for shares in rows.mean(axis=0))
        return pre - none

    return Sample(rows if delays else rows[:0], statistic, rows.size)


def _share_of(task: str) -> str:
    name = {"copy": "delayed copy", "xor": "continuous XOR"}[task]
    return f"share of networks with a final test loss below half of guessing's 1/{1 / GUESSING[task]:.0f}, {name}"


_COPY, _XOR = _share_of("copy"), _share_of("xor")

CLAIMS = [
    Claim(
        name="fig03.copy_flossed_learns_40",
        figure="fig03",
        place="Sec. 6, Fig. 3A, C",
        sentence="Networks flossed before training learn to copy over 40 steps.",
        statistic=f"{_COPY}, d = 40, pre",
        criterion=Criterion(above=0.8),
        sample=partial(_share, task="copy", schedule="pre", first=40, last=40),
    ),
    Claim(
        name="fig03.copy_unflossed_fails_40",
        figure="fig03",
        place="Sec. 6, Fig. 3A, C",
        sentence="Networks that were not flossed do not learn to copy over 40 steps.",
        statistic=f"{_COPY}, d = 40, none",
        criterion=Criterion(below=0.2),
        sample=partial(_share, task="copy", schedule="none", first=40, last=40),
        tried="The loss of networks without flossing begins to fall late, after some 7000 of the 10⁴ epochs (panel A).",
    ),
    Claim(
        name="fig03.copy_unflossed_beyond_20",
        figure="fig03",
        place="Sec. 6, Fig. 3C",
        sentence="Networks that were not flossed are not reliably trained to copy over more than 20 steps.",
        statistic=f"{_COPY}, d > 20, none",
        criterion=Criterion(below=0.5),
        sample=partial(_share, task="copy", schedule="none", first=21, last=10**6),
    ),
    Claim(
        name="fig03.copy_unflossed_up_to_20",
        figure="fig03",
        place="Sec. 6, Fig. 3C",
        sentence="Networks that were not flossed learn to copy over up to 20 steps.",
        statistic=f"{_COPY}, d ≤ 20, none",
        criterion=Criterion(above=0.8),
        sample=partial(_share, task="copy", schedule="none", first=0, last=20),
    ),
    Claim(
        name="fig03.xor_flossed_learns_40",
        figure="fig03",
        place="Sec. 6, Fig. 3B",
        sentence="Networks flossed before training learn the continuous temporal XOR over 40 steps.",
        statistic=f"{_XOR}, d = 40, pre",
        criterion=Criterion(above=0.8),
        sample=partial(_share, task="xor", schedule="pre", first=40, last=40),
    ),
    Claim(
        name="fig03.xor_unflossed_fails_40",
        figure="fig03",
        place="Sec. 6, Fig. 3B",
        sentence="Networks that were not flossed do not learn the continuous temporal XOR over 40 steps.",
        statistic=f"{_XOR}, d = 40, none",
        criterion=Criterion(below=0.2),
        sample=partial(_share, task="xor", schedule="none", first=40, last=40),
    ),
    Claim(
        name="fig03.xor_longer_delays",
        figure="fig03",
        place="Sec. 6, Fig. 3D",
        sentence="Flossing before training lets networks learn the continuous XOR over substantially longer delays.",
        statistic="longest delay up to which more than half of the networks learn every one (loss below 1/36; 0: none),"
        " continuous XOR, pre minus none, in steps",
        criterion=Criterion(above=0.0),
        sample=partial(_further, task="xor"),
    ),
]
