"""How sharply a task loss is curved, and how far the states move with the recurrent parameters.

That is the lens of Zucchet & Orvieto (2024) on networks that are training. Both are of stacked networks: losses are
summed over networks, so that one backward pass, or one Hessian-vector product, is that of each network by itself.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.step import next_state
from floss.networks import Cell, Parameters
from floss.tasks import Task

ITERATIONS = 50
"""Hessian-vector products of the power iteration, as many as in the authors' code."""


def sharpness(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    iterations: int = ITERATIONS,
) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
    """Leading eigenvalue of the Hessian H of the task loss, and its curvature along the gradient, gᵀHg / ‖g‖².

    H is that of all parameters but the initial states, of which there are as many as sequences. The eigenvalue is the
    Rayleigh quotient vᵀHv after a power iteration v ← Hv / ‖Hv‖ that begins with the gradient: that of largest |λ|, and
    negative where that one is. Sources: Zucchet & Orvieto (2024), their code; Cohen et al. (2021) for sharpness while
    networks train.

    Args:
        cell: the architecture.
        task: the task.
        parameters: of the networks, stacked.
        x: inputs of the epoch.
        d: delay of each network.
        iterations: Hessian-vector products of the power iteration.

    Returns:
        The eigenvalue, and the curvature along the gradient; NaN where the gradient is zero.
    """
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items() if name != "h0"}
    with torch.enable_grad():
        # The time loop of the base class: those that are written by hand have one derivative alone.
        y = Cell.unroll(cell, {**leaves, "h0": parameters["h0"].detach()}, x)
        loss, _ = task.loss(y, x, d)
        gradient = torch.autograd.grad(loss.sum(), list(leaves.values()), create_graph=True, materialize_grads=True)

    def hessian_times(v: list[Tensor]) -> list[Tensor]:
        along = sum((g * u).sum() for g, u in zip(gradient, v, strict=True))
        assert isinstance(along, Tensor)
        product = torch.autograd.grad(along, list(leaves.values()), retain_graph=True, materialize_grads=True)
        return list(product)

    v = _unit([g.detach() for g in gradient])
    product = hessian_times(v)
    along_gradient = _dot(v, product)
    for _ in range(iterations - 1):
        v = _unit(product)
        product = hessian_times(v)
    return _dot(v, product), along_gradient


def state_sensitivity(
    cell: Cell, parameters: Parameters, x: Float[Tensor, "R T B S"], probes: Float[Tensor, "R n m"]
) -> Float[Tensor, "R"]:
    """E‖∂h_T/∂θ‖²_F: how far the last state moves with the recurrent parameters θ, mean over the sequences.

    θ are the parameters that flossing changes (`cell.flossed`): W, V, b of a rate network. With m orthonormal
    directions q_i, random among all, ‖J‖²_F = (n/m) E Σ_i ‖Jᵀq_i‖², exact for m = n: one backward pass for each. Every
    sequence is a network of its own in them, with a copy of the parameters, which tells its gradient from those of the
    others. The same quantity as `floss.sensitivity`, which goes forwards and has it for every step.

    Args:
        cell: the architecture.
        parameters: of the networks, stacked.
        x: inputs.
        probes: orthonormal directions in the space of states.

    Returns:
        The squared norm, of each network.
    """
    networks, _, batch, _ = x.shape
    copies = {name: p.detach().repeat_interleave(batch, 0) for name, p in parameters.items() if name != "h0"}
    h0 = parameters["h0"].detach()
    size, count = probes.shape[-2:]
    leaves = [copies[name].requires_grad_() for name in cell.flossed]
    alone = x.transpose(1, 2).reshape(networks * batch, x.shape[1], 1, x.shape[-1])
    step, h = cell.step(copies), h0.reshape(networks * batch, 1, size)
    with torch.enable_grad():
        for now in alone.unbind(1):
            h = next_state(step, h, now)
    squared = h.new_zeros(networks * batch)
    for q in probes.repeat_interleave(batch, 0).unbind(-1):
        gradient = torch.autograd.grad((h[:, 0] * q).sum(), leaves, retain_graph=True, materialize_grads=True)
        squared += _dot(gradient, gradient)
    return squared.reshape(networks, batch).mean(-1) * (size / count)


def _dot(a: Iterable[Tensor], b: Iterable[Tensor]) -> Float[Tensor, "R"]:
    """Scalar product over all parameters of each network."""
    return torch.stack([(u * v).flatten(1).sum(-1) if u.ndim > 1 else u * v for u, v in zip(a, b, strict=True)]).sum(0)


def _unit(v: list[Tensor]) -> list[Tensor]:
    """Each network's part of norm 1; NaN where it is zero."""
    norm = _dot(v, v).sqrt()
    return [u / norm.reshape(-1, *[1] * (u.ndim - 1)) for u in v]
