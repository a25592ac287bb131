"""Gradient flossing: the loss on the exponents (Eq. 4), and one flossing epoch of an ensemble."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.networks import Cell, Parameters
from floss.training.adam import Adam


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
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "R T S"],
    q0: Float[Tensor, "R N k"],
    *,
    k: Int64[Tensor, "R"],
    target: Float[Tensor, "R"],
    t_ons: int,
    transient: int,
    orthonormaliser: Orthonormaliser = orthonormalise,
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
        orthonormaliser: of the tangent vectors.

    Returns:
        The loss of each network (mean over its k exponents), its exponents in the order of Q's columns, and the
        gradient of the parameters that the cell flosses.
    """
    flossed = {name: parameters[name].detach().requires_grad_() for name in cell.flossed}
    x, h0 = inputs.transpose(0, 1), parameters["h0"][:, 0]
    exponents = run_exponents(
        cell.step({**parameters, **flossed}), Chain(h0, q0, x, len(x), t_ons, transient, orthonormaliser)
    )
    counts = torch.arange(q0.shape[-1], device=k.device) < k[:, None]
    movable = counts & (exponents != -torch.inf)
    loss = torch.where(movable, exponents - target[:, None], 0.0).square().sum(-1) / k
    gradient = torch.autograd.grad(loss.sum(), list(flossed.values()), materialize_grads=True)
    return loss.detach(), exponents.detach(), dict(zip(flossed, gradient, strict=True))


def flossing_step(
    cell: Cell,
    parameters: Parameters,
    adam: Adam,
    inputs: Float[Tensor, "m T S"],
    q0: Float[Tensor, "m N k"],
    *,
    index: Int64[Tensor, "m"],
    alive: Bool[Tensor, "m"],
    k: Int64[Tensor, "m"],
    target: Float[Tensor, "m"],
    t_ons: int,
    transient: int,
    orthonormaliser: Orthonormaliser = orthonormalise,
) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m k"]]:
    """One flossing epoch of the networks `index` of an ensemble: their gradient, and the step of Adam, in place.

    Networks that are not `alive`, or whose loss or gradient is not finite, stay as they are, bit for bit.

    Args:
        cell: the architecture.
        parameters: of all networks of the ensemble, stacked; changed in place.
        adam: the optimizer of flossing, of all networks.
        inputs: x[1], …, x[T_f] of the networks `index`, as are all that follow.
        q0: initial tangent vectors.
        index: rows of the ensemble, ascending.
        alive: which of them may take the step.
        k: number of exponents that each flosses.
        target: wanted value of each network's exponents, nats per step.
        t_ons: orthonormalisation interval in steps.
        transient: steps of the run that are not counted.
        orthonormaliser: of the tangent vectors; the networks at which it fails stay as they are as well.

    Returns:
        Which networks took the step; the loss and, in descending order, the flossed exponents of each before the step
        (NaN beyond a network's own k).
    """
    everyone = len(index) == len(parameters["h0"])
    rows = slice(None) if everyone else index
    loss, exponents, gradient = flossing_gradient(
        cell,
        {name: value[rows] for name, value in parameters.items()},
        inputs,
        q0,
        k=k,
        target=target,
        t_ons=t_ons,
        transient=transient,
        orthonormaliser=orthonormaliser,
    )
    active = alive & finite_networks(loss, gradient)
    if orthonormaliser.failed is not None:
        active &= ~orthonormaliser.failed
    adam.step(parameters, gradient, active, index)
    own = torch.arange(exponents.shape[-1], device=k.device) < k[:, None]
    ordered = torch.where(own, exponents, -torch.inf).sort(-1, descending=True).values
    return active, loss, torch.where(own, ordered, torch.nan)


def finite_networks(loss: Float[Tensor, "R"], gradient: Parameters) -> Bool[Tensor, "R"]:
    """Which networks have a loss and a gradient without NaN or infinity."""
    finite = torch.isfinite(loss)
    for g in gradient.values():
        finite &= torch.isfinite(g.flatten(1)).all(-1) if g.ndim > 1 else torch.isfinite(g)
    return finite
