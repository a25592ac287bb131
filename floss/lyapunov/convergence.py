"""Whether the tangent vectors of a run had the time to turn to the directions whose growth is measured.

The span of the first i tangent vectors turns to that of the i fastest directions as exp(-(λ_i - λ_{i+1}) t). From
random vectors tan²θ is about n at the start, and their volume grows by so much less than Λ_i = λ_1 + … + λ_i says:

    deficit from step t on:  B_i(t) = ½ log(1 + n exp(-2 (λ_i - λ_{i+1}) t))

so that a run of T counted steps after a transient of τ finds Λ_i too small by [B_i(τ) - B_i(τ + T)] / T, and a
standard error from blocks of time sees of this no more than what is over within the first of them. Where the rest is
more than a few standard errors of Λ_i, its estimate is a matter of the start. It never is for equal exponents, whose
directions have no need to turn.

So a history follows one vector more than it is asked for, which gives the last gap.

Vectors that have not turned at all do not show their gap, and of vectors that were given the angles are not known. What
tells there is a trend: of the block means of Λ_i, or of λ_i - λ_{i+1}, whose differences from block to block are small
against their scatter (von Neumann 1941). Independent blocks have η = scatter / ½ (mean square difference) of about one.
"""

import warnings

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

BLOCKS = 10
"""Blocks of time, so that the error of a standard error is a quarter of it; fewer intervals tell nothing."""
_BIAS = 3.0
"""Standard errors by which an expected bias makes an estimate one of the start."""
_SMALL = 1e-6
"""Nats per step, relative to the largest rate if that is above 1, below which no difference matters."""
_SEEN = 2 / BLOCKS
"""Part of the run that may differ from the rest: what is over within two blocks makes them stand out, and the standard
error as large as the bias."""
_FALSE_ALARMS = 1e-3
"""Chance that a stationary run shows a trend in any of its exponents, with independent and normal blocks."""
_TAIL = 0.45
"""Of η for ten independent normal numbers: P(η > x) < 0.45 x⁻⁴ (by simulation)."""


class ConvergenceWarning(RuntimeWarning):
    """Exponents of a run that is too short for its tangent vectors or its state to have settled."""


@torch.no_grad()
def is_converged(
    growth: Float[Tensor, "M *batch columns"], lengths: Int64[Tensor, "M"], k: int, n: int, turned: int | None
) -> Bool[Tensor, "*batch"]:
    """Whether the exponents of each trajectory are those of its attractor as far as the run itself can tell.

    Args:
        growth: log R_ii of each counted interval, in the order of the columns of Q, of which the first k matter.
        lengths: steps of each interval.
        k: number of exponents.
        n: size of the state.
        turned: steps that random tangent vectors had for turning before the first counted one; None for vectors that
            were given.

    Returns:
        False for a bias or a trend beyond the standard errors, or fewer than ten intervals.

    Source: Benettin et al. 1980 for the rate of turning; Flyvbjerg & Petersen 1989 for the errors.
    """
    M = len(growth)
    if M < BLOCKS:
        return torch.zeros(growth.shape[1:-1], dtype=torch.bool, device=growth.device)
    ends = torch.arange(BLOCKS + 1, device=growth.device) * M // BLOCKS
    sums = torch.cat((torch.zeros_like(growth[:1], dtype=torch.float64), growth.cumsum(0, dtype=torch.float64)))[ends]
    times = torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))[ends].double()
    means = (sums.diff(dim=0) / times.diff().reshape(-1, *[1] * (growth.ndim - 1))).cumsum(-1)  # of Λ_i
    rounding = max(_SMALL, torch.finfo(growth.dtype).eps ** 0.5) * means.abs().amax(0).clamp(min=1.0)
    scatter = (means.var(0) / BLOCKS).sqrt() + rounding
    gaps = _rates(means).diff(dim=-1).neg()
    never = (2.0 * _TAIL * max(means[0, ..., :k].numel(), 1) / _FALSE_ALARMS) ** 0.25
    off = (_trend(means) > never) & (means.std(0) > rounding)
    moved = gaps.amax(0) - gaps.amin(0) > scatter[..., :-1]
    off[..., :-1] |= (_trend(gaps) > never) & moved
    if turned is not None:
        T, gap = float(times[-1]), gaps[BLOCKS // 2 :].mean(0).clamp(min=0.0)
        bias = (_deficit(gap, turned + _SEEN * T, n) - _deficit(gap, turned + T, n)) / T
        off[..., :-1] |= bias > _BIAS * scatter[..., :-1]
    known = torch.isfinite(means).all(0)  # what a singular Jacobian annihilates has no rate to converge to
    return ~(off & known)[..., :k].any(-1)


def _rates(means: Tensor) -> Tensor:
    """λ_i of Λ_i."""
    return means.diff(dim=-1, prepend=torch.zeros_like(means[..., :1]))


def _trend(blocks: Tensor) -> Tensor:
    """η; 0 for constant blocks."""
    difference = blocks.diff(dim=0).square().mean(0) / 2.0
    variance = (blocks - blocks.mean(0)).square().sum(0) / (len(blocks) - 1)  # var() warns of a state of one number
    return variance / (difference + torch.finfo(blocks.dtype).tiny)


def _deficit(gap: Tensor, t: float, n: int) -> Tensor:
    """B(t)."""
    return 0.5 * torch.log1p(n * torch.exp(-2.0 * gap * t))


def warn(caller: str, converged: Bool[Tensor, "*batch"]) -> None:
    """Warn of trajectories that are not, in one line."""
    bad = int((~converged).sum())
    if bad:
        of = f" of {bad} of {converged.numel()} trajectories" if converged.numel() > 1 else ""
        message = f"{caller}: the exponents{of} have not converged: take a longer transient, or more steps"
        warnings.warn(message, ConvergenceWarning, stacklevel=4)
