"""Forecasts of long computations, by a clock that is made up."""

import pytest

from floss.papers import timing
from floss.papers.timing import seconds_by_steps


class Clock:
    """Computations take `begin` and `each` seconds for every step."""

    def __init__(self, begin: float, each: float) -> None:
        self.now, self.begin, self.each = 0.0, begin, each
        self.steps: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def compute(self, steps: int) -> None:
        self.steps.append(steps)
        self.now += self.begin + self.each * steps


@pytest.mark.parametrize(("begin", "each"), [(2.0, 0.5), (0.0, 0.5), (5.0, 0.01)])
def test_what_is_linear_in_the_steps_is_told_exactly(begin, each, monkeypatch):
    clock = Clock(begin, each)
    monkeypatch.setattr(timing, "time", clock)
    assert seconds_by_steps(clock.compute, 1000, least=10, times=3) == pytest.approx(3 * (begin + 1000 * each))


def test_no_more_steps_are_timed_than_their_time_stands_out(monkeypatch):
    clock = Clock(1.0, 1.0)
    monkeypatch.setattr(timing, "time", clock)
    seconds_by_steps(clock.compute, 1600, least=10)
    assert clock.steps == [10, 10, 100]
    slow_to_begin = Clock(1000.0, 1.0)
    monkeypatch.setattr(timing, "time", slow_to_begin)
    assert seconds_by_steps(slow_to_begin.compute, 1600, least=10) == pytest.approx(2600)
    assert slow_to_begin.steps == [10, 10, 100, 200, 400, 800]


def test_what_is_short_is_timed_once(monkeypatch):
    clock = Clock(0.001, 0.0001)
    monkeypatch.setattr(timing, "time", clock)
    assert seconds_by_steps(clock.compute, 1000, least=10) < 1
    assert clock.steps == [10]
