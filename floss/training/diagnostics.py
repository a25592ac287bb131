"""What can be watched while networks train: how far gradients reach, how many dimensions they have, and the exponents.

Each diagnostic is a value of `diagnostics=` and adds columns to metrics.csv, measured at the logged training epochs on
the epoch's own data, before the update; the step that follows is measured beside the gradient that it follows from.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.iteration import qr_chain, run_exponents
from floss.lyapunov.step import advance
from floss.networks import Cell, Parameters
from floss.tasks import Task
from floss.training.adam import Adam
from floss.training.engine import Engine
from floss.training.schedule import transient_steps
from floss.training.sharpness import sharpness, state_sensitivity

DIAGNOSTICS: dict[str, tuple[str, ...]] = {
    "grad_h0": ("grad_norm_h0", "grad_norm_h0_last", "adam_step_h0"),
    "svd": ("sv_1", "sv_20", "sv_40", "effective_rank"),
    "lyapunov": ("lambda_1", "lambda_10"),
    "overlap": ("clv_overlap",),
    "neutral": ("neutral_share", "neutral_vectors"),
    "effective_rates": ("effective_rate_recurrent", "effective_rate_rest"),
    "sensitivity": ("sensitivity",),
    "sharpness": ("sharpness", "sharpness_gradient"),
    "spectrum": ("near_zero", "lambda_20", "lambda_40", "lambda_60"),
}
"""The columns of each diagnostic."""
EXPONENTS = 10
"""Number of exponents behind `lambda_1` and `lambda_10`."""
WHOLE = ("neutral", "spectrum")
"""Diagnostics that need all n tangent vectors."""
_INTERVAL = 10
"""Steps between orthonormalisations of `neutral`: exponents near zero leave tangent vectors well apart for longer."""
_STATES = 4
"""Of so many sequences of a batch is `neutral` measured, which costs as much as many epochs: the first ones."""


def diagnose(
    names: Collection[str],
    engine: Engine,
    parameters: Parameters,
    gradient: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    q0: Float[Tensor, "R n k"],
) -> dict[str, Float[Tensor, "R"]]:
    """The columns of some diagnostics that are measured before the step, for each network.

    Args:
        names: from `DIAGNOSTICS`.
        engine: of networks of the same architecture and task.
        parameters: of the networks, stacked; finite.
        gradient: of the whole task loss (the mean over the batch and over the steps t ≥ d), not clipped; finite.
        x: the epoch's inputs.
        d: delay of each network.
        q0: initial tangent vectors: all n of them for those of `WHOLE`, at least min(n, 10) for the others.

    Returns:
        One tensor [R] for each column; a column that a small network does not have (σ₂₀ of a 10×10 matrix) is left out.
    """
    cell, task = engine.ensemble.cell, engine.ensemble.task
    columns: dict[str, Tensor] = {}
    if "grad_h0" in names:
        columns["grad_norm_h0"] = norm_of_states(gradient["h0"])
        columns["grad_norm_h0_last"] = last_step_gradient_norm(engine, parameters, x, d)
    if "svd" in names:
        values = torch.linalg.svdvals(gradient["W"])
        columns |= {f"sv_{i}": values[:, i - 1] for i in (1, 20, 40) if i <= values.shape[-1]}
        columns["effective_rank"] = effective_rank(values)
    if "lyapunov" in names:
        exponents = _exponents(cell, parameters, x, q0[..., :EXPONENTS].contiguous())
        columns |= {f"lambda_{i}": exponents[:, i - 1] for i in (1, EXPONENTS) if i <= exponents.shape[-1]}
    if "overlap" in names:
        columns["clv_overlap"] = covariant_overlap(cell, task, parameters, x, d, q0[..., :1])
    if "neutral" in names:
        share, vectors = neutral_share(cell, task, parameters, x, d, q0)
        columns |= {"neutral_share": share, "neutral_vectors": vectors}
    if "sensitivity" in names:
        columns["sensitivity"] = state_sensitivity(cell, parameters, x, q0[..., :EXPONENTS])
    if "sharpness" in names:
        columns["sharpness"], columns["sharpness_gradient"] = sharpness(cell, task, parameters, x, d)
    if "spectrum" in names:
        exponents = _exponents(cell, parameters, x, q0)
        near = exponents.abs() < 1.0 / d.clamp(min=1)[:, None]
        columns["near_zero"] = near.sum(-1).to(exponents.dtype)
        columns |= {f"lambda_{i}": exponents[:, i - 1] for i in (20, 40, 60) if i <= exponents.shape[-1]}
    return columns


def _exponents(
    cell: Cell, parameters: Parameters, x: Float[Tensor, "R T B S"], q0: Float[Tensor, "R n k"]
) -> Float[Tensor, "R k"]:
    """The first k exponents along the first sequence of the epoch's inputs, descending."""
    steps = x.shape[1]
    chain = Chain(parameters["h0"][:, 0], q0, x[:, :, 0].transpose(0, 1), steps, 1, _transient(steps))
    with torch.no_grad():
        return run_exponents(cell.step(parameters), chain).sort(-1, descending=True).values


def measured_after(names: Collection[str], cell: Cell, adam: Adam) -> dict[str, Float[Tensor, "R"]]:
    """The columns of some diagnostics that the step itself has: of all networks, NaN for one that has taken none."""
    columns = {"adam_step_h0": norm_of_states(adam.last_step("h0"))} if "grad_h0" in names else {}
    if "effective_rates" in names:
        recurrent = [name for name in adam.mean if name in cell.flossed]
        rest = [name for name in adam.mean if name not in (*cell.flossed, "h0")]
        columns["effective_rate_recurrent"] = effective_rate(adam, recurrent)
        columns["effective_rate_rest"] = effective_rate(adam, rest)
    return columns


