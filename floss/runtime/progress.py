"""One progress bar over several computations, each of which fills a share of it as if it were a bar of its own."""

import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm


class OneBar:
    """A bar in shares of an expected time; each computation fills its own share."""

    def __init__(self, seconds: float) -> None:
        """All shares together; silent where the output is not a terminal."""
        layout = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self.bar = tqdm(total=max(seconds, 1e-9), bar_format=layout, disable=None, dynamic_ncols=True)

    def share(self, seconds: float) -> Callable[..., "Share"]:
        """The constructor of the bar of a computation that is expected to take so long; called as tqdm is."""

        def make(*, total: float, initial: float = 0, **_: Any) -> Share:
            return Share(self.bar, seconds, total - initial)

        return make


class Share:
    """A part of a bar, filled as a bar of its own would be; full when it is closed."""

    def __init__(self, bar: "tqdm[Any]", seconds: float, total: float) -> None:
        """`total` steps fill `seconds` of the bar."""
        self._bar, self._each, self._left = bar, seconds / max(total, 1), seconds

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._add(self._left)

    def update(self, steps: float = 1) -> None:
        """So many steps further."""
        self._add(min(steps * self._each, self._left))

    def set_description_str(self, text: str) -> None:
        """The present phase."""
        self._bar.set_description_str(text + " ")

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """The latest measurement."""
        self._bar.set_postfix_str(text, refresh)

    def close(self) -> None:
        """Stop; the whole bar with it."""
        self._bar.close()

    def phases(self, **_: Any) -> "Phases":
        """The constructor of the bar of a computation with phases of unknown length: a text, which fills nothing."""
        return Phases(self)

    def _add(self, seconds: float) -> None:
        self._left -= seconds
        self._bar.update(min(seconds, max(self._bar.total - self._bar.n, 0)))


class Phases:
    """The phases of a computation, as a text: which one it is, and how much of it is done."""

    def __init__(self, share: Share) -> None:
        """Of the computation that has this share of the bar."""
        self._share, self._text, self._shown = share, "", 0.0
        self.n, self.total = 0, 0

    def __enter__(self) -> "Phases":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def set_description_str(self, text: str) -> None:
        """A new phase."""
        self._text, self._shown = text, 0.0

    def reset(self, total: int) -> None:
        """Start counting anew."""
        self.n, self.total = 0, total

    def update(self) -> None:
        """One step further; shown five times a second."""
        self.n += 1
        if time.monotonic() - self._shown > 0.2:
            self._shown = time.monotonic()
            done = f" {self.n / self.total:.0%}" if self.total else ""
            self._share.set_description_str(self._text + done)

    def close(self) -> None:
        """Stop."""
        self._share.close()
