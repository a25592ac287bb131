"""What can be watched while networks train: how far gradients reach, how many dimensions they have, and the exponents.

Each diagnostic is a value of `diagnostics=` and adds columns to metrics.csv, measured at the logged training epochs on
the epoch's own data, before the update.
"""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.step import advance
from floss.networks import Cell, Parameters
from floss.networks.workspace import Workspace
from floss.tasks import Task
from floss.training.schedule import transient_steps

DIAGNOSTICS: dict[str, tuple[str, ...]] = {
    "grad_h0": ("grad_norm_h0",),
    "svd": ("sv_1", "sv_20", "sv_40", "effective_rank"),
    "lyapunov": ("lambda_1", "lambda_10"),
    "overlap": ("clv_overlap",),
}
"""The columns of each diagnostic."""
EXPONENTS = 10
"""Number of exponents behind `lambda_1` and `lambda_10`."""


def diagnose(
    names: Collection[str],
    cell: Cell,
    task: Task,
    parameters: Parameters,
    gradient: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    q0: Float[Tensor, "R n k"],
    *,
    workspace: Workspace | None = None,
) -> dict[str, Float[Tensor, "R"]]:
    """The columns of some diagnostics, for each network.

    Args:
        names: from `DIAGNOSTICS`.
        cell: the architecture.
        task: the task.
        parameters: of the networks, stacked; finite.
        gradient: of the task loss, not clipped; finite.
        x: the epoch's inputs.
        d: delay of each network.
        q0: initial tangent vectors of `lyapunov`.
        workspace: buffers to reuse.

    Returns:
        One tensor [R] for each column; a column that a small network does not have (σ₂₀ of a 10×10 matrix) is left out.
    """
    columns: dict[str, Tensor] = {}
    if "grad_h0" in names:
        columns["grad_norm_h0"] = last_step_gradient_norm(cell, task, parameters, x, d, workspace=workspace)
    if "svd" in names:
        values = torch.linalg.svdvals(gradient["W"])
        columns |= {f"sv_{i}": values[:, i - 1] for i in (1, 20, 40) if i <= values.shape[-1]}
        columns["effective_rank"] = effective_rank(values)
    if "lyapunov" in names:
        steps = x.shape[1]
        chain = Chain(parameters["h0"][:, 0], q0, x[:, :, 0].transpose(0, 1), steps, 1, _transient(steps))
        with torch.no_grad():
            exponents = run_exponents(cell.step(parameters), chain).sort(-1, descending=True).values
        columns |= {f"lambda_{i}": exponents[:, i - 1] for i in (1, EXPONENTS) if i <= exponents.shape[-1]}
    if "overlap" in names:
        columns["clv_overlap"] = covariant_overlap(cell, task, parameters, x, d, q0[..., :1])
    return columns


def _transient(steps: int) -> int:
    """As in flossing, but for a run that is too short for that."""
    return min(transient_steps(steps), steps // 2)


def last_step_gradient_norm(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    *,
    workspace: Workspace | None = None,
) -> Float[Tensor, "R"]:
    """‖∂L_T/∂h0‖: how much the loss of the last step alone tells the initial states, T steps earlier (Appendix D).

    L_T is the mean over the batch of the loss at step T; the norm is that of the gradient of all B initial states
    together [B, n].
    """
    h0 = parameters["h0"].detach().requires_grad_()
    y = cell.unroll({**parameters, "h0": h0}, x, workspace=workspace)
    last = torch.full_like(d, x.shape[1] - 1)
    loss, _ = task.loss(y, x, d, first=last)
    (gradient,) = torch.autograd.grad(loss.sum(), h0)
    return torch.linalg.vector_norm(gradient, dim=(-2, -1))


def covariant_overlap(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    q0: Float[Tensor, "R n 1"],
) -> Float[Tensor, "R"]:
    """|cos| of the angle between ∂L_T/∂h_τ and the first covariant Lyapunov vector at τ = ⌊T/2⌋ (Appendix D).

    The first covariant vector at a time is the direction that any tangent vector has turned to by then, so it needs a
    past: that is the first half of the run, and the second half is what the gradient comes back through. The paper does
    not say from which past its vector at h_0 comes. Computed in float64, where the gradient of a vanishing network is
    small but not zero.

    Args:
        cell: the architecture.
        task: the task.
        parameters: of the networks, stacked.
        x: the epoch's inputs.
        d: delay of each network.
        q0: the tangent vector at h_0.

    Returns:
        The mean over the batch: 1 where they are parallel, near √(2/(π n)) for independent random directions in n
        dimensions; NaN where a gradient is zero.
    """
    precise = {name: value.detach().double() for name, value in parameters.items()}
    x, middle = x.double(), x.shape[1] // 2
    step, h = cell.step(precise), precise["h0"]
    v = q0.double()[:, None].expand(*h.shape, 1)
    with torch.no_grad():
        for s in range(middle):
            h, v = advance(step, h, v, x[:, s])
            v = v / torch.linalg.vector_norm(v, dim=-2, keepdim=True)
    h = h.requires_grad_()
    y = cell.unroll({**precise, "h0": h}, x[:, middle:])
    before = y.new_zeros(len(y), middle, y.shape[-1])
    loss, _ = task.loss(torch.cat((before, y), 1), x, d, first=torch.full_like(d, x.shape[1] - 1))
    (gradient,) = torch.autograd.grad(loss.sum(), h)
    size = torch.linalg.vector_norm(gradient, dim=-1)
    return ((gradient * v[..., 0]).sum(-1).abs() / size).mean(-1).to(parameters["h0"].dtype)


def effective_rank(singular_values: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """exp(-Σ p_i log p_i) with p_i = σ_i / Σ σ: between 1 and n; 0 for a matrix of zeros (Roy & Vetterli 2007)."""
    total = singular_values.sum(-1, keepdim=True)
    p = singular_values / torch.where(total > 0, total, 1.0)
    return torch.where(total[..., 0] > 0, (-torch.xlogy(p, p).sum(-1)).exp(), 0.0)
