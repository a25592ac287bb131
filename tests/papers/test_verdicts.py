"""From the rows of a claim to its verdict: intervals, criteria, controls, and what is too few."""

from collections.abc import Callable
from fractions import Fraction
from math import comb
from statistics import fmean as mean
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_data import made

from floss.papers import samples
from floss.papers.claim import (
    EXACT,
    FEWEST,
    FORMULA,
    NOT_ENOUGH,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Criterion,
    Result,
    Sample,
)
from floss.papers.gradient_flossing import PAPER
from floss.papers.intervals import bootstrap, clopper_pearson
from floss.papers.judge import judge
from floss.papers.report.typesetting import measured

CLAIMS = {each.name: each for each in PAPER.claims()}


def verdict(low: float, high: float, *, units: int = 10, scales: tuple[str, ...] = ("paper",), **bounds: float) -> str:
    one = Claim("a.b", "fig01", "", "", "", Criterion(**bounds), lambda _: Sample(np.zeros(0), np.mean, 0))
    return Result(one, (low + high) / 2, low, high, units, scales, (), units).verdict


@pytest.mark.parametrize(
    ("bounds", "low", "high", "expected"),
    [
        ({"above": 1.0}, 1.1, 2.0, REPRODUCED),
        ({"above": 1.0}, 1.0, 2.0, NOT_ENOUGH),  # the bound itself does not meet it
        ({"above": 1.0}, 0.0, 1.0, NOT_REPRODUCED),
        ({"above": 1.0}, 0.5, 1.5, NOT_ENOUGH),
        ({"above": 1.0}, 1.0, 1.0, NOT_REPRODUCED),
        ({"below": 1.0}, -9.0, 0.9, REPRODUCED),
        ({"below": 1.0}, 1.0, 2.0, NOT_REPRODUCED),
        ({"below": 1.0}, 0.5, 1.5, NOT_ENOUGH),
        ({"above": -1.0, "below": 1.0}, -0.9, 0.9, REPRODUCED),
        ({"above": -1.0, "below": 1.0}, 1.5, 2.0, NOT_REPRODUCED),
        ({"above": -1.0, "below": 1.0}, -2.0, -1.5, NOT_REPRODUCED),
        ({"above": -1.0, "below": 1.0}, -2.0, 2.0, NOT_ENOUGH),
        ({"above": -1.0, "below": 1.0}, 0.0, 1.0, NOT_ENOUGH),
        ({"above": 1.0}, np.nan, np.nan, NOT_ENOUGH),
        ({"above": 1.0}, 2.0, np.inf, NOT_ENOUGH),
        ({"below": 1.0}, -np.inf, 0.0, NOT_ENOUGH),
    ],
)
def test_the_interval_alone_decides(bounds, low, high, expected):
    assert verdict(low, high, **bounds) == expected


@pytest.mark.parametrize("scales", [("paper",), ("small",), ("paper", "small"), ("small", "smoke")])
@pytest.mark.parametrize("units", [0, 1, FEWEST - 1, FEWEST, 100])
def test_few_units_and_smoke_scale_have_no_verdict(scales, units):
    expected = REPRODUCED if units >= FEWEST and "smoke" not in scales else NOT_ENOUGH
    assert verdict(2.0, 3.0, units=units, scales=scales, above=1.0) == expected


def test_criteria_as_formulas():
    assert list(map(str, (Criterion(above=0.9), Criterion(below=1e-6), Criterion(above=-1, below=1)))) == [
        *("> 0.9", "< 1e-06", "> -1 and < 1"),
    ]


def test_without_findings_there_is_the_claim():
    for one in CLAIMS.values():
        result = judge(one, {})
        assert result.verdict == NOT_ENOUGH
        assert (result.networks, result.units, result.scales, result.commands) == (0, 0, (), ())
        assert np.isnan([result.value, result.low, result.high]).all()


def test_a_result_names_its_runs_and_networks():
    """Those that its claim looks at; a run that is missing takes the numbers of no other claim."""
    runs = made("fig04", "true")
    result = judge(CLAIMS["fig04.pre_helps"], runs)
    assert result.scales == ("paper",)
    assert result.commands == ("floss temporal",)
    assert result.identities == frozenset(runs["temporal"].summary["network"])
    assert judge(CLAIMS["fig04.pre_helps"], {"temporal": runs["temporal"]}) == result
    assert judge(CLAIMS["fig04.pre_helps"], {"spatial": runs["spatial"]}).units == 0
    assert (result.units, result.networks) == (20, 240)


