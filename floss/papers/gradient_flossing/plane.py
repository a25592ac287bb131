"""Temporal XOR over the plane of the delay d and the number k of flossed exponents: what Figs 5 and 7 measure.

A network solves its task or stays near chance, so that means over networks are made of two numbers. Everything here is
therefore said of how many networks solve the task. A trend is asked for over those delays alone that some k solves.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import SOLVED, accuracies
from floss.papers.samples import rank_correlation

MOST = 0.9
"""More than this share of networks: a delay is solved with k, where they solve it."""
HARDEST = 80
"""The longest delay of the paper's grid (Figs 5 and 7), in steps."""
TREND = 0.5
"""A rank correlation above this is a trend."""


@dataclass(frozen=True)
class Plane:
    """Final accuracies of one schedule."""

    delays: np.ndarray
    """Delays d in steps, ascending [D]."""
    numbers: np.ndarray
    """Numbers k of flossed exponents, ascending [K]."""
    accuracy: np.ndarray
    """Final accuracy of each network, 0.5 if it diverged [seeds, D, K]; NaN where there is no such network."""

    def sample(self, statistic: Callable[[np.ndarray], float]) -> Sample:
        """A statistic of the accuracies of some seeds [seeds, D, K]."""
        return Sample(self.accuracy, statistic, int(np.isfinite(self.accuracy).sum()))


def plane(findings: Findings, run: str) -> Plane:
    """The plane of one run of a figure."""
    table = accuracies(findings[run].summary, by=("d", "k"))
    delays, numbers = (np.array(sorted(set(table.columns.get_level_values(name)))) for name in ("d", "k"))
    cells = table.reindex(columns=[(d, k) for d in delays for k in numbers])
    return Plane(delays, numbers, cells.to_numpy(dtype=float).reshape(len(table), len(delays), len(numbers)))


def exchanged(whole: Plane) -> Plane:
    """The control of whatever depends on k: each seed's numbers k are moved on by its place among the seeds."""
    return Plane(whole.delays, whole.numbers, np.array([np.roll(own, i, 1) for i, own in enumerate(whole.accuracy)]))


def fewest(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Smallest k with which a delay is solved, by delay [D]; NaN where none is enough, or a network is missing."""
    if np.isnan(rows).any():
        return np.full(rows.shape[1], np.nan)
    enough = (rows > SOLVED).mean(axis=0) > MOST
    return np.where(enough.any(axis=1), numbers[enough.argmax(axis=1)], np.nan)


def hardest_solved(rows: np.ndarray, numbers: np.ndarray) -> int | None:
    """Place of the longest delay that some k solves; None where there is none."""
    solved = np.flatnonzero(np.isfinite(fewest(rows, numbers)))
    return int(solved[-1]) if len(solved) else None


def more_needed(whole: Plane) -> Sample:
    """Rank correlation of the fewest k with the delay, over the delays that some k solves; 0 where all need the same.

    NaN for fewer than two such delays.
    """

    def statistic(rows: np.ndarray) -> float:
        needed = fewest(rows, whole.numbers)
        known = np.isfinite(needed)
        return rank_correlation(whole.delays[known], needed[known])

    return whole.sample(statistic)


def falls(whole: Plane, column: int) -> Sample:
    """Mean accuracy with one of the numbers k, at the shortest delay minus at the longest that some k solves."""

    def statistic(rows: np.ndarray) -> float:
        place = hardest_solved(rows, whole.numbers)
        return np.nan if place is None else (rows[:, 0, column] - rows[:, place, column]).mean()

    return whole.sample(statistic)


def gain(whole: Plane) -> Sample:
    """Share of networks that solve the longest delay that some k solves, with the largest k minus with the smallest."""

    def statistic(rows: np.ndarray) -> float:
        place = hardest_solved(rows, whole.numbers)
        solve = rows > SOLVED
        return np.nan if place is None else solve[:, place, -1].mean() - solve[:, place, 0].mean()

    return whole.sample(statistic)


def reach(whole: Plane) -> Sample:
    """Rank correlation with k of the longest delay up to which the median network solves every one (0: none)."""

    def statistic(rows: np.ndarray) -> float:
        if np.isnan(rows).any():
            return np.nan
        solved = np.median(rows, axis=0) > SOLVED
        far = np.append(0, whole.delays)[np.logical_and.accumulate(solved).sum(axis=0)]
        return rank_correlation(whole.numbers, far)

    return whole.sample(statistic)


def solves_with_any(whole: Plane, d: int) -> np.ndarray:
    """Whether any of a seed's networks, of all k, solves a delay [seeds]; seeds of which one is missing are left out.

    The networks of a seed have the same initial weights, and are not independent of each other: a seed counts once.
    """
    (place,) = np.flatnonzero(whole.delays == d) if d in whole.delays else ([],)
    rows = whole.accuracy[:, place].reshape(len(whole.accuracy), -1)
    rows = rows[np.isfinite(rows).all(axis=1)] if rows.size else rows[:0]
    return (rows > SOLVED).any(axis=1)


def of(findings: Findings, run: str, measure: Callable[..., Sample], **how: Any) -> Sample:
    """A measure of one run's plane."""
    return measure(plane(findings, run), **how)


def needs_more(name: str, run: str, place: str, when: str) -> Claim:
    """The longer the delay, the more exponents."""
    return Claim(
        name=name,
        figure=name.partition(".")[0],
        place=place,
        sentence=f"The longer the delay, the more exponents must be flossed to solve temporal XOR ({when}).",
        statistic="Spearman's rank correlation with the delay of the smallest k with which more than"
        f" {MOST:.0%} of the networks have a final accuracy above {SOLVED:.0%}, over the delays for which there is"
        " one; 0 if all need the same",
        criterion=Criterion(above=TREND),
        sample=partial(of, run=run, measure=more_needed),
    )


def claims(figure: str, run: str, place: str, when: str) -> list[Claim]:
    """The claims that Figs 5 and 7 share, each for its schedule."""
    longest = "the longest delay that some k solves (for more than 90% of the networks)"
    return [
        needs_more(f"{figure}.more_exponents_needed", run, place, when),
        Claim(
            name=f"{figure}.few_fail",
            figure=figure,
            place=place,
            sentence=f"With too few flossed exponents, accuracy falls as the delay grows ({when}).",
            statistic="mean final accuracy (50 % if diverged) with the fewest flossed exponents, at the shortest delay"
            f" minus at {longest}",
            criterion=Criterion(above=0.05),
            sample=partial(of, run=run, measure=falls, column=0),
        ),
        Claim(
            name=f"{figure}.many_help",
            figure=figure,
            place=place,
            sentence=f"Where some number of flossed exponents is enough, flossing more of them helps ({when}).",
            statistic=f"share of networks with a final accuracy above {SOLVED:.0%} at {longest}, with the most flossed"
            " exponents minus with the fewest",
            criterion=Criterion(above=0.0),
            sample=partial(of, run=run, measure=gain),
        ),
    ]
