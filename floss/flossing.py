"""Gradient flossing: the loss on the exponents (Eq. 4), and one flossing epoch of an ensemble."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.cells import RateNetwork
from floss.cells.rate_network import FLOSSED, Parameters


def flossing_loss(exponents: Float[Tensor, "*batch k"], target: float | Tensor = 0.0) -> Float[Tensor, "*batch"]:
    """Mean of (λ_i - λ_target)² over the last axis.

    Eq. 4 of Engelken 2023 has the sum; the reference implementation takes the mean, which differs by the factor k, and
    for Adam not at all but for its epsilon.

    Args:
        exponents: λ_i in nats per step, [..., k].
        target: wanted value of the exponents, broadcastable to them.

    Returns:
        One loss per spectrum, [...].
    """
    return ((exponents - target) ** 2).mean(-1)


def flossing_gradient(
    cell: RateNetwork,
    parameters: Parameters,
    inputs: Float[Tensor, "R T S"],
    q0: Float[Tensor, "R N k"],
    *,
    k: Int64[Tensor, "R"],
    target: Float[Tensor, "R"],
    t_ons: int,
    transient: int,
) -> tuple[Float[Tensor, "R"], Float[Tensor, "R k"], Parameters]:
    """Flossing loss, exponents and gradient of one flossing epoch, for each network of an ensemble.

    A trajectory starts from the first column of h0. Each network flosses its first k exponents. Those lost to rank
    deficiency (-inf: units that do not respond) cannot be moved and are left out of its loss.

    Args:
        cell: the architecture.
        parameters: of the networks, stacked.
        inputs: x[1], …, x[T_f] of each network.
        q0: initial tangent vectors; as many columns as the largest k.
        k: number of exponents that each network flosses.
        target: wanted value of each network's exponents, nats per step.
        t_ons: orthonormalisation interval in steps.
        transient: steps of the run that are not counted.

    Returns:
        The loss of each network (mean over its k exponents), its exponents in the order of Q's columns, and the
        gradient of the flossed parameters W, V, b.
    """
    flossed = {name: parameters[name].detach().requires_grad_() for name in FLOSSED}
    step = cell.step({**parameters, **flossed})
    T = inputs.shape[1]
    exponents = step.exponents(parameters["h0"][:, 0], inputs.transpose(0, 1), T, q0, t_ons, transient)
    assert exponents is not None, "one trajectory per network has a closed form"
    counts = torch.arange(q0.shape[-1], device=k.device) < k[:, None]
    movable = counts & (exponents != -torch.inf)
    loss = torch.where(movable, exponents - target[:, None], 0.0).square().sum(-1) / k
    gradient = torch.autograd.grad(loss.sum(), list(flossed.values()))
    return loss.detach(), exponents.detach(), dict(zip(flossed, gradient, strict=True))