NORMAL = Sample(np.random.default_rng(3).normal(size=30), np.mean, 30)


def test_intervals_depend_on_the_name_alone():
    assert bootstrap(NORMAL, "a") == bootstrap(NORMAL, "a")
    assert bootstrap(NORMAL, "a") != bootstrap(NORMAL, "b")
    low, high = bootstrap(NORMAL, "a")
    error = NORMAL.rows.std() / np.sqrt(30)
    assert [low, high] == pytest.approx(NORMAL.rows.mean() + 1.96 * error * np.array([-1, 1]), abs=0.3 * error)


def test_intervals_cover_the_mean_as_often_as_they_say():
    rows = np.random.default_rng(4).normal(2.0, 1.0, size=(300, 40))
    intervals = [bootstrap(Sample(own, np.mean, 40), f"{i}", replicates=300) for i, own in enumerate(rows)]
    covered = mean(low < 2.0 < high for low, high in intervals)
    # 95 % for many rows, a little less for 40; 300 of them have a standard error of 1.3 %.
    assert 0.90 <= covered <= 0.98


def test_replicates_without_a_number_are_left_out():
    rows = np.arange(20.0)

    def most(part: float) -> Callable[[np.ndarray], float]:
        numbers = iter(np.arange(1000) < 1000 * part)
        return lambda own: np.nan if next(numbers) else own.mean()

    whole = bootstrap(Sample(rows, np.mean, 20), "a", replicates=1000)
    half = bootstrap(Sample(rows, most(0.5), 20), "a", replicates=1000)
    assert half == pytest.approx(whole, abs=0.5)
    assert np.isnan(bootstrap(Sample(rows, most(0.501), 20), "a", replicates=1000)).all()
    assert np.isnan(bootstrap(Sample(rows, most(1), 20), "a", replicates=1000)).all()


def test_infinite_replicates_give_no_finite_interval():
    low, high = bootstrap(Sample(np.full(9, -np.inf), np.median, 9), "a")
    assert not np.isfinite([low, high]).any()


@pytest.mark.parametrize(
    ("true", "units", "low", "high"),
    [
        (5, 5, 0.4782, 1),
        (10, 10, 0.6915, 1),
        (0, 10, 0, 0.3085),
        (13, 20, 0.4078, 0.8461),
        (9, 10, 0.5550, 0.9975),
        (3, 5, 0.1466, 0.9473),
        (1, 5, 0.0051, 0.7164),
        (0, 1, 0, 0.975),
    ],
)
def test_exact_intervals_are_the_tabulated_ones(true, units, low, high):
    assert clopper_pearson(true, units) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("units", [1, 4, 9, 20, 36])
def test_exact_intervals_solve_their_equations(units):
    """P(X ≥ n) = 2.5 % at the lower end, P(X ≤ n) = 2.5 % at the upper one, in exact fractions."""
    for true in range(units + 1):
        low, high = map(Fraction, clopper_pearson(true, units))

        def chance(p: Fraction, numbers: range) -> float:
            return float(sum(comb(units, i) * p**i * (1 - p) ** (units - i) for i in numbers))

        assert (chance(low, range(true, units + 1)) if true else low) == pytest.approx(0.025 * (true > 0), abs=1e-9)
        assert (chance(high, range(true + 1)) if true < units else high) == pytest.approx(
            0.025 if true < units else 1, abs=1e-9
        )
        # Mirrored, the same, and wider than nothing.
        mirrored = clopper_pearson(units - true, units)
        assert mirrored == (1 - float(high), pytest.approx(1 - float(low), abs=1e-11))
        assert low <= Fraction(true, units) <= high


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
def test_exact_intervals_cover_at_least_as_often_as_they_say(p):
    for units in (5, 10, 20):
        chances = [comb(units, n) * p**n * (1 - p) ** (units - n) for n in range(units + 1)]
        ends = [clopper_pearson(n, units) for n in range(units + 1)]
        assert sum(c for c, (low, high) in zip(chances, ends, strict=True) if low <= p <= high) >= 0.95


