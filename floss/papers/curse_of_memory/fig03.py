"""Fig. 3: final losses of linear students against the memory of their teacher (A), and what of the LRU matters (B).

The paper claims: the dense network is as good as the LRU for short memories and far worse for long ones, and nearly the
whole gap closes once the recurrence is block-diagonal.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.students import Tuned, losses_panel, ratio, tuned
from floss.papers.finding import Findings

LONG = 0.99
"""ν₀ of the longest memory; smoke scale has another."""
BARS = (
    ("dense", "dense", "dense"),
    ("2×2 blocks", "blocks", ""),
    ("2×2 blocks,\ntwice the units", "more_blocks", ""),
    ("complex\ndiagonal", "parts", "linear_diagonal"),
    ("with γ", "parts", "linear_diagonal_gamma"),
    ("exp", "parts", "linear_exp"),
    ("LRU\n(exp and γ)", "lru", "lru"),
)
"""Label, run and architecture of each bar of panel B."""


def draw(findings: Findings) -> Figure:
    """A: two students against ν₀; B: seven at the longest memory."""
    with house_style():
        figure, (a, b) = plt.subplots(1, 2, figsize=(11.0, 3.9), width_ratios=(1, 1.3))
        groups = []
        for label, run in (("dense", "dense"), ("LRU", "lru")):
            results = {nu: tuned(rows) for nu, rows in findings[run].summary.groupby("task.nu")}
            groups.append((label, [_bits(nu) for nu in results], list(results.values())))
        seeded = [("dense", "seeded_dense", 0), ("LRU", "seeded_lru", 1)]
        losses_panel(a, groups)
        for label, run, place in seeded:
            result = tuned(findings[run].summary)
            a.plot(
                _bits(LONG) + 0.25,
                result.losses.median(),
                "x",
                color=COLOURS[place],
                label=f"{label}, teachers of the seeds",
            )
        nus = sorted(findings["dense"].summary["task.nu"].unique())
        a.set_xticks([_bits(nu) for nu in nus], [f"{nu:g}" for nu in nus])
        a.set_xlabel("least eigenvalue magnitude ν₀ of the teacher")
        a.set_title("A  against the memory of the teacher")
        a.legend()
        results = [_bar(findings, run, arch) for _, run, arch in BARS]
        for place, result in enumerate(results):
            losses_panel(b, [("", [float(place)], [result])])
        b.set_xticks(range(len(BARS)), [label for label, _, _ in BARS], fontsize=7)
        b.set_title(f"B  ν₀ = {LONG:g}; open: the best rate is at an edge of those tried")
        return figure


def _bits(nu: float) -> float:
    return float(np.log2(1.0 / (1.0 - nu)))


def _rows(findings: Findings, run: str, nu: float = LONG, arch: str = "") -> pd.DataFrame:
    rows = findings[run].summary
    if "task.nu" in rows:
        rows = rows[rows["task.nu"] == (rows["task.nu"].max() if nu == LONG else nu)]
    return rows[rows["arch"] == arch] if run == "parts" else rows


def _bar(findings: Findings, run: str, arch: str) -> Tuned:
    return tuned(_rows(findings, run, LONG, arch))


# --- claims ---


def _gap(findings: Findings, worse: str = "dense", better: str = "lru", nu: float = LONG) -> Sample:
    """Decades between two students at one memory."""
    return ratio(_rows(findings, worse, nu), _rows(findings, better, nu))


def _parts(findings: Findings, arch: str) -> Sample:
    return ratio(_rows(findings, "parts", arch=arch), _rows(findings, "lru"))


_DECADES = (
    "log₁₀ of the final loss of {} over that of {}, each at the learning rate that is best for the other seeds, {}"
)

CLAIMS = [
    Claim(
        name="fig03.dense_suffices_for_short_memories",
        figure="fig03",
        place="Sec. 4.1, Fig. 3A",
        sentence="For short memories the dense network is as good as the LRU or better.",
        statistic=_DECADES.format("the dense student", "the LRU", "ν₀ = 0.36, median over seeds"),
        criterion=Criterion(below=0.3),
        sample=partial(_gap, nu=0.36),
        control=_gap,
        control_says="ν₀ = 0.99",
    ),
    Claim(
        name="fig03.lru_wins_from_084_on",
        figure="fig03",
        place="Sec. 4.1, Fig. 3A",
        sentence="For longer memories the LRU is better.",
        statistic=_DECADES.format("the dense student", "the LRU", "ν₀ = 0.92, median over seeds"),
        criterion=Criterion(above=0.3),
        sample=partial(_gap, nu=0.92),
        control=partial(_gap, nu=0.36),
        control_says="ν₀ = 0.36",
    ),
    Claim(
        name="fig03.lru_wins_by_far",
        figure="fig03",
        place="Sec. 4.1, Fig. 3A",
        sentence="For the longest memories the LRU is better by orders of magnitude.",
        statistic=_DECADES.format("the dense student", "the LRU", "ν₀ = 0.99, median over seeds"),
        criterion=Criterion(above=2.0),
        sample=_gap,
        control=partial(_gap, nu=0.36),
        control_says="ν₀ = 0.36",
    ),
    Claim(
        name="fig03.whatever_the_teacher",
        figure="fig03",
        place="Sec. 4.1, Fig. 3A",
        sentence="So it is with teachers other than the authors' one.",
        statistic=_DECADES.format(
            "the dense student", "the LRU", "ν₀ = 0.99, a teacher for each seed, median over seeds"
        ),
        criterion=Criterion(above=2.0),
        sample=partial(_gap, worse="seeded_dense", better="seeded_lru"),
        control=partial(_gap, nu=0.36),
        control_says="ν₀ = 0.36 and the authors' teacher",
        ours=True,
    ),
    Claim(
        name="fig03.blocks_close_the_gap",
        figure="fig03",
        place="Sec. 4.1, Fig. 3B",
        sentence="A recurrence of 2×2 blocks closes nearly the whole gap.",
        statistic=_DECADES.format("the dense student", "that of 2×2 blocks", "ν₀ = 0.99, median over seeds"),
        criterion=Criterion(above=2.0),
        sample=partial(_gap, better="blocks"),
        control=partial(_gap, worse="blocks", better="lru"),
        control_says="2×2 blocks over LRU",
    ),
    Claim(
        name="fig03.the_rest_is_small",
        figure="fig03",
        place="Sec. 4.1, Fig. 3B",
        sentence="What is left between 2×2 blocks and the LRU is a factor of three.",
        statistic=_DECADES.format("the student of 2×2 blocks", "the LRU", "ν₀ = 0.99, median over seeds"),
        criterion=Criterion(above=-0.5, below=0.5),
        sample=partial(_gap, worse="blocks", better="lru"),
        control=_gap,
        control_says="dense over LRU",
    ),
    Claim(
        name="fig03.diagonal_is_near",
        figure="fig03",
        place="Sec. 4.1, Fig. 3B",
        sentence="A complex diagonal network is within a factor of three of the LRU.",
        statistic=_DECADES.format("the complex diagonal student", "the LRU", "ν₀ = 0.99, median over seeds"),
        criterion=Criterion(above=-0.5, below=0.5),
        sample=partial(_parts, arch="linear_diagonal"),
        control=_gap,
        control_says="dense over LRU",
    ),
]
