"""Standard output and error that never stop a computation: closed ones, readers that leave, and other encodings."""

import io
import os
import sys
from typing import Any


class _Output(io.FileIO):
    """A file descriptor that takes what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        """Write some bytes; after the reader has left, or where the disk is full, to nowhere."""
        try:
            return super().write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                _FAILURES[self.fileno()] = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


_FAILURES: dict[int, OSError] = {}
"""Why something is missing of what was written, by file descriptor."""


def lost_output() -> str:
    """Why something is missing on standard output; empty where nothing is, or nobody read it."""
    sys.stdout.flush()
    return f"standard output: {_FAILURES[1].strerror}" if 1 in _FAILURES else ""


def settle_streams() -> None:
    """Make stdin, stdout and stderr of this process such that reading and writing never fails for want of them.

    A closed one is opened to nowhere, since the next file would take its number. What an encoding does not have becomes
    a question mark. Streams that another program has put in their place stay.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream: Any = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue
        encoding = getattr(stream, "encoding", None) or "utf-8"
        by_line = name == "stderr" or bool(getattr(stream, "line_buffering", False))
        at_once = bool(getattr(stream, "write_through", False))
        if stream is not None:
            stream.flush()
        output = io.BufferedWriter(_Output(number, "w", closefd=False))
        wrapped = io.TextIOWrapper(output, encoding, "replace", line_buffering=by_line, write_through=at_once)
        _KEPT.append(stream)
        setattr(sys, name, wrapped)
        setattr(sys, f"__{name}__", wrapped)


_KEPT: list[Any] = []
"""The streams that were there: one that is deleted closes its file."""
