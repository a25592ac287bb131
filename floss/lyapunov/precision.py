"""Full precision where mixed precision surrounds a call: `torch.autocast` would round every matrix product of it."""

import contextlib
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def in_full_precision(function: Callable[P, T]) -> Callable[P, T]:
    """The function with `torch.autocast` switched off; a map that is to be rounded does it itself."""

    @functools.wraps(function)
    def precise(*args: P.args, **kwargs: P.kwargs) -> T:
        with contextlib.ExitStack() as within:
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    within.enter_context(torch.autocast(device, enabled=False))
            return function(*args, **kwargs)

    return precise
