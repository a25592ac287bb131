"""The QR iteration: tangent vectors evolved by D and orthonormalised, the bare kernel under every spectrum (Eqs. 6, 7).

`checked_chain` looks at the arguments once; the loops under it look at none.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain, random_tangent
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.qr import qr
from floss.lyapunov.step import ClosedFormStep, Step, advance, check_sizes, count_steps
from floss.lyapunov.tangent_qr import TangentQR

_PILOT = 200
"""Steps of the short run that chooses an adaptive orthonormalisation interval."""


def checked_chain(
    caller: str,
    step: Step,
    h0: Tensor,
    inputs: Tensor | None,
    steps: int | None,
    k: int | None,
    t_ons: int | str,
    transient: int,
    q0: Tensor | None,
) -> Chain:
    """The arguments of a spectrum, checked, as a chain that can be run; a one-line ValueError where they do not fit."""
    total = count_steps(caller, inputs, steps)
    n = h0.shape[-1] if h0.ndim else 0
    if h0.dtype not in (torch.float32, torch.float64) or n < 1:
        raise ValueError(f"{caller}: h0 must be float32 or float64 of shape [..., n], got {h0.dtype} {list(h0.shape)}")
    if q0 is not None and (q0.shape[:-1] != h0.shape or (k is not None and q0.shape[-1] != k)):
        raise ValueError(f"{caller}: q0 must have shape {[*h0.shape, k or 'k']}, got {list(q0.shape)}")
    k = q0.shape[-1] if q0 is not None else n if k is None else k
    if not 1 <= k <= n:
        raise ValueError(f"{caller}: k={k} must be from 1 to the state size {n}")
    if t_ons != "adaptive" and (isinstance(t_ons, str) or t_ons < 1):
        raise ValueError(f"{caller}: t_ons={t_ons} must be at least 1, or 'adaptive'")
    if not 0 <= transient < total:
        raise ValueError(f"{caller}: transient={transient} must be from 0 to steps - 1 = {total - 1}")
    if not torch.isfinite(h0).all():
        raise ValueError(f"{caller}: h0 has a value that is not finite")
    check_sizes(caller, step, h0, inputs)
    q = random_tangent(h0, k) if q0 is None else qr(q0)[0]
    # Forward-mode differentiation writes into states, which expanded ones do not allow.
    chain = Chain(h0.contiguous(), q, inputs, total, 1, transient)
    return replace(
        chain,
        t_ons=longest_interval(caller, step, chain, condition_bound(h0.dtype)) if isinstance(t_ons, str) else t_ons,
    )


def check_finite(caller: str, exponents: Float[Tensor, "*batch k"]) -> None:
    """Raise a ValueError that names the first exponent that is lost or not finite."""
    if torch.isfinite(exponents).all():
        return
    *batch, i = (~torch.isfinite(exponents)).nonzero()[0].tolist()
    lost = "is lost to rank deficiency: a Jacobian has a smaller rank, or t_ons is too long"
    what = lost if exponents[(*batch, i)] == -torch.inf else "is not finite"
    place = f" at batch index {tuple(batch)}" if batch else ""
    raise ValueError(f"{caller}: exponent {i}{place} {what}")


def run_exponents(step: Step, chain: Chain) -> Float[Tensor, "*batch k"]:
    """Exponents in the order of the columns of Q, never raising.

    By the closed form of a `ClosedFormStep` where it has one for this chain, else by the bare loop. Directions lost to
    rank deficiency have -inf, a trajectory that is not finite has NaN.
    """
    exponents = step.exponents(chain) if isinstance(step, ClosedFormStep) else None
    if exponents is not None:
        return exponents
    growth, h, _ = qr_chain(step, chain, total=True)
    exponents = growth.sum(0) / (chain.steps - chain.transient)
    return torch.where(torch.isfinite(h).all(-1, keepdim=True), exponents, torch.nan)


def qr_chain(step: Step, chain: Chain, *, total: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """The bare loop: log R_ii of each counted interval [M, ..., k], and the last state and tangent vectors.

    With `total` their sum alone, [1, ..., k]: a long run then needs no memory.
    """
    intervals = dict(orthonormalisation_times(chain.steps, chain.t_ons, chain.transient))
    h, q, growth = chain.h, chain.q, []
    tangent_qr = TangentQR(chain.orthonormaliser)
    lost = q.new_zeros(())  # -inf for directions lost in the transient: they do not come back
    for s in range(chain.steps):
        h, q = advance(step, h, q, *chain.input(s))
        counted = intervals.get(s + 1)
        if counted is not None:
            q, log_r = tangent_qr(q)
            if not counted:
                lost = torch.where(log_r == -torch.inf, log_r.detach(), lost)
            elif not growth:
                growth.append(log_r + lost)
            elif total:
                growth[0] = growth[0] + log_r
            else:
                growth.append(log_r)
    return torch.stack(growth), h, q


def condition_bound(dtype: torch.dtype) -> float:
    """Largest condition number of one orthonormalisation interval that leaves half of the digits: 0.1/√ε."""
    return 0.1 / torch.finfo(dtype).eps ** 0.5


def longest_interval(caller: str, step: Step, chain: Chain, bound: float) -> int:
    """The longest interval over which the condition number R_11/R_kk stays below the bound, by a short run."""
    with torch.no_grad():
        growth, _, _ = qr_chain(step, replace(chain, steps=min(chain.steps, _PILOT), t_ons=1, transient=0))
    check_finite(caller, growth.sum(0))
    total = torch.cat((torch.zeros_like(growth[:1]), growth.cumsum(0)))
    length = 1
    while 2 * (length + 1) <= len(growth):
        over = total[length + 1 :] - total[: -length - 1]
        if float((over.amax(-1) - over.amin(-1)).amax()) > math.log(bound):
            break
        length += 1
    return length
