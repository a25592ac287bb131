"""Gradient flossing: the gradient of the loss on the exponents, for each network of an ensemble."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.networks import Cell, Parameters
from floss.training.objective import FlossingObjective
from floss.training.penalties import PENALTIES


def flossing_gradient(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "m T S"],
    objective: FlossingObjective,
    orthonormaliser: Orthonormaliser = orthonormalise,
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"], Parameters]:
    """Flossing loss, exponents and gradient of one flossing epoch, for each network of an ensemble.

    A trajectory starts from the first column of h0. Each network flosses its first k exponents, or what else the
    objective's penalty is about (`floss.training.penalties`). Those lost to rank deficiency (-inf: units that do not
    respond) cannot be moved and are left out of its loss.

    Args:
        cell: the architecture.
        parameters: of the networks, stacked.
        inputs: x[1], …, x[T_f] of each network.
        objective: of the networks.
        orthonormaliser: of the tangent vectors.

    Returns:
        The loss of each network (mean over its k exponents), its exponents in the order of Q's columns (NaN where the
        penalty does not look at them), and the gradient of the parameters that the cell flosses.
    """
    flossed = {name: parameters[name].detach().requires_grad_() for name in cell.flossed}
    penalty = PENALTIES[objective.penalty]
    loss, exponents = penalty.loss(cell, {**parameters, **flossed}, inputs, objective, orthonormaliser)
    gradient = torch.autograd.grad(loss.sum(), list(flossed.values()), materialize_grads=True)
    return loss.detach(), exponents.detach(), dict(zip(flossed, gradient, strict=True))


def finite_networks(loss: Float[Tensor, "R"], gradient: Parameters) -> Bool[Tensor, "R"]:
    """Which networks have a loss and a gradient without NaN or infinity."""
    finite = torch.isfinite(loss)
    for g in gradient.values():
        finite &= torch.isfinite(g.flatten(1)).all(-1) if g.ndim > 1 else torch.isfinite(g)
    return finite
