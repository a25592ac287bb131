"""Operations of torch whose tangents have a wrong gradient, and what is computed instead of them.

A gradient of exponents differentiates D(h) q, which is itself a derivative. By forward mode it is right; but torch's
formulas for a few operations take for constants what they have kept from the operation (mean and deviation of a layer
norm, the factors of a matrix), so that the gradient of the tangents leaves out a part, without a word. Reverse mode
twice is right for all of them.

What a map is made of is seen at its first step, which an analysis tries in any case:

- norms over a layer and gated linear units are composed of simpler operations, which have right derivatives of every
  order, and so is attention, whose fast forms have no derivative by forward mode at all;
- with any other of them D(h) is computed by reverse mode, one pass for each number of the state.

Seen by comparing the gradient of a tangent of each operation of torch with that of reverse mode twice.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from floss.lyapunov.derivatives import with_memory

_COMPOUND = {"aten::native_layer_norm", "aten::glu"}
_FACTORED = {"aten::_linalg_det", "aten::_linalg_slogdet", "aten::_linalg_solve_ex", "aten::linalg_householder_product"}
_TRAINED = {"aten::native_batch_norm", "aten::_native_batch_norm_legit", "aten::_batch_norm_with_update"}
"""With the numbers of the batch; in evaluation mode they are right."""
_POLYNOMIALS = ("chebyshev_polynomial", "shifted_chebyshev_polynomial", "hermite_polynomial", "laguerre_polynomial")
_UNKNOWN = ("airy_ai", "bessel", "modified_bessel", "scaled_modified_bessel", "spherical_bessel", "legendre_polynomial")
_WITHOUT = tuple(f"aten::special_{name}" for name in (*_UNKNOWN, *_POLYNOMIALS))
"""Beginnings of the names of operations of which torch has no derivative, and does not say so."""


@dataclass(frozen=True)
class Way:
    """How tangents are computed that are to be differentiated."""

    composed: bool = False
    """Some operations are composed of simpler ones."""
    backward: bool = False
    """D(h) is computed by reverse mode."""


FORWARD = Way()
"""By forward mode, as it is right for nearly all maps."""


class _Present(threading.local):
    """No `ContextVar`, into which the recorder of steps could not look."""

    way: Way = FORWARD


_PRESENT = _Present()


class Operations(TorchDispatchMode):
    """Sees which of these operations a map is made of, whatever calls them."""

    def __init__(self) -> None:
        """Nothing has been seen."""
        super().__init__()
        self.compound = self.others = False
        self.without: str | None = None
        """One of which torch has no derivative."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: what torch does for its compiler would import it, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        self.compound |= name in _COMPOUND
        if name.startswith(_WITHOUT):
            self.without = name.removeprefix("aten::special_")
        self.others |= name in _FACTORED or (name in _TRAINED and _is_training(func, args, kwargs or {}))
        return func(*with_memory(func, args), **(kwargs or {}))


def _is_training(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    for i, argument in enumerate(func._schema.arguments):
        if argument.name in ("train", "training"):
            return bool(args[i] if i < len(args) else kwargs.get(argument.name, True))
    return True  # one that has no other mode


def way_of(seen: Operations, again: Callable[[], Any]) -> Way:
    """The way for a map of which a step has been seen; `again` does the step once more."""
    if not seen.compound:
        return _way(composed=False, backward=seen.others)
    rest = Operations()
    with torch.no_grad(), _Composed(), rest:
        again()
    return _way(composed=True, backward=rest.compound or rest.others)


@functools.cache
def _way(*, composed: bool, backward: bool) -> Way:
    """One object for each, by which a recorded step is known again."""
    return Way(composed, backward) if composed or backward else FORWARD


@contextmanager
def differentiated(way: Way) -> Iterator[None]:
    """Within it tangents are computed in this way."""
    before, _PRESENT.way = _PRESENT.way, way
    try:
        yield
    finally:
        _PRESENT.way = before


def present_way() -> Way:
    """In which tangents are to be computed."""
    return _PRESENT.way


def by_forward_mode(push: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What `push` gives by forward mode, whose operations are composed where they have to be."""
    with _quiet_and_simple(), _Composed() if _PRESENT.way.composed else contextlib.nullcontext():
        return push()


def by_reverse_mode(f: Callable[[Tensor], Tensor], h: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """The next state, and D(h) q by reverse mode, differentiable once more."""
    with _quiet_and_simple(), _Composed() if _PRESENT.way.composed else contextlib.nullcontext():
        after, pull = torch.func.vjp(f, h)  # pyright: ignore[reportAssignmentType]
    n = h.shape[-1]
    each = torch.eye(n, dtype=h.dtype, device=h.device).reshape(n, *(1,) * (h.ndim - 1), n).expand(n, *h.shape)
    with _quiet_and_simple(), torch.autograd.set_detect_anomaly(False):  # which cannot look at several at once
        (rows,) = torch.func.vmap(pull)(each)
    return after, rows.movedim(0, -2) @ q


class _Composed(TorchFunctionMode):
    """Norms over layers and gated linear units of simpler operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call: Any = _COMPOSED.get(func, func)
        return call(*args, **(kwargs or {}))


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
    **__: Any,
) -> Tensor:
    axes = tuple(range(-len(tuple(normalized_shape)), 0))
    centred = input - input.mean(axes, keepdim=True)
    out = centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _glu(input: Tensor, dim: int = -1) -> Tensor:
    value, gate = input.chunk(2, dim)
    return value * torch.sigmoid(gate)


_COMPOSED: dict[Any, Callable[..., Any]] = {
    functional.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
    functional.glu: _glu,
}


class _Settings:
    """How many have changed settings of the whole process, and what they were before."""

    lock = threading.Lock()
    count = 0
    before = (True, True)


@contextmanager
def _quiet_and_simple() -> Iterator[None]:
    """Within it attention, and the layers of transformers, consist of operations with derivatives of every order.

    And nothing is said of operations that vmap does one after the other.
    """
    sdp, layers = torch.backends.cuda, torch.backends.mha
    with _Settings.lock:
        if not _Settings.count:
            _Settings.before = sdp.flash_sdp_enabled(), layers.get_fastpath_enabled()
            sdp.enable_flash_sdp(False)
            layers.set_fastpath_enabled(False)
            _functorch._set_vmap_fallback_warning_enabled(False)
        _Settings.count += 1
    try:
        yield
    finally:
        with _Settings.lock:
            _Settings.count -= 1
            if not _Settings.count:
                sdp.enable_flash_sdp(_Settings.before[0])
                layers.set_fastpath_enabled(_Settings.before[1])
                _functorch._set_vmap_fallback_warning_enabled(True)  # nobody can ask what it was