def effective_rate(adam: Adam, names: Sequence[str]) -> Float[Tensor, "R"]:
    """Geometric mean of Adam's effective learning rates over all entries of some parameters.

    Those that are negative, since the momentum points the other way, count as 1e-8. Source: App. F of Zucchet & Orvieto
    2024, Fig. 11, and the authors' code.
    """
    rates = torch.cat(
        [
            adam.effective_rate(name).flatten(1) if adam.mean[name].ndim > 1 else adam.effective_rate(name)[:, None]
            for name in names
        ],
        -1,
    )
    return 10.0 ** torch.log10(rates.clamp(min=0.0) + 1e-8).mean(-1)


def _transient(steps: int) -> int:
    """As in flossing, but for a run that is too short for that."""
    return min(transient_steps(steps), steps // 2)


def norm_of_states(values: Float[Tensor, "R B n"]) -> Float[Tensor, "R"]:
    """2-norm of something that all B initial states have, in float64, where the squares are not too small."""
    return torch.linalg.vector_norm(values.double(), dim=(-2, -1))


def last_step_gradient_norm(
    engine: Engine, parameters: Parameters, x: Float[Tensor, "R T B S"], d: Int64[Tensor, "R"]
) -> Float[Tensor, "R"]:
    """‖∂L_T/∂h0‖: how much the loss of the last step alone tells the initial states, T steps earlier (Eq. 18).

    L_T is the mean over the batch of the loss at step T; the norm is that of the gradient of all B initial states
    together [B, n]. Computed in float64, where the gradient of a vanishing network is small but not zero.
    """
    precise = {name: value.double() for name, value in parameters.items()}
    _, _, gradient = engine.task_gradient(precise, x.double(), d, torch.full_like(d, x.shape[1] - 1))
    return norm_of_states(gradient["h0"])


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
    gradient = _gradient_from(cell, task, precise, x, d, h, middle)
    return (gradient * v[..., 0]).sum(-1).abs().mean(-1).to(parameters["h0"].dtype)


def neutral_share(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    q0: Float[Tensor, "R n n"],
) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
    """Share of ‖∂L_T/∂h_τ‖² in the span of the covariant vectors that outlast the delay, at τ = ⌊T/2⌋ (Appendix D).

    Those are the first m, whose exponents are above -1/d: along them a perturbation keeps more than 1/e of its size
    over d steps. Where flossing has made many exponents nearly equal, no single covariant vector is apart from the
    others at τ, but their span is: the first m vectors of the QR iteration span the same space as the first m covariant
    vectors (Ginelli et al. 2013), and the last orthonormalisation is at τ. Computed in float64.

    Args:
        cell: the architecture.
        task: the task.
        parameters: of the networks, stacked.
        x: the epoch's inputs.
        d: delay of each network; of d = 0 as of 1.
        q0: the tangent vectors at h_0.

    Returns:
        The mean over the first few sequences of the batch of the share, for a random direction m / n on average; and m,
        from exponents that are means over the same. The share is 0 where m is 0, and NaN where a gradient is zero.
    """
    precise = {name: value.detach().double() for name, value in parameters.items()}
    x, middle = x[:, :, :_STATES].double(), x.shape[1] // 2
    h0 = precise["h0"][:, :_STATES]
    q = q0.double()[:, None].expand(*h0.shape, -1)
    transient = _transient(middle)
    with torch.no_grad():
        past = Chain(h0, q, x[:, :middle].transpose(0, 1), middle, _INTERVAL, transient)
        growth, h, q = qr_chain(cell.step(precise), past, total=True)
    exponents = growth[0].mean(1) / (middle - transient)
    outlasts = (exponents > -1.0 / d.clamp(min=1)[:, None]).to(h.dtype)
    vectors = outlasts.cumprod(-1).sum(-1)  # the exponents come out sorted but for noise: up to the first that is not
    gradient = _gradient_from(cell, task, precise, x, d, h, middle)
    along = (q.mT @ gradient[..., None])[..., 0].square()
    first = torch.arange(along.shape[-1], device=d.device) < vectors[:, None]
    share = torch.where(first[:, None], along, 0.0).sum(-1).mean(-1)
    dtype = parameters["h0"].dtype
    return share.to(dtype), vectors.to(dtype)


def _gradient_from(
    cell: Cell,
    task: Task,
    parameters: Parameters,
    x: Float[Tensor, "R T B S"],
    d: Int64[Tensor, "R"],
    h: Float[Tensor, "R B n"],
    middle: int,
) -> Float[Tensor, "R B n"]:
    """Direction of ∂L_T/∂h_τ with τ = `middle` and L_T the loss of the last step: unit vectors.

    NaN where the gradient is zero.
    """
    h = h.detach().requires_grad_()
    y = cell.unroll({**parameters, "h0": h}, x[:, middle:])
    before = y.new_zeros(len(y), middle, y.shape[-1])
    loss, _ = task.loss(torch.cat((before, y), 1), x, d, first=torch.full_like(d, x.shape[1] - 1))
    (gradient,) = torch.autograd.grad(loss.sum(), h)
    return gradient / torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)


def effective_rank(singular_values: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """exp(-Σ p_i log p_i) with p_i = σ_i / Σ σ: between 1 and n; 0 for a matrix of zeros (Roy & Vetterli 2007)."""
    total = singular_values.sum(-1, keepdim=True)
    p = singular_values / torch.where(total > 0, total, 1.0)
    return torch.where(total[..., 0] > 0, (-torch.xlogy(p, p).sum(-1)).exp(), 0.0)
