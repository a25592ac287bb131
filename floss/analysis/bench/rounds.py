"""Timing in rounds in which every contender runs once, so that a drifting machine is the same for all."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from floss.analysis.bench.contenders import Contender
from floss.analysis.bench.loops import Epochs, epochs_of
from floss.jobs.bench import BenchJob

_SETTLING = {"cpu": 1, "cuda": 5}
"""Epochs before the first that is timed: they compile and take memory. On a GPU the fourth is captured in a graph."""

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows of the square matrices whose product rate is measured."""


def timed_rounds(
    job: BenchJob, contenders: Sequence[Contender], device: str, steps: Callable[[str, Sequence[Any]], Any]
) -> tuple[list[list[float]], list[tuple[float, ...]]]:
    """Seconds per epoch of every contender in every round, and torch's product rates of every round.

    Args:
        job: the number of rounds, and how long or how many epochs each contender runs in one.
        contenders: what is timed.
        device: where.
        steps: goes over the items of a sequence and shows, under a title, how far it has come.

    Returns:
        Seconds [contender][round], and FLOP per second in float32 and float64 [round].
    """
    prepared = []
    for contender in steps("preparing", contenders):
        epochs = epochs_of(contender, device)
        epochs(_SETTLING[device])
        prepared.append((epochs, _epochs_per_round(job, contender, epochs, device)))
    products = [matmul_rate(device, torch.float32), matmul_rate(device, torch.float64)]
    times: list[list[float]] = [[] for _ in contenders]
    rates = []
    for _ in steps("rounds", range(job.repeats)):
        rates.append(tuple(rate() for rate in products))
        for seconds, (epochs, count) in zip(times, prepared, strict=True):
            if count > 1:  # the caches are another contender's; to an epoch that is as long as that, it makes no odds
                epochs(1)
            seconds.append(_timed(epochs, count, device))
    return times, rates


def _epochs_per_round(job: BenchJob, contender: Contender, epochs: Epochs, device: str) -> int:
    if job.epochs is not None and contender.loop != "spectrum":
        return job.epochs
    return max(1, round(job.seconds / _timed(epochs, 1, device)))


def matmul_rate(device: str, dtype: torch.dtype) -> Callable[[], float]:
    """A function that measures the machine's product rate once, in FLOP per second: that of torch's product.

    It is no upper bound. On a CPU whose vector units torch's library does not use in full, other code is faster.
    """
    size = MATRIX_SIZE[device]
    a = torch.randn(size, size, dtype=dtype, device=device)

    def measure() -> float:
        _synchronize(device)
        start = time.perf_counter()
        _ = a @ a
        _synchronize(device)
        return 2.0 * size**3 / (time.perf_counter() - start)

    measure()
    return measure


def _timed(epochs: Epochs, count: int, device: str) -> float:
    """Seconds per epoch."""
    _synchronize(device)
    start = time.perf_counter()
    epochs(count)
    _synchronize(device)
    return (time.perf_counter() - start) / count


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
