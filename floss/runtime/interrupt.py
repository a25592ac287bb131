"""Ctrl-C, SIGTERM and SIGUSR2: the first only sets a flag that the loop polls, a later one ends the process at once.

Clusters send SIGUSR2 before the time is up. A handler that was there before, such as that of submitit, which queues the
job again, gets it once everything is on disk.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SAME = 1.0
"""Seconds within which a signal again is still the first one: what is sent to a process group may come twice."""


class Interrupt:
    """Which signal asked the loop to stop; 0 while none did."""

    def __init__(self) -> None:
        """No signal yet."""
        self.signal = 0

    @property
    def status(self) -> int:
        """Exit status by convention: 130 for SIGINT, 143 for SIGTERM, 140 for SIGUSR2."""
        return 128 + self.signal


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catch the signals inside the block; the handlers that were there come back after it.

    A SIGTERM that has a handler already keeps it. Outside the main thread nothing is caught: Python allows no handlers
    there.
    """
    interrupt, first = Interrupt(), 0.0

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal first
        if not interrupt.signal:
            interrupt.signal, first = number, time.monotonic()
        elif number != interrupt.signal or time.monotonic() - first > _SAME:
            os._exit(128 + number)

    previous: dict[int, Any] = {}
    caught = [signal.SIGINT, signal.SIGUSR2]
    if not callable(signal.getsignal(signal.SIGTERM)):
        caught.append(signal.SIGTERM)
    with contextlib.suppress(ValueError):  # not the main thread
        for number in caught:
            previous[number] = signal.signal(number, handle)
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        before = previous.get(interrupt.signal)
        if callable(before) and before is not signal.default_int_handler:
            signal.raise_signal(interrupt.signal)
