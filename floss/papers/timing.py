"""How long a computation of many steps takes on this machine, by few of them."""

import time
from collections.abc import Callable

_PART = 16
"""A computation is timed at this part of its steps first."""
_LEAST = 0.1
"""Seconds by which the timing of more steps must exceed that of few, for their difference to mean anything."""
_SHORT = 1.0
"""What takes no longer than so many seconds needs no better timing."""


def seconds_by_steps(compute: Callable[[int], object], steps: int, least: int, times: float = 1.0) -> float:
    """About how long a computation takes that is repeated, by what it takes with fewer steps.

        seconds = times [t(least) + (t(some) - t(least)) (steps - least) / (some - least)]

    What does not depend on the number of steps, as the drawing of weights, is in t(least). The number `some` begins
    with a sixteenth of the steps and is doubled until the difference is well above the noise of a clock, or the
    whole is so short that nobody waits for it.

    Args:
        compute: does it with so many steps.
        steps: of the whole computation.
        least: the fewest with which it can be done.
        times: how often it is done.

    Returns:
        Seconds.
    """
    first = _timed(compute, least)
    at_most = times * first * max(steps / least, 1.0)
    if steps <= least or at_most < _SHORT:
        return at_most
    first = min(first, _timed(compute, least))  # the first time of all there is more to do: memory, threads, tables
    some = min(steps, max(2 * least, -(-steps // _PART)))
    while True:
        both = _timed(compute, some)
        estimate = times * (first + max(both - first, 0.0) * (steps - least) / (some - least))
        if some == steps or times * both * steps / some < _SHORT or both - first > max(_LEAST, 0.5 * first):
            return estimate
        some = min(steps, 2 * some)


def _timed(compute: Callable[[int], object], steps: int) -> float:
    start = time.perf_counter()
    compute(steps)
    return time.perf_counter() - start
