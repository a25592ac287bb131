"""How much of a long computation is done, for a callback."""

from collections.abc import Callable


class WorkCounter:
    """Counts units of work for a callback(done, total); the total may grow on the way."""

    def __init__(self, callback: Callable[[int, int], object] | None) -> None:
        """Nothing is done yet, and nothing expected."""
        self._callback = callback
        self._done = self._total = 0

    def expect(self, units: int) -> None:
        """There are so many more units to do."""
        self._total += units

    def step(self) -> None:
        """One unit is done."""
        self._done += 1
        if self._callback is not None:
            self._callback(self._done, self._total)
