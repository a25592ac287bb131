"""What is wrong with a one-step map: its states, its derivative, what it keeps and what it mixes."""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.entry import checked_trajectory
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import SizedStep, Step, advance, next_state, same_random_numbers

_DIRECTIONS = 3
_LENGTHS = {torch.float32: (1e-1, 1e-2, 1e-3, 1e-4), torch.float64: (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)}
"""Lengths of the finite differences: long ones are off by curvature and kinks, short ones by rounding."""
_TOLERANCE = {torch.float32: 2e-2, torch.float64: 1e-4}
"""Largest relative error of a finite difference at the best length; wrong derivatives are off at all of them."""
_REPEATED = {torch.float32: 1e-4, torch.float64: 1e-9}
"""What two ways to compute the same state may differ by, relative to its largest number."""


@in_full_precision
def check_step(step: Step, h0: Float[Tensor, "*batch n"], x: Float[Tensor, "*inputs"] | None = None) -> float:
    """Raise a ValueError that says what is wrong with a one-step map; its derivative is compared with differences.

    For a few random directions q,

        D(h) q = (step(h + ε q) - step(h - ε q)) / 2 ε + O(ε²),

    at the best of several ε, since a kink spoils the long ones and rounding the short ones. A step of
    `floss.step_from_module` is compared with the module's own forward as well.

        floss.check_step(lambda h, x: torch.tanh(h @ W.T) + x, h0, inputs[0])

    Args:
        step: the map, as in `floss.lyapunov_spectrum`.
        h0: states [..., n]; more than one of them shows whether the map mixes trajectories.
        x: inputs of one step [..., S]; None for an autonomous map.

    Returns:
        Relative error of the finite differences, the largest over states and directions.

    Raises:
        ValueError: a map that cannot take such states or inputs; does not return a state of the same shape, dtype and
            device; returns a value that is not finite; gives another state when it is called again (random numbers are
            the same in every call); lets one trajectory depend on another; whose `advance` gives another state than
            itself; whose tangent vectors are not its derivative; or that is not the step of its module.

    Source: central differences.
    """
    one_step = None if x is None else arguments.real_or_whole_tensor("check_step", "x", x, "[..., S]").detach()[None]
    h0, one_step, _ = checked_trajectory("check_step", step, h0, one_step, 1, derivative=False)
    h0 = h0.detach()
    inputs = () if one_step is None else (one_step[0],)
    with torch.no_grad():
        after = _next(step, h0, inputs)
        if not torch.isfinite(after).all():
            raise ValueError("check_step: the next state has a value that is not finite")
        _check_same(after, _next(step, h0, inputs), "gives another state when it is called again: it keeps something")
        _check_mixing(step, h0, inputs, after)
        error = _check_tangent(step, h0, inputs, after)
    if isinstance(step, SizedStep):
        step.check("check_step")
    return error


def _next(step: Step, h: Tensor, x: tuple[Tensor, ...]) -> Tensor:
    """The next state, with the same random numbers at every call, in memory of its own."""
    with same_random_numbers(h):
        return next_state(step, h, *x).clone()


def _check_same(wanted: Tensor, found: Tensor, what: str) -> None:
    error = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))
    if not error <= _REPEATED[wanted.dtype]:
        raise ValueError(f"check_step: the map {what} (off by {error:.2g})")


def _check_mixing(step: Step, h0: Tensor, x: tuple[Tensor, ...], after: Tensor) -> None:
    """The states of all trajectories but the first, when the first one starts somewhere else."""
    n = h0.shape[-1]
    if h0.numel() < 2 * n:
        return
    moved = h0.clone().reshape(-1, n)
    moved[0] = moved[1:].mean(0) + 0.5
    rest = _next(step, moved.reshape(h0.shape), x).reshape(-1, n)[1:]
    _check_same(after.reshape(-1, n)[1:], rest, "mixes trajectories: one state depends on another along the first axes")


def _check_tangent(step: Step, h0: Tensor, x: tuple[Tensor, ...], after: Tensor) -> float:
    n = h0.shape[-1]
    numbers = torch.Generator().manual_seed(0)
    q = torch.randn(*h0.shape, min(n, _DIRECTIONS), generator=numbers, dtype=torch.float64).to(h0)
    q = q / torch.linalg.vector_norm(q, dim=-2, keepdim=True)
    with same_random_numbers(h0):
        state, tangent = advance(step, h0, q, *x)
    _check_same(after, state, "gives another next state by advance(h, q, *x) than when it is called")
    scale, size = h0.abs().max().clamp(min=1.0), after.abs().max().clamp(min=1.0)
    errors = []
    for length in _LENGTHS[h0.dtype]:
        e = float(length * scale)
        ends = [[_next(step, h0 + sign * e * v, x) for v in q.unbind(-1)] for sign in (1.0, -1.0)]
        difference = (torch.stack(ends[0], -1) - torch.stack(ends[1], -1)) / (2.0 * e)
        rounding = 8.0 * n**0.5 * torch.finfo(h0.dtype).eps * size / e
        off = torch.linalg.vector_norm(tangent - difference, dim=-2) - rounding
        largest = torch.maximum(*(torch.linalg.vector_norm(v, dim=-2) for v in (tangent, difference)))
        errors.append(torch.where(off > 0, off / largest, 0.0))
    best = torch.stack(errors).amin(0)
    error = float(best.max())
    if not error <= _TOLERANCE[h0.dtype]:
        cut = ": it is zero, as behind detach(), item() or no_grad()" if not tangent.any() else ""
        raise ValueError(f"check_step: D(h) q is off by {error:.2g} of its size from finite differences{cut}")
    return error
