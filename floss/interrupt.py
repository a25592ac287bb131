"""Ctrl-C and SIGTERM: the first only sets a flag that the loop polls, the second leaves at once."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupt:
    """Which signal asked the loop to stop; 0 while none did."""

    def __init__(self) -> None:
        """Nothing asked for yet."""
        self.signal = 0

    @property
    def status(self) -> int:
        """Exit status by convention: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM inside the block; the handlers that were there come back after it.

    Outside the main thread nothing is caught: Python allows no handlers there.
    """
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.signal:
            os._exit(128 + number)
        interrupt.signal = number
        before = previous.get(number)
        if callable(before) and before is not signal.default_int_handler:
            before(number, frame)

    previous: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, handle)
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
