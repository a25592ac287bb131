"""How many threads a chain of small operations should use."""

import contextlib
from collections.abc import Iterator

import torch

_ONE_THREAD = 2**15
"""Numbers in the tangent vectors of one trajectory up to which a second thread is a loss."""


@contextlib.contextmanager
def one_thread(numbers: int = 0) -> Iterator[None]:
    """One thread for operations on so many numbers, if they are few: a second one would only be waited for."""
    before = torch.get_num_threads()
    if before == 1 or numbers > _ONE_THREAD:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
