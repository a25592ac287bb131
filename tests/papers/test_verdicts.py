"""From the rows of a claim to its verdict: bootstrap intervals, criteria, and what is too few."""

from collections.abc import Callable
from statistics import fmean as mean

import numpy as np
import pytest
from made_up_data import made

from floss.papers.claim import (
    FEWEST,
    NOT_ENOUGH,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Criterion,
    Result,
    Sample,
)
from floss.papers.gradient_flossing import PAPER
from floss.papers.judge import bootstrap, judge

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
        result = judge(one, None)
        assert result.verdict == NOT_ENOUGH
        assert (result.networks, result.units, result.scales, result.commands) == (0, 0, (), ())
        assert np.isnan([result.value, result.low, result.high]).all()


def test_a_result_names_its_runs_and_networks():
    result = judge(CLAIMS["fig04.pre_helps"], made("fig04", "true"))
    assert result.scales == ("paper",)
    assert result.commands == ("floss temporal", "floss spatial")
    assert (result.units, result.networks) == (8, 64)


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
