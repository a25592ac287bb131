"""Fig. 5: how many exponents must be flossed, before and during training ("during"), for how long a delay.

The paper claims: the harder the task, the more exponents must be flossed.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import sweep_panel
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import ACCURACY, SOLVED, accuracies, pick
from floss.papers.samples import mean_of


def draw(findings: Findings) -> Figure:
    """Final accuracy against the delay for each k (A), and against k for each delay (B): mean, quartiles, dots."""
    summary = findings["during"].summary
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 4.2), sharey=True)
        sweep_panel(left, summary, "d", 'A  flossing "during", against the delay')
        sweep_panel(right, summary, "k", "B  the same networks, against k")
        right.set_ylabel("")
        return figure


# --- claims ---


NEVER = 90
"""Stands for a number of exponents where no k up to N = 80 was enough."""


def by_k(findings: Findings, run: str) -> pd.DataFrame:
    """Final accuracy by seed (rows) and (d, k)."""
    return accuracies(findings[run].summary, by=("d", "k"))


def needed(means: np.ndarray, numbers: list[int]) -> float:
    """The smallest k with which the mean accuracy says that a delay is solved; NaN where one is not known."""
    enough = (k for k, mean in zip(numbers, means, strict=True) if mean > SOLVED)
    return np.nan if np.isnan(means).any() else next(enough, NEVER)


def ends(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy by seed and k, ascending, at the shortest and at the longest delay."""
    delays, numbers = (sorted(set(table.columns.get_level_values(name))) for name in ("d", "k"))
    first, last = (pick(table, d).reindex(columns=numbers) for d in (delays[0], delays[-1]))
    return first, last


def _more_needed(findings: Findings, run: str) -> Sample:
    first, last = ends(by_k(findings, run))
    numbers = list(first)

    def statistic(rows: np.ndarray) -> float:
        short, long = rows.mean(axis=0)
        return needed(long, numbers) - needed(short, numbers)

    return Sample(np.stack([first, last], axis=1), statistic, first.size + last.size)


def _few_fail(findings: Findings, run: str) -> Sample:
    first, last = ends(by_k(findings, run))
    return mean_of((first - last).iloc[:, :1], each=2)


def _many_help(findings: Findings, run: str) -> Sample:
    _, last = ends(by_k(findings, run))
    return mean_of((last.iloc[:, -1] - last.iloc[:, 0]).to_frame(), each=2)


def claims(figure: str, run: str, place: str, when: str) -> list[Claim]:
    """The same three claims for another schedule."""
    return [
        Claim(
            name=f"{figure}.more_exponents_needed",
            figure=figure,
            place=place,
            sentence=f"The longer the delay, the more exponents must be flossed to solve temporal XOR ({when}).",
            statistic=f"smallest k with a mean {ACCURACY} above {SOLVED:.0%} ({NEVER} where there is none), at the"
            " longest delay minus at the shortest",
            criterion=Criterion(above=0.0),
            sample=partial(_more_needed, run=run),
        ),
        Claim(
            name=f"{figure}.few_fail",
            figure=figure,
            place=place,
            sentence=f"With too few flossed exponents, accuracy falls as the delay grows ({when}).",
            statistic=f"mean {ACCURACY} with the fewest flossed exponents, at the shortest delay minus at the longest",
            criterion=Criterion(above=0.05),
            sample=partial(_few_fail, run=run),
        ),
        Claim(
            name=f"{figure}.many_help",
            figure=figure,
            place=place,
            sentence=f"At the longest delay, flossing more exponents improves accuracy ({when}).",
            statistic=f"mean {ACCURACY} at the longest delay, with the most flossed exponents minus with the fewest",
            criterion=Criterion(above=0.05),
            sample=partial(_many_help, run=run),
        ),
    ]


CLAIMS = claims("fig05", "during", "Sec. 7.1, Fig. 5", "flossing during training")
