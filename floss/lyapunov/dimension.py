"""What a Lyapunov spectrum tells about an attractor: its dimension, and the rate at which it creates information."""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments


def kaplan_yorke_dimension(exponents: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
    """The Kaplan-Yorke (Lyapunov) dimension of an attractor: where the sum of its exponents crosses zero.

        D = j + (λ_1 + … + λ_j) / |λ_{j+1}|,     j the largest number with λ_1 + … + λ_j ≥ 0

    D = 0 where λ_1 < 0 (a fixed point), and D = k where the sum of all k given exponents is not negative: the dimension
    is then *at least* k, and more exponents are needed. D jumps by one where λ_1 passes zero: set an exponent that is
    zero by theory, and negative by rounding, to zero.

    Args:
        exponents: Lyapunov exponents [..., k], in any order and unit; -inf is an exponent lost to rank deficiency.

    Returns:
        The dimension [...], between 0 and k; NaN where an exponent is NaN or +inf.

    Raises:
        ValueError: not floating point, or no exponents (k = 0).

    Source: Kaplan & Yorke 1979; Eq. 1 of Frederickson, Kaplan, Yorke & Yorke 1983.
    """
    exponents = arguments.exponents("kaplan_yorke_dimension", exponents)
    lam = exponents.sort(dim=-1, descending=True).values
    sums = lam.cumsum(-1)
    kept = (sums >= 0.0).cumprod(-1)
    j = kept.sum(-1, keepdim=True)
    last = lam.shape[-1] - 1
    surplus = torch.where(j > 0, sums.gather(-1, (j - 1).clamp(min=0)), 0.0)
    fraction = torch.where(j <= last, surplus / -lam.gather(-1, j.clamp(max=last)), 0.0)
    undefined = ~(exponents < torch.inf).all(-1)
    return torch.where(undefined, torch.nan, (j + fraction)[..., 0])


def entropy_rate(exponents: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
    """Sum of the positive exponents: the entropy rate of a chaotic attractor, or a bound of it.

        H = Σ_{λ_i > 0} λ_i

    Ruelle's inequality: the Kolmogorov-Sinai entropy is at most H. Pesin's identity: they are equal where the invariant
    measure is smooth along the unstable directions (an SRB measure). With only the first k exponents given, H is right
    if the last of them is not positive.

    Args:
        exponents: Lyapunov exponents [..., k], in any order.

    Returns:
        The rate [...] in the unit of the exponents: nats per step for those of a map; NaN where an exponent is NaN.

    Raises:
        ValueError: not floating point, or no exponents (k = 0).

    Source: Pesin 1977; Ruelle 1978.
    """
    exponents = arguments.exponents("entropy_rate", exponents)
    return exponents.clamp(min=0.0).sum(-1)
