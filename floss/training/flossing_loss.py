"""The loss of gradient flossing on any exponents (Eq. 4)."""

from math import isfinite

import numpy as np
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments


def flossing_loss(exponents: Float[Tensor, "*batch k"], target: float | Tensor = 0.0) -> Float[Tensor, "*batch"]:
    """Mean of (λ_i - λ_target)² over the last axis.

    Eq. 4 of Engelken 2023 has the sum; the reference implementation takes the mean, which differs by the factor k, and
    for Adam not at all but for its epsilon.

    Args:
        exponents: λ_i in nats per step, [..., k].
        target: wanted value of the exponents, broadcastable to them.

    Returns:
        One loss per spectrum, [...].

    Raises:
        ValueError: exponents that are not floating point or none at all, or a target that is not finite, not real, or
            does not broadcast to them.
    """
    caller = "flossing_loss"
    exponents = arguments.exponents(caller, exponents)
    if isinstance(target, Tensor | np.ndarray):
        target = arguments.real_or_whole_tensor(caller, "target", target, "[...]")
        arguments.check_finite_tensor(caller, "target", target)
        arguments.check_broadcast(caller, "target", target.shape, exponents.shape)
    else:
        target = arguments.real_number(caller, "target", target, "a finite number, or a tensor of them", isfinite)
    return ((exponents - target) ** 2).mean(-1)
