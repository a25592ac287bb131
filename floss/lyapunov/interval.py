"""How long tangent vectors may grow before they are orthonormalised: the interval of Appendix J."""

import math
from dataclasses import replace

import torch

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import numbers_of
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.orthonormalisation import size_bound
from floss.lyapunov.step import Step

_PILOT = 200
"""Steps of the short run that chooses an adaptive orthonormalisation interval."""


def condition_bound(dtype: torch.dtype) -> float:
    """Largest condition number of one orthonormalisation interval that leaves half of the digits: 0.1/√ε."""
    return 0.1 / torch.finfo(dtype).eps ** 0.5


def longest_interval(step: Step, chain: Chain, bound: float) -> int:
    """The longest interval over which the condition number R_11/R_kk stays below the bound, by a short run.

    And over which the numbers stay well within their range. 1 where a direction is lost, if the chain's watch lets that
    pass.
    """
    with torch.no_grad():
        growth, _, _ = qr_chain(step, replace(chain, steps=min(chain.steps, _PILOT), t_ons=1, transient=0))
    if not numbers_of(torch.isfinite(growth).all()).all():
        return 1
    total = torch.cat((torch.zeros_like(growth[:1]), growth.cumsum(0)))
    length, largest = 1, size_bound(chain.q.dtype)
    while 2 * (length + 1) <= len(growth):
        over = total[length + 1 :] - total[: -length - 1]
        condition, size = (over.amax(-1) - over.amin(-1)).amax(), over.abs().amax()
        if float(numbers_of(condition).amax()) > math.log(bound) or float(numbers_of(size).amax()) > largest:
            break
        length += 1
    return length
