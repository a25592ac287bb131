"""Functions that work in place, captured once in a CUDA graph and replayed."""

import logging
from collections.abc import Callable
from typing import Any

import torch

LOGGER = logging.getLogger("floss")

_WARM_UP = 3
"""Calls before a capture: libraries make their handles and workspaces in them, which no graph can hold."""


class Captures:
    """What the graphs of an engine share: memory, a stream, and what cannot be captured here."""

    def __init__(self) -> None:
        """Nothing is captured yet."""
        # One block of memory for all graphs: they run one after the other, and leave nothing in it. Its parts belong to
        # a stream, so it is shared by captures on the same stream alone; and what libraries keep for a stream, such as
        # the workspaces of cuBLAS, they take in the calls before a capture, and not from that memory.
        self.pool: Any = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()
        self.refused: set[str] = set()
        """Loops that go without a graph, since a capture has failed."""


class Replayed:
    """Calls a function that works in place: on a GPU captured in a graph, after some calls without.

    The function is an argument of every call, and is not kept: what owns this object may own the function as well, and
    then leaves the memory, with its graph, as soon as nothing else refers to it.
    """

    def __init__(self, loop: str, captures: Captures | None) -> None:
        """Nothing is called yet; without `captures` the function, an epoch of `loop`, is called as it is."""
        self.loop, self.captures = loop, captures
        self.waits = _WARM_UP
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        """Once more; the function is the same at every call."""
        if self.captures is not None and not self.waits and self.graph is None:
            self.graph = self._captured(function, self.captures)
        if self.graph is not None:
            self.graph.replay()
        elif self.captures is None or not self.waits:
            function()
        else:
            self.waits -= 1
            self._warm_up(function, self.captures.stream)

    def _warm_up(self, function: Callable[[], None], aside: torch.cuda.Stream) -> None:
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            function()
        torch.cuda.current_stream().wait_stream(aside)

    def _captured(self, function: Callable[[], None], captures: Captures) -> torch.cuda.CUDAGraph | None:
        if self.loop in captures.refused:
            return None
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer block brings the stream back where a capture fails, which torch.cuda.graph then does not.
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, pool=captures.pool, stream=captures.stream),
            ):
                function()
        except RuntimeError as error:
            captures.refused.add(self.loop)
            reason = " ".join(str(error).split())[:200]
            LOGGER.warning("%s goes without a CUDA graph, which is slower: %s", self.loop, reason)
            return None
        return graph