@pytest.mark.parametrize(("true", "units"), [(-1, 5), (6, 5)])
def test_a_count_beyond_its_units_is_refused(true, units):
    with pytest.raises(ValueError, match=f"{true} of {units} is no count"):
        clopper_pearson(true, units)


@pytest.mark.parametrize("units", [1, 2, 3, 4, 9, 40])
@pytest.mark.parametrize("odd", [[], [np.nan], [np.inf], [-np.inf, np.inf], [-np.inf, -np.inf, -np.inf], [0.0, -0.0]])
def test_the_quick_median_is_numpys_to_the_last_bit(units, odd):
    rows = np.random.default_rng(units).normal(size=units) ** 3
    rows[: len(odd)] = odd[:units]
    with np.errstate(invalid="ignore"):  # between two infinite values
        assert np.array_equal(samples.middle_of(rows), np.median(rows), equal_nan=True)


@pytest.mark.parametrize("values", [[0.5, 1.0], [[True], [False]], [True, np.nan]])
def test_what_is_counted_is_yes_or_no(values):
    with pytest.raises(ValueError, match="one yes or no for each unit"):
        samples.count(values)


def claim(sample: Any, **different: Any) -> Claim:
    return Claim("a.b", "fig01", "Sec. 1", "So it is.", "a share", Criterion(above=0.8), lambda _: sample, **different)


def test_values_of_a_formula_have_no_interval():
    """One value is enough, and it decides alone."""
    result = judge(claim(samples.formula([0.9], np.max)), made("fig01", "true"))
    assert (result.value, result.low, result.high, result.verdict) == (0.9, 0.9, 0.9, REPRODUCED)
    assert (result.interval, result.networks, measured(result)) == (FORMULA, 0, "0.900")
    assert judge(claim(samples.formula([0.7, 0.6], np.max)), made("fig01", "true")).verdict == NOT_REPRODUCED
    assert judge(claim(samples.formula([np.nan], np.max)), made("fig01", "true")).verdict == NOT_ENOUGH
    smoke = judge(claim(samples.formula([0.9], np.max)), {})
    assert Result(smoke.claim, 0.9, 0.9, 0.9, scales=("smoke",), formula=True).verdict == NOT_ENOUGH


def test_counts_have_exact_intervals():
    result = judge(claim(samples.count([True] * 5)), made("fig01", "true"))
    assert (result.low, result.high) == clopper_pearson(5, 5)
    assert (result.value, result.counted, result.units, result.networks) == (1, 5, 5, 5)
    assert (result.interval, result.verdict) == (EXACT, NOT_ENOUGH)  # a bootstrap interval has no width here
    assert judge(claim(samples.count([True] * 17)), made("fig01", "true")).verdict == REPRODUCED
    assert judge(claim(samples.count([False] * 10, each=3)), made("fig01", "true")).networks == 30
    assert judge(claim(samples.count([])), made("fig01", "true")).verdict == NOT_ENOUGH


def test_a_control_is_judged_like_the_claim():
    other = samples.count([True, False] * 10)
    one = claim(samples.count([True] * 20), control=lambda _: other, control_says="half of them")
    result = judge(one, made("fig01", "true"))
    assert result.verdict == REPRODUCED
    assert result.control is not None
    assert (result.control.value, result.control.misses) == (0.5, True)
    assert (result.control.low, result.control.high) == clopper_pearson(10, 20)
    assert result.control.claim.criterion == one.criterion
    assert judge(claim(other), made("fig01", "true")).control is None


@pytest.mark.parametrize("words", [{"control": lambda _: None}, {"control_says": "nothing"}])
def test_a_control_has_words(words):
    with pytest.raises(ValueError, match="a control needs control_says"):
        claim(None, **words)


def test_numbers_of_units_are_numbers_whether_or_not_there_are_any():
    """Of none they were texts where pyarrow is installed, and those of another type elsewhere."""
    of = pd.Series({"a": 1.0, "b": 2.0})
    units = pd.Series(["b", "c", "b"], dtype="str")
    assert samples.number_of(units, of).tolist() == pytest.approx([2.0, float("nan"), 2.0], nan_ok=True)
    for several, numbers in ((units, of.head(0)), (units.head(0), of), (units.head(0), of.head(0))):
        assert samples.number_of(several, numbers).dtype == float
