"""Runs that fail: at which step, for which exponent, and what helps."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_transformed, numbers_of
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.step import Step, next_state


@dataclass(frozen=True)
class Watch:
    """Looks at the orthonormalisations of a chain now and then, and raises a ValueError where an analysis must end.

    Then the run is done again with a look at every step, which tells where it failed.
    """

    caller: str
    step: Step
    chain: Chain
    lost_allowed: bool = False
    """Whether directions that are lost to rank deficiency may have exponents of -inf."""
    every: int = 8
    """Steps from one look to the next."""

    def __call__(self, s: int, log_r: Tensor) -> None:
        """After step s, counted from 1; columns beyond those of the chain are followed for nothing but a gap."""
        if s % self.every == 0 and not math.isfinite(numbers_of(log_r.detach()).sum().item()):
            self.check(log_r[..., : self.chain.q.shape[-1]], s)

    def check(self, exponents: Tensor, s: int | None = None) -> None:
        """Raise a ValueError for the first exponent, or log R_ii after step s, that is NaN, infinite, or lost."""
        numbers = numbers_of(exponents.detach())
        bad = ~torch.isfinite(numbers)
        if self.lost_allowed:
            bad &= ~numbers.isneginf()
        if not bad.any():
            return
        if self.every > 1:
            self._run_again()
        *batch, i = bad.nonzero()[0].tolist()
        place = f" at batch index {tuple(batch)}" if batch and not is_transformed(exponents) else ""
        exponent = f"{self.caller}: exponent {i}{place}"
        if numbers[(*batch, i)] != -torch.inf:
            raise ValueError(f"{exponent} is not finite{self._divergence(s)}")
        when = "" if s is None else f" at step {s} of {self.chain.steps}"
        raise ValueError(f"{exponent} is lost to rank deficiency{when}{self._help(int(bad[tuple(batch)].sum()))}")

    def _help(self, directions: int) -> str:
        k = self.chain.q.shape[-1]
        ways = [f"k={k - directions}"] if directions < k else []
        ways += ["float64 numbers"] if self.chain.q.dtype == torch.float32 else []
        ways += ["singular='-inf'"] if self.caller in ("lyapunov_spectrum", "lyapunov_history") else []
        advice = f"; {' or '.join(ways)} may help" if ways else ""
        cause = f"a Jacobian has a smaller rank, or t_ons={self.chain.t_ons} is too long"
        return f", with {directions} of {k} directions: {cause}{advice}"

    @torch.no_grad()
    def _divergence(self, s: int | None) -> str:
        """The first step after which the state is not finite, by running the map again."""
        h, last = self.chain.h, self.chain.steps if s is None else s
        for t in range(last):
            h = next_state(self.step, h, *self.chain.input(t))
            if not numbers_of(torch.isfinite(h).all()).all():
                return f": the state is not finite after step {t + 1} of {self.chain.steps}"
        when = "" if s is None else f" after step {s} of {self.chain.steps}"
        return f": the states are, but not the tangent vectors{when}"

    @torch.no_grad()
    def _run_again(self) -> None:
        qr_chain(self.step, replace(self.chain, watch=replace(self, every=1)), total=True)
