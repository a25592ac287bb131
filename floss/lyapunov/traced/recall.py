"""Steps that were recorded before: one that keeps the same things is not recorded again.

What it keeps is looked at anew, and the first state that it gives is compared, so that a step that has changed in a way
that nobody sees is recorded again.
"""

import threading
import weakref
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.step import Step
from floss.lyapunov.traced.memory import likeness_of
from floss.lyapunov.traced.probe import Traced
from floss.lyapunov.traced.recording import kind_of

_MOST = 16
_LOCK = threading.Lock()
_KNOWN: OrderedDict[Any, tuple[Any, "_Kept"]] = OrderedDict()


class _Kept:
    """A traced step without a hold on the step and its tensors."""

    def __init__(self, traced: Traced) -> None:
        self.step = _weak(traced.step)
        self.externals = [weakref.ref(tensor) for tensor in traced.externals]
        self.compiled, self.compared = traced.compiled, traced.compared
        h, q, x = traced.example
        self.example = h.detach().clone(), q.detach().clone(), [v.detach().clone() for v in x]

    def traced(self, step: Step) -> Traced | None:
        """The step again; None where a tensor is not there any more."""
        externals = [reference() for reference in self.externals]
        if any(tensor is None for tensor in externals):
            return None
        traced = Traced(step, self.compiled, externals, self.example)  # pyright: ignore[reportArgumentType]
        traced.compared = self.compared
        return traced


def _weak(step: Any) -> Any:
    try:
        return weakref.ref(step)
    except TypeError:
        return None


def _key(step: Any, chain: Chain) -> Any:
    tensors = (chain.h, chain.q, *chain.input(0))
    name = step.__code__ if hasattr(step, "__code__") else id(step)
    kinds = tuple((kind_of(t), t.requires_grad) for t in tensors)
    return name, kinds, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")


def recall(step: Step, chain: Chain) -> Traced | None:
    """The step as it was recorded before, if it keeps the same as then."""
    found = _KNOWN.get(_key(step, chain))
    if found is None:
        return None
    likeness, kept = found
    if not hasattr(step, "__code__") and (kept.step is None or kept.step() is not step):
        return None
    return kept.traced(step) if likeness == likeness_of(step) else None


def remember(traced: Traced, chain: Chain) -> None:
    """For the next run of the same step."""
    likeness = likeness_of(traced.step)
    weak = all(type(tensor) in (Tensor, torch.nn.Parameter) for tensor in traced.externals)
    if likeness is None or not weak:
        return
    with _LOCK:
        _KNOWN[_key(traced.step, chain)] = likeness, _Kept(traced)
        while len(_KNOWN) > _MOST:
            _KNOWN.popitem(last=False)


def forget(step: Step, chain: Chain) -> None:
    """It is not what it was."""
    _KNOWN.pop(_key(step, chain), None)
