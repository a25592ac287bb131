"""What the paper claims of Fig. 5: the harder the task, the more exponents must be flossed."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import pandas as pd

from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample
from floss.paper.claims.samples import SOLVED, accuracies

NEVER = 90
"""Stands for a number of exponents where no k up to N = 80 was enough."""


def by_k(findings: Findings, run: str) -> pd.DataFrame:
    """Final accuracy by seed (rows) and (d, k)."""
    return accuracies(findings[run].summary, by=("d", "k"))


def needed(rows: pd.DataFrame, d: int) -> int:
    """The smallest k with which the mean accuracy says that a delay is solved."""
    means = rows[d].mean()
    return min((int(k) for k in means.index if means[k] > SOLVED), default=NEVER)


def _more_needed(findings: Findings, run: str) -> Sample:
    table = by_k(findings, run)
    delays = table.columns.get_level_values("d")
    first, last = delays.min(), delays.max()
    return Sample(table, lambda rows: float(needed(rows, last) - needed(rows, first)), table.size)


def _few_fail(findings: Findings, run: str) -> Sample:
    table = by_k(findings, run)
    delays = table.columns.get_level_values("d")
    first, last, k = delays.min(), delays.max(), table.columns.get_level_values("k").min()
    return Sample(table, lambda rows: float((rows[first, k] - rows[last, k]).mean()), 2 * len(table))


def _many_help(findings: Findings, run: str) -> Sample:
    table = by_k(findings, run)
    last, numbers = table.columns.get_level_values("d").max(), table.columns.get_level_values("k")
    return Sample(
        table, lambda rows: float((rows[last, numbers.max()] - rows[last, numbers.min()]).mean()), 2 * len(table)
    )


def claims(figure: str, run: str, place: str, when: str) -> list[Claim]:
    """The same three claims for another schedule."""
    return [
        Claim(
            name=f"{figure}.more_exponents_needed",
            figure=figure,
            place=place,
            sentence=f"The longer the delay, the more exponents must be flossed to solve temporal XOR ({when}).",
            statistic=f"smallest k with a mean accuracy above {SOLVED:.0%} at the longest delay minus at the shortest"
            f" ({NEVER} where there is none)",
            criterion=Criterion(above=0.0),
            sample=partial(_more_needed, run=run),
        ),
        Claim(
            name=f"{figure}.few_fail",
            figure=figure,
            place=place,
            sentence=f"With too few flossed exponents, accuracy falls as the delay grows ({when}).",
            statistic="mean accuracy with the fewest flossed exponents at the shortest delay minus at the longest",
            criterion=Criterion(above=0.05),
            sample=partial(_few_fail, run=run),
        ),
        Claim(
            name=f"{figure}.many_help",
            figure=figure,
            place=place,
            sentence=f"At the longest delay, flossing more exponents improves accuracy ({when}).",
            statistic="mean accuracy at the longest delay with the most flossed exponents minus with the fewest",
            criterion=Criterion(above=0.05),
            sample=partial(_many_help, run=run),
        ),
    ]


CLAIMS = claims("fig05", "during", "Sec. 7.1, Fig. 5", "flossing during training")
