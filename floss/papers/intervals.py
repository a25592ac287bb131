"""95 % intervals of a statistic: of bootstrap replicates, and exact ones of how many of some networks do something."""

import functools
import hashlib
import math

import numpy as np

from floss.papers.claim import Sample

REPLICATES = 2000
"""Bootstrap replicates behind an interval."""
_TAIL = (1, 40)
"""Probability beyond each end of an exact interval, as a fraction: 2.5 %."""
_BITS = 40
"""Binary digits of an exact interval's ends."""


def interval(sample: Sample, name: str) -> tuple[float, float]:
    """The 95 % interval of a statistic; NaN where the rows do not determine it, the value alone of a formula."""
    if sample.formula:
        value = float(sample.statistic(sample.rows))
        return value, value
    if sample.counted:
        return clopper_pearson(int(sample.rows.sum()), len(sample.rows))
    return bootstrap(sample, name)


def bootstrap(sample: Sample, name: str, replicates: int | None = None) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of a statistic over samples of the rows with replacement.

    Percentile bootstrap (Efron 1979); the random numbers depend on the name alone. Replicates that are not a number
    (no network of a kind was drawn) are left out, and there is no interval where they are more than half of them.
    """
    replicates = replicates or REPLICATES
    random = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    draws = random.integers(len(sample.rows), size=(replicates, len(sample.rows)))
    values = np.array([sample.statistic(sample.rows[draw]) for draw in draws], dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < replicates / 2:
        return np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between two infinite replicates
        low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@functools.cache
def clopper_pearson(true: int, units: int) -> tuple[float, float]:
    """Exact 95 % interval of a probability p of which `true` of `units` independent trials came out (1934).

    It has the p with P(X ≥ true) > 2.5 % and P(X ≤ true) > 2.5 % for X ~ Binomial(units, p), and covers the true one
    in at least 95 % of all experiments whatever it is. Found by bisection in whole numbers, so that it is the same on
    every processor; its ends are rounded outwards, to 2⁻⁴⁰.

    Raises:
        ValueError: there are fewer units than those that came out.
    """
    if not 0 <= true <= units:
        raise ValueError(f"clopper_pearson: {true} of {units} is no count")
    return _lower(true, units), 1.0 - _lower(units - true, units)


def _lower(true: int, units: int) -> float:
    """The largest p with P(X ≥ true) ≤ 2.5 %, rounded down; 0 where nothing came out."""
    below, above = 0, 2**_BITS  # numerators of p: at the first the tail is too rare, at the second it is not
    while true and above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if _rare(true, units, middle) else (below, middle)
    return below / 2**_BITS


def _rare(true: int, units: int, numerator: int) -> bool:
    """Whether P(X ≥ true) ≤ 2.5 % at p = numerator / 2⁴⁰: Σ C(n, i) pⁱ (1 - p)ⁿ⁻ⁱ over i ≥ true, by Horner's rule."""
    tail, power, rest = 0, 1, 2**_BITS - numerator
    for i in range(units, true - 1, -1):
        tail, power = tail * numerator + math.comb(units, i) * power, power * rest
    return tail * numerator**true * _TAIL[1] <= _TAIL[0] * 2 ** (_BITS * units)
