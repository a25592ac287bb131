"""What the paper claims of Fig. 3: flossing before training lets networks learn longer delays."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import at, losses, mean_of

GUESSING = {"copy": 1 / 12, "xor": 1 / 18}
"""Loss of the best constant: the variance of the target, x ~ U(0, 1) or |x - x'|."""
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
