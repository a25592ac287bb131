"""When flossing happens, and for how long: the arithmetic of schedules."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass


def episode_starts(at: Sequence[int], every: int | None, epochs: int) -> tuple[int, ...]:
    """Training epochs before which a flossing episode runs: those of `at`, and every `every`-th; below `epochs`."""
    starts = set(at) | set(range(0, epochs, every) if every else ())
    return tuple(sorted(e for e in starts if e < epochs))


@functools.lru_cache(maxsize=10_000)
def said_shortly(starts: tuple[int, ...], epochs: int) -> tuple[tuple[int, ...], int | None]:
    """Keys `at` and `every` that give these episodes, the same however they were given: none beyond the training.

    Args:
        starts: as of `episode_starts`.
        epochs: of the training.

    Returns:
        The epochs themselves, or where there are at least three multiples of one of them, all that there are, these as
        `every` and the rest as `at`.
    """
    several = set(starts)
    for every in starts:
        multiples = range(0, epochs, every) if every else ()
        if len(multiples) > 2 and all(start in several for start in multiples):
            return tuple(start for start in starts if start % every), every
    return starts, None


def transient_steps(steps: int) -> int:
    """Steps of a flossing run of T_f steps that are not counted: 10 + ⌈T_f / 10⌉ (reference protocol)."""
    return 10 + -(-steps // 10)


def flossing_steps(d: int) -> int:
    """Default length T_f of a flossing run for delay d."""
    return max(55, d + 20)


@dataclass(frozen=True, order=True)
class FlossingRun:
    """The run along which the exponents of one flossing epoch are measured, in steps."""

    length: int
    """T_f, all of its steps."""
    transient: int
    """Its first steps, which are not counted."""

    @classmethod
    def of_length(cls, length: int, transient: int | None = None) -> "FlossingRun":
        """A run of T_f steps; without `transient` that of the reference protocol."""
        return cls(length, transient_steps(length) if transient is None else transient)

    @classmethod
    def for_delay(cls, d: int, length: int | None = None, transient: int | None = None) -> "FlossingRun":
        """The run of a network with delay d; what is None is that of the reference protocol."""
        return cls.of_length(flossing_steps(d) if length is None else length, transient)

    @property
    def counted(self) -> int:
        """Steps that are counted."""
        return self.length - self.transient
