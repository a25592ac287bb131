"""Fixed points of a one-step map by Newton's method, from many states at once, with the spectra of their Jacobians."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.derivatives import refuse_transforms
from floss.lyapunov.entry import checked_trajectory
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step, advance, next_state

_CALLER = "fixed_points"
_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}
_HALVINGS = 12


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Where Newton's method ended from each state, and what the map does there."""

    points: Float[Tensor, "*batch n"]
    residual: Float[Tensor, "*batch"]
    """‖step(h) - h‖∞ at the points."""
    converged: Bool[Tensor, "*batch"]
    """Whether the residual is below the tolerance."""
    eigenvalues: Complex[Tensor, "*batch n"]
    """Of the Jacobian ∂step/∂h at each point, by descending modulus; log|.| are the exponents of a fixed point."""

    @property
    def stable(self) -> Bool[Tensor, "*batch"]:
        """Whether all eigenvalues lie within the unit circle, so that states nearby are attracted."""
        return self.eigenvalues.abs().amax(-1) < 1.0

    @property
    def unstable_directions(self) -> Tensor:
        """Number of eigenvalues outside the unit circle, [...]."""
        return (self.eigenvalues.abs() > 1.0).sum(-1)

    def distinct(self, distance: float = 1e-4) -> "FixedPoints":
        """The converged points, of several within a distance (largest difference of a number) the first: [m, n]."""
        distance = arguments.real_number(_CALLER, "distance", distance, "positive", lambda d: d > 0.0)
        flat = self.points.reshape(-1, self.points.shape[-1])
        kept: list[int] = []
        for i in self.converged.reshape(-1).nonzero()[:, 0].tolist():
            if not kept or float((flat[kept] - flat[i]).abs().amax(-1).min()) > distance:
                kept.append(i)
        eigenvalues = self.eigenvalues.reshape(-1, self.eigenvalues.shape[-1])
        residual, converged = self.residual.reshape(-1), self.converged.reshape(-1)
        return FixedPoints(flat[kept], residual[kept], converged[kept], eigenvalues[kept])


@in_full_precision
@torch.no_grad()
def fixed_points(
    step: Step,
    states: Float[Tensor, "*batch n"],
    x: Float[Tensor, "*inputs"] | None = None,
    *,
    tolerance: float | None = None,
    max_steps: int = 100,
) -> FixedPoints:
    """Fixed points h = step(h, x) for a constant input, by Newton's method from each state, batched.

        h ← h - s (D - I)⁻¹ (step(h, x) - h),     s = 1, ½, ¼, … the first that makes the residual smaller

        found = floss.fixed_points(step, trajectory[::10], x).distinct()
        found.points, found.eigenvalues, found.stable

    Stable and unstable ones alike. Start from many states that the network visits: each finds one point, or none.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`.
        states: where to start, [..., n].
        x: the input [..., S], one for all states or with their leading axes; None for an autonomous map.
        tolerance: largest ‖step(h) - h‖∞ of a fixed point; default 1e-11 in float64, 1e-5 in float32, times the size of
            the states where it is below 1: the larger of ‖h‖∞ and of that of all states to start from.
        max_steps: steps of Newton's method, at most.

    Returns:
        For each state the point, its residual, whether it converged, and the eigenvalues of the Jacobian there (NaN
        where the point is not finite).

    Raises:
        ValueError: arguments that do not fit.

    Source: Sussillo & Barak 2013, with Newton's method; Katz & Reggia 2018.
    """
    inputs = None if x is None else arguments.real_or_whole_tensor(_CALLER, "x", x, "[..., S]").detach()[None]
    states = arguments.real_tensor(_CALLER, "states", states, "[..., n]")
    h, inputs, _ = checked_trajectory(_CALLER, step, states, inputs, 1)
    refuse_transforms(_CALLER, h)
    u = () if inputs is None else (inputs[0],)
    if tolerance is not None:
        tolerance = arguments.real_number(
            _CALLER, "tolerance", tolerance, "positive and finite", lambda v: isfinite(v) and v > 0.0
        )
    max_steps = arguments.whole_number(_CALLER, "max_steps", max_steps, 1)
    h = h.detach().clone()
    identity = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device).expand(*h.shape, h.shape[-1])

    def residual(at: Tensor) -> Tensor:
        return next_state(step, at, *u) - at

    scale = h.abs().amax()

    def largest(at: Tensor) -> Tensor | float:
        if tolerance is not None:
            return tolerance
        size = torch.maximum(_size(at), scale)
        return _TOLERANCE[h.dtype] * torch.where(size > 0, size, 1.0).clamp(max=1.0)

    F = residual(h)
    for _ in range(max_steps):
        moving = _size(F) > largest(h)
        if not moving.any():
            break
        direction = _newton_direction(advance(step, h, identity, *u)[1] - identity, F)
        h, F, moved = _line_search(residual, h, F, direction, moving)
        if not moved.any():
            break
    D = advance(step, h, identity, *u)[1]
    finite = torch.isfinite(D).all(-1).all(-1)
    eigenvalues = torch.linalg.eigvals(torch.where(finite[..., None, None], D, identity))
    order = eigenvalues.abs().argsort(dim=-1, descending=True)
    eigenvalues = torch.where(finite[..., None], eigenvalues.gather(-1, order), torch.nan)
    size = _size(F)
    return FixedPoints(h, size, size <= largest(h), eigenvalues)


def _size(F: Tensor) -> Tensor:
    return F.abs().amax(-1)


def _newton_direction(J: Tensor, F: Tensor) -> Tensor:
    """-J⁻¹ F; where J is singular the steepest descent of ½|F|²."""
    direction, info = torch.linalg.solve_ex(J, -F[..., None])
    descent = -(J.mT @ F[..., None])
    usable = (info == 0)[..., None, None] & torch.isfinite(direction).all(-2, keepdim=True)
    return torch.where(usable, direction, descent)[..., 0].nan_to_num(0.0)


def _line_search(
    residual: Callable[[Tensor], Tensor], h: Tensor, F: Tensor, direction: Tensor, moving: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The states after the longest step of 1, ½, ¼, … that makes |F| smaller; where none does, as they were."""
    size = torch.linalg.vector_norm(F, dim=-1)
    left, length = moving.clone(), 1.0
    for _ in range(_HALVINGS):
        trial = torch.where(left[..., None], h + length * direction, h)
        F_trial = residual(trial)
        better = left & (torch.linalg.vector_norm(F_trial, dim=-1) < size)
        h = torch.where(better[..., None], trial, h)
        F = torch.where(better[..., None], F_trial, F)
        left = left & ~better
        if not left.any():
            break
        length *= 0.5
    return h, F, moving & ~left
