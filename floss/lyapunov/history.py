"""How Lyapunov exponents arise along one run: growth of each interval, convergence, finite-time exponents (Fig. 16)."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.chain import random_tangent
from floss.lyapunov.convergence import BLOCKS, is_converged, warn
from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.entry import checked_chain
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step


@dataclass(frozen=True, eq=False)
class LyapunovHistory:
    """Growth of the tangent vectors over each of the M counted intervals of one run, and what follows from it.

    `growth` has the order of the columns of Q. Everything that is computed from it and has an axis of k exponents
    (`exponents`, `convergence`, `local`, `local_over`, `standard_error`) has the order of `exponents`: one permutation
    for each trajectory, fixed by the whole run, so that column i is the same tangent direction at all times.
    """

    growth: Float[Tensor, "M *batch k"]
    """log R_ii of each counted interval, in nats."""
    lengths: Int64[Tensor, "M"]
    """Steps of each interval: t_ons, and what remains in the last one."""
    t_ons: int
    """Orthonormalisation interval in steps, as it was used."""
    h: Float[Tensor, "*batch n"]
    """State at the end of the run."""
    q: Float[Tensor, "*batch n k"]
    """Orthonormal tangent vectors at the end of the run; with `h` they continue it (`h0=`, `q0=`, `transient=0`)."""
    converged: Bool[Tensor, "*batch"] | None = None
    """Whether the exponents are those of the attractor as far as the run can tell: the tangent vectors had the time to
    turn, within the standard errors (see `floss.lyapunov.convergence`). False for fewer than ten intervals; None for a
    history that was put together by hand."""

    @property
    def times(self) -> Int64[Tensor, "M"]:
        """Counted steps up to the end of each interval."""
        return self.lengths.cumsum(0)

    @property
    def order(self) -> Int64[Tensor, "*batch k"]:
        """Columns of `growth` by descending exponent."""
        return self._total()[-1].argsort(dim=-1, descending=True, stable=True)

    @property
    def exponents(self) -> Float[Tensor, "*batch k"]:
        """Exponents of the whole run, in nats per step, descending: those of `floss.lyapunov_spectrum`."""
        return self.convergence[-1]

    @property
    def convergence(self) -> Float[Tensor, "M *batch k"]:
        """Running means λ_i(t) = 1/t Σ_{s≤t} log R_ii[s], in nats per step, at `times`; the last row is `exponents`.

        Rows before the last need not descend.
        """
        return self._sorted(self._total()) / self._over(self.times)

    @property
    def local(self) -> Float[Tensor, "M *batch k"]:
        """Finite-time exponents log R_ii / length of each interval, in nats per step."""
        return self._sorted(self.growth) / self._over(self.lengths)

    @property
    def condition(self) -> Float[Tensor, "M *batch"]:
        """log10 of the condition number of R of each interval, estimated by its diagonal: max R_ii / min R_ii (Eq. 28).

        What must stay well below 16 in double and 7 in single precision, else t_ons is too long.
        """
        return (self.growth.amax(-1) - self.growth.amin(-1)) / math.log(10.0)

    def local_over(self, steps: int) -> Float[Tensor, "blocks *batch k"]:
        """Finite-time exponents over consecutive windows of `steps` steps each, in nats per step.

        Steps at the end that do not fill a window are left out. ValueError if `steps` is not a multiple of `t_ons`, or
        exceeds the counted steps.
        """
        total = int(self.lengths.sum())
        allowed = f"a multiple of t_ons={self.t_ons}, at most the {total} counted ones"
        steps = arguments.whole_number("local_over", "steps", steps, 1, total, allowed=allowed)
        if steps % self.t_ons:
            raise ValueError(f"local_over: steps={steps} must be {allowed}")
        ends = torch.arange(total // steps + 1, device=self.growth.device) * (steps // self.t_ons)
        return self._between(ends) / steps

    def standard_error(self, blocks: int = 10) -> Float[Tensor, "*batch k"]:
        """Standard error of `exponents`, in nats per step, from the scatter of the means of B blocks of time.

        With weights w_b = (steps of block b) / (all counted steps) and block means m_b,

            SE² = B / (B - 1) Σ_b w_b² (m_b - λ)²,

        which is the sample variance of the means over B where the blocks are equally long. Right where the blocks are
        long compared with the correlation time of the growth rates, so that their means are independent; its own
        relative error is then about 1/√(2 (B - 1)). It says nothing about what too short a transient leaves. Blocks are
        whole intervals, and differ by one of them where the blocks do not divide M.

        Args:
            blocks: number of blocks B, 2 ≤ B ≤ M.

        Raises:
            ValueError: fewer than two blocks, or fewer intervals than blocks.

        Source: the method of batch means; Flyvbjerg & Petersen 1989.
        """
        M = len(self.growth)
        blocks = arguments.whole_number(
            "standard_error", "blocks", blocks, 2, M, allowed=f"from 2 to the {M} intervals"
        )
        ends = torch.arange(blocks + 1, device=self.growth.device) * M // blocks
        times = torch.cat((self.lengths.new_zeros(1), self.times))[ends]
        weighted = self._between(ends) / times[-1] - self._over(times.diff()) / times[-1] * self.exponents
        return (weighted.square().sum(0) * (blocks / (blocks - 1))).sqrt()

    def _total(self) -> Tensor:
        """Growth up to the end of each interval, added up in float64."""
        return self.growth.cumsum(0, dtype=torch.float64).to(self.growth)

    def _sorted(self, values: Tensor) -> Tensor:
        return values.gather(-1, self.order.expand(values.shape))

    def _over(self, times: Tensor) -> Tensor:
        """Numbers of steps, as what values [M, *batch, k] are divided by."""
        return times.to(self.growth).reshape(-1, *[1] * (self.growth.ndim - 1))

    def _between(self, ends: Tensor) -> Tensor:
        """Growth between some boundaries of intervals, sorted."""
        total = torch.cat((torch.zeros_like(self.growth[:1]), self._total()))
        return self._sorted(total[ends].diff(dim=0))


@in_full_precision
def lyapunov_history(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    t_ons: int | Literal["adaptive"] = 1,
    transient: int = 0,
    q0: Float[Tensor, "*batch n k"] | None = None,
    singular: Literal["raise", "-inf"] = "raise",
) -> LyapunovHistory:
    """The QR iteration of `floss.lyapunov_spectrum`, with the growth log R_ii of every counted interval kept.

    For convergence with time (Fig. 16), finite-time exponents, standard errors, and the condition number of each
    interval:

        history = floss.lyapunov_history(step, h0, inputs, k=10, transient=50)
        history.exponents, history.standard_error()         what a paper reports
        plt.plot(history.times, history.convergence)

    Warns (`floss.ConvergenceWarning`) where the tangent vectors had too little time to turn to the
    directions whose growth is measured, so that the exponents are off by several of their standard errors. For the last
    gap it follows one vector more than k, where there is one and q0 is not given.

    Always by the QR chain, also where the step has a closed form. `growth`, and what is computed from it, is
    differentiable like `floss.lyapunov_spectrum`; the final `q` is a constant. Memory: M·batch·k numbers.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`, with h0, inputs, steps, k, t_ons, transient and q0.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs, and otherwise equal to T.
        k: number of exponents, 1 ≤ k ≤ n; default all.
        t_ons: orthonormalisation interval in steps, or `adaptive`.
        transient: steps at the start that are not counted; closed by a QR decomposition.
        q0: initial tangent vectors [..., n, k], of full rank; default one fixed random orthonormal set for all.
        singular: `raise` an error for a direction that a singular Jacobian annihilates, or give it an exponent of
            `-inf`; its growth is -inf in the interval in which it is lost.

    Returns:
        The history, with one row per counted interval.

    Raises:
        ValueError: as `floss.lyapunov_spectrum`: arguments that do not fit, a state or Jacobian that is not finite, or
            tangent vectors that became linearly dependent; names the step and the batch index.

    Source: Eqs. 6, 7, 27, 28 and Fig. 16 of Engelken 2023; Benettin et al. 1980.
    """
    chain, watch = checked_chain(
        "lyapunov_history", step, h0, inputs, steps, k, t_ons, transient, q0, singular=singular
    )
    n, k = chain.q.shape[-2:]
    followed = chain.q if q0 is not None or k == n else random_tangent(chain.h, k + 1)
    growth, h, q = qr_chain(step, replace(chain, q=followed))
    watch.check(torch.where(torch.isfinite(h).all(-1, keepdim=True), growth.sum(0), torch.nan)[..., :k])
    times = orthonormalisation_times(chain.steps, chain.t_ons, chain.transient)
    ends = torch.tensor([chain.transient, *(end for end, counted in times if counted)], device=growth.device)
    lengths = ends.diff()
    converged = is_converged(growth, lengths, k, n, chain.transient if q0 is None else None)
    if len(lengths) >= BLOCKS and not is_transformed(growth):
        warn("lyapunov_history", converged)
    return LyapunovHistory(growth[..., :k], lengths, chain.t_ons, h, q[..., :k].detach(), converged)
