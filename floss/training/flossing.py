"""Gradient flossing: the loss on the exponents (Eq. 4), and its gradient for each network of an ensemble."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.networks import Cell, Parameters
from floss.training.schedule import FlossingRun


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


@dataclass(frozen=True)
class FlossingObjective:
    """What stacked networks are flossed towards, and along which run: what no epoch changes."""

    q0: Float[Tensor, "m N k"]
    """Initial tangent vectors; as many columns as the largest k."""
    k: Int64[Tensor, "m"]
    """Number of exponents that each network flosses."""
    target: Float[Tensor, "m"]
    """Wanted value of each network's exponents, nats per step."""
    run: FlossingRun
    t_ons: int
    """Orthonormalisation interval in steps."""

    def select(self, rows: Int64[Tensor, "n"]) -> "FlossingObjective":
        """That of some of the networks."""
        return replace(self, q0=self.q0[rows], k=self.k[rows], target=self.target[rows])


def flossing_gradient(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "m T S"],
    objective: FlossingObjective,
    orthonormaliser: Orthonormaliser = orthonormalise,
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"], Parameters]:
    """Flossing loss, exponents and gradient of one flossing epoch, for each network of an ensemble.

    A trajectory starts from the first column of h0. Each network flosses its first k exponents. Those lost to rank
    deficiency (-inf: units that do not respond) cannot be moved and are left out of its loss.

    Args:
        cell: the architecture.
        parameters: of the networks, stacked.
        inputs: x[1], …, x[T_f] of each network.
        objective: of the networks.
        orthonormaliser: of the tangent vectors.

    Returns:
        The loss of each network (mean over its k exponents), its exponents in the order of Q's columns, and the
        gradient of the parameters that the cell flosses.
    """
    q0, k, target = objective.q0, objective.k, objective.target
    flossed = {name: parameters[name].detach().requires_grad_() for name in cell.flossed}
    x, h0 = inputs.transpose(0, 1), parameters["h0"][:, 0]
    chain = Chain(h0, q0, x, len(x), objective.t_ons, objective.run.transient, orthonormaliser)
    exponents = run_exponents(cell.step({**parameters, **flossed}), chain)
    flossed_columns = torch.arange(q0.shape[-1], device=k.device) < k[:, None]
    movable = flossed_columns & (exponents != -torch.inf)
    loss = torch.where(movable, exponents - target[:, None], 0.0).square().sum(-1) / k
    gradient = torch.autograd.grad(loss.sum(), list(flossed.values()), materialize_grads=True)
    return loss.detach(), exponents.detach(), dict(zip(flossed, gradient, strict=True))


def finite_networks(loss: Float[Tensor, "R"], gradient: Parameters) -> Bool[Tensor, "R"]:
    """Which networks have a loss and a gradient without NaN or infinity."""
    finite = torch.isfinite(loss)
    for g in gradient.values():
        finite &= torch.isfinite(g.flatten(1)).all(-1) if g.ndim > 1 else torch.isfinite(g)
    return finite
