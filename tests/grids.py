"""Grids of parameters of which a few combinations cover every kind of behaviour, and all others are slow tests."""

import itertools
from collections.abc import Collection, Iterable
from typing import Any

import pytest


def covered(every: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """Parameters of a test: the quick ones as they are, all others marked `slow`."""
    every = list(every)
    unknown = [each for each in quick if each not in every]
    assert not unknown, unknown
    return [each if each in quick else pytest.param(*_values(each), marks=pytest.mark.slow) for each in every]


def grid(quick: Collection[tuple[Any, ...]], *axes: Iterable[Any]) -> list[Any]:
    """Every combination of some values, of which all but the quick ones are marked `slow`."""
    return covered(itertools.product(*axes), quick)


def _values(each: Any) -> tuple[Any, ...]:
    return each if isinstance(each, tuple) else (each,)
