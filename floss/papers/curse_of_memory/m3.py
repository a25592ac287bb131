"""A figure of ours: students with blocks of several sizes, with and without flossing before they learn.

What is expected, before any data: flossing helps the less, the more blocks there are, and what a student can learn
follows the share of its Hessian that is off the diagonal, not how sharp it is.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.flossed_jobs import NONE
from floss.papers.curse_of_memory.students import decades, losses_panel, tuned
from floss.papers.finding import Findings
from floss.papers.samples import middle, rank_correlation

HEADS = (1, 8, 32)
"""Numbers of blocks of which the Hessian is measured."""
MEASURES = {"off_diagonal": "share of the Hessian off its diagonal", "largest": "largest eigenvalue of the Hessian"}


def draw(findings: Findings) -> Figure:
    """A: loss against the number of blocks; B, C: loss against two measures of the Hessian before training."""
    with house_style():
        figure, (a, b, c) = plt.subplots(1, 3, figsize=(11.0, 3.6))
        groups = []
        for run, label in (("none", "no flossing"), ("flossed", "flossed before training")):
            results = {int(h): tuned(rows) for h, rows in findings[run].summary.groupby("arch.heads")}
            groups.append((label, list(results), list(results.values())))
        losses_panel(a, groups)
        a.set_xscale("log", base=2)
        a.set_xticks(groups[0][1], list(map(str, groups[0][1])))
        a.set_xlabel("number of blocks of the recurrent matrix")
        a.set_title("A  open: the best rate is at an edge")
        a.legend()
        table = _conditions(findings)
        for axes, (column, words), letter in zip((b, c), MEASURES.items(), "BC", strict=True):
            for (heads, flossed), rows in table.groupby(["heads", "flossed"]):
                place = HEADS.index(heads)
                fill = COLOURS[place] if flossed else "white"
                look = {"color": COLOURS[place], "markerfacecolor": fill, "linestyle": "", "markersize": 4.5}
                axes.plot(rows[column], 10.0 ** rows["loss"], MARKERS[place], **look)
            axes.set_yscale("log")
            axes.set_xlabel(f"{words}, before training")
            axes.set_title(f"{letter}  filled: flossed")
        c.set_xscale("log")
        for place, heads in enumerate(HEADS):
            c.plot([], [], MARKERS[place], color=COLOURS[place], label=f"{heads}")
        c.legend(title="blocks", fontsize=7, title_fontsize=7)
        return figure


def _losses(findings: Findings, run: str, heads: int) -> tuple[pd.Series, int]:
    rows = findings[run].summary
    result = tuned(rows[rows["arch.heads"] == heads])
    return result.losses, result.networks


def _conditions(findings: Findings) -> pd.DataFrame:
    """A row for each seed, number of blocks, flossed or not: log₁₀ of the loss, and measures before training."""
    parts = []
    for heads in HEADS:
        measured = findings[f"heads_{heads}"].tables["networks"]
        for run in ("none", "flossed"):
            losses, _ = _losses(findings, run, heads)
            own = measured[(measured["target"] == NONE) == (run == "none")].set_index("seed")
            rows = own[list(MEASURES)].assign(heads=heads, flossed=run == "flossed", loss=np.log10(losses).clip(-20, 6))
            parts.append(rows.reset_index())
    return pd.concat(parts)


# --- claims ---


def _gain(findings: Findings, heads: int) -> tuple[pd.Series, int]:
    """Decades by which the loss without flossing is larger, per seed."""
    (none, some), (flossed, others) = (_losses(findings, run, heads) for run in ("none", "flossed"))
    return decades(none, flossed), some + others


def _gains(findings: Findings, heads: int, minus: int | None = None) -> Sample:
    gain, networks = _gain(findings, heads)
    if minus is not None:
        less, further = _gain(findings, minus)
        gain, networks = gain - less, networks + further
    sample = middle(gain)
    return Sample(sample.rows, sample.statistic, networks)


def _follows(findings: Findings, than: str = "") -> Sample:
    """Rank correlation over all conditions of the loss with the share off the diagonal, one for each seed.

    With `than` minus that with another measure.
    """
    values = []
    for _, rows in _conditions(findings).groupby("seed"):
        loss = rows["loss"].to_numpy()
        value = rank_correlation(rows["off_diagonal"].to_numpy(), loss)
        values.append(value - rank_correlation(rows[than].to_numpy(), loss) if than else value)
    return middle(values, each=2 * len(HEADS))


_GAIN = (
    "log₁₀ of the final loss without flossing over that with, each at the learning rate that is best for the other"
    " seeds, {}, median over seeds"
)

CLAIMS = [
    Claim(
        name="m3.gain_of_dense",
        figure="m3",
        place="M3",
        sentence="Flossing to the target of M1 makes a dense student learn better.",
        statistic=_GAIN.format("one block"),
        criterion=Criterion(above=0.3),
        sample=partial(_gains, heads=1),
        ours=True,
    ),
    Claim(
        name="m3.no_gain_of_blocks",
        figure="m3",
        place="M3",
        sentence="With 2×2 blocks it makes no difference.",
        statistic=_GAIN.format("32 blocks"),
        criterion=Criterion(above=-0.3, below=0.3),
        sample=partial(_gains, heads=32),
        tried="On the seeds of Fig. 11 2×2 blocks end near 2 × 10⁻⁴ without flossing; on these three of five do"
        " not, and flossing helps them.",
        ours=True,
    ),
    Claim(
        name="m3.gain_shrinks",
        figure="m3",
        place="M3",
        sentence="It helps a dense student more than one with 2×2 blocks.",
        statistic=_GAIN.format("one block minus 32 blocks"),
        criterion=Criterion(above=0.3),
        sample=partial(_gains, heads=1, minus=32),
        ours=True,
    ),
    Claim(
        name="m3.off_the_diagonal",
        figure="m3",
        place="M3",
        sentence="What a student learns follows how much of its Hessian is off the diagonal.",
        statistic="rank correlation of the final loss with the share of the Hessian's squared entries off the diagonal"
        " before training, over numbers of blocks with and without flossing, median over seeds",
        criterion=Criterion(above=0.7),
        sample=_follows,
        tried="2×2 blocks without flossing are stuck at losses of 0.4 and more in three of five seeds, with Hessians"
        " that are more diagonal than those of fewer blocks: their memory is too short.",
        ours=True,
    ),
    Claim(
        name="m3.not_the_sharpness",
        figure="m3",
        place="M3",
        sentence="It follows that more than how sharp the loss is.",
        statistic="that rank correlation minus the one with the largest eigenvalue of the Hessian, median over seeds",
        criterion=Criterion(above=0.0),
        sample=partial(_follows, than="largest"),
        ours=True,
    ),
]
