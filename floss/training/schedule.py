"""When flossing happens, and for how long: the arithmetic of schedules."""

from collections.abc import Sequence


def episode_starts(at: Sequence[int], every: int | None, epochs: int) -> tuple[int, ...]:
    """Training epochs before which a flossing episode runs: those of `at`, and every `every`-th; below `epochs`."""
    starts = set(at) | set(range(0, epochs, every) if every else ())
    return tuple(sorted(e for e in starts if e < epochs))


def transient_steps(steps: int) -> int:
    """Steps of a flossing run of T_f steps that are not counted: 10 + ⌈T_f / 10⌉ (reference protocol)."""
    return 10 + -(-steps // 10)


def flossing_steps(d: int) -> int:
    """Default length T_f of a flossing run for delay d."""
    return max(55, d + 20)


def flossing_run(d: int, steps: int | None = None, transient: int | None = None) -> tuple[int, int]:
    """Length T_f of one flossing run for delay d, and how many of its steps are not counted; None: the default."""
    steps = flossing_steps(d) if steps is None else steps
    return steps, transient_steps(steps) if transient is None else transient
