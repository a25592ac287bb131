"""Maps whose derivative leaves out what their value depends on, as behind `detach()` or `item()`.

Automatic differentiation does not tell such a map from one that does not depend on its state: both have D(h) q = 0.
Where some numbers of the next state have tangents of exactly zero, differences tell. Nothing else is taken for a fault:
a derivative that is not zero may differ on purpose, as those of surrogate gradients do; `floss.check_step` compares it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.step import Step, TangentStep, WrappingStep, advance, next_state, same_random_numbers
from floss.random import Stream, normal

_LENGTH = {torch.float32: 2.0**-7, torch.float64: 2.0**-14}
"""Of the differences, relative to the largest number of the state or to 1."""
_NUDGE = {torch.float32: 0.25, torch.float64: 2.0**-7}
"""How far from the initial state they are taken: one of zeros lies at the kinks of many maps."""
_ROUNDING = 1e3
"""Rounding errors that a difference must exceed."""
_ALIKE = 0.1
"""What differences of a smooth map may differ by from one another, relative to their size."""
_LEFT_OUT = {torch.float32: 2e-2, torch.float64: 1e-4}
"""Part of a difference from which on it is not that of curvature and rounding that a tangent leaves out."""


def one_direction(h: Float[Tensor, "*batch n"], seed: int = 0) -> Float[Tensor, "*batch n 1"]:
    """One random tangent vector for each state, the same at every call."""
    # Not torch's own random numbers, which are refused under vmap.
    numbers = normal(torch.tensor([seed]), Stream.TANGENT, h.numel(), dtype=torch.float64)
    return numbers.reshape(*h.shape, 1).to(dtype=h.dtype, device=h.device)


def check_sensitive(
    caller: str,
    step: Step,
    h: Tensor,
    x: tuple[Tensor, ...],
    q: Tensor,
    tangent: Float[Tensor, "*batch n 1"],
    without: str | None = None,
) -> None:
    """Raise a ValueError where numbers of the next state move smoothly with h, and have a derivative of zero.

    Thresholds, dead units, kinks and saturation pass: their differences are zero, or differ with side and length. So
    does a map that keeps something or draws numbers of its own. What a map's own `advance` gives is its own business.

    Args:
        caller: whose arguments these are.
        step: the map; of a `WrappingStep` the map in it.
        h: states.
        x: inputs of one step, as arguments of the map.
        q: a tangent vector for each state.
        tangent: D(h) q.
        without: an operation of the map of which torch has no derivative.
    """
    if is_transformed(h, *x):
        return
    with torch.no_grad():
        if isinstance(step, WrappingStep) and step.wrapped is not None:
            step = step.wrapped
            with same_random_numbers(h):
                tangent = advance(step, h, q, *x)[1]
        if isinstance(step, TangentStep):
            return
        if without is not None and _other_differences(step, h, x, q):
            raise ValueError(f"{caller}: the next state depends on h by {without}, of which torch has no derivative")
        rows = _without_tangent(tangent)
        if not rows.any():  # as of nearly all maps, so that the check costs nothing
            return
        rows = _moving(step, h, x, q, rows)
    if rows.any():
        first, count = int(rows.nonzero()[0]), int(rows.sum())
        where = f"number {first}" if count == 1 else f"{count} of {len(rows)} numbers, from number {first} on"
        cause = "as behind detach() or item(); a method advance(h, q, *x) of the map would give another one"
        raise ValueError(f"{caller}: the next state moves with h, but its derivative is zero in {where}, {cause}")


def _without_tangent(tangent: Tensor) -> Tensor:
    """Numbers of the next state whose tangents are zero in all trajectories, [n]."""
    return (tangent[..., 0] == 0).reshape(-1, tangent.shape[-2]).all(0)


def _other_differences(step: Step, h: Tensor, x: tuple[Tensor, ...], q: Tensor) -> bool:
    """Whether differences of the map are others than its tangents, and the same at two lengths."""
    scale = h.abs().max().clamp(min=1.0)
    e = float(_LENGTH[h.dtype] * scale)
    h = h + _NUDGE[h.dtype] * scale * one_direction(h, seed=1)[..., 0]
    with same_random_numbers(h):
        tangent = advance(step, h, q, *x)[1][..., 0]
    slopes = []
    for length in (e, e / 2):
        ends = []
        for sign in (1.0, -1.0):
            with same_random_numbers(h):
                ends.append(next_state(step, h + sign * length * q[..., 0], *x).double())
        slopes.append((ends[0] - ends[1]) / (2 * length))
    off = torch.linalg.vector_norm(slopes[1] - tangent)
    unsure = torch.linalg.vector_norm(slopes[1] - slopes[0])
    large = off > _LEFT_OUT[h.dtype] * torch.linalg.vector_norm(slopes[1])
    return bool(large) and bool(unsure < _ALIKE * off)


def _moving(step: Step, h: Tensor, x: tuple[Tensor, ...], q: Tensor, rows: Tensor) -> Tensor:
    """Those of some numbers of the next state that move smoothly with h and have no tangent beside it either, [n]."""
    scale = h.abs().max().clamp(min=1.0)
    e = float(_LENGTH[h.dtype] * scale)
    h = h + _NUDGE[h.dtype] * scale * one_direction(h, seed=1)[..., 0]

    def at(length: float) -> Tensor:
        with same_random_numbers(h):
            return next_state(step, h + length * q[..., 0], *x).reshape(-1, h.shape[-1])

    try:
        with same_random_numbers(h):
            rows = rows & _without_tangent(advance(step, h, q, *x)[1])
        middle, up, down, half_up, half_down = (at(length).double() for length in (0.0, e, -e, e / 2, -e / 2))
    except Exception:  # of a map that is not made for such states
        return torch.zeros_like(rows)
    forward, backward, inner = up - middle, middle - down, half_up - half_down
    size = torch.linalg.vector_norm(forward, dim=0)
    rounding = _ROUNDING * torch.finfo(h.dtype).eps * middle.abs().amax(0).clamp(min=e)
    smooth = [torch.linalg.vector_norm(forward - other, dim=0) <= _ALIKE * size for other in (backward, inner)]
    return rows & torch.isfinite(size) & (size > rounding) & smooth[0] & smooth[1]
