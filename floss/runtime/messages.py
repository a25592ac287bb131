"""Messages of long computations: records of the logger `floss`, which the command line shows as a line each on stderr.

A program that uses floss handles them like those of any other package; the commands show them as `floss: ...`.
"""

import logging
import sys

LOGGER = logging.getLogger("floss")
"""The core, which imports nothing from here, takes it by its name."""


class _Stderr(logging.Handler):
    """Writes to `sys.stderr` as it is at that moment, so that it may be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"floss: {record.getMessage()}", file=sys.stderr, flush=True)


_HANDLER = _Stderr()


def show_messages() -> None:
    """Show the messages of this process on stderr; each is shown once, however often this is called."""
    LOGGER.addHandler(_HANDLER)
    LOGGER.propagate = False
