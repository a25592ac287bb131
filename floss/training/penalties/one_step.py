"""`flossing.penalty=one_step`: each one-step Jacobian by itself, a control that does not see how the steps multiply.

The loss is the mean over counted steps s and i ≤ k of (log σ_i(D_s) - target)², with the singular values σ_1 ≥ σ_2 ≥ …
of D_s = ∂h[s+1]/∂h[s] along the run. With target = 0 and k = N it asks for orthogonal one-step Jacobians, with which
all exponents would be zero as well; but exponents can be zero without it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalisation_times
from floss.lyapunov.step import Step, advance, next_state
from floss.networks import Cell, Parameters
from floss.training.objective import FlossingObjective
from floss.training.penalties.penalty import RUN, Penalty, mean_square_distance


class OneStep(Penalty):
    """On the singular values of the one-step Jacobians.

    Every t_ons-th counted step has a part in it, the one after which the tangent vectors of gradient flossing would be
    orthonormalised. A singular value decomposition takes much longer than a step of flossing does, and the Jacobians of
    one run are alike, so that a larger t_ons saves most of the time. Those of a linear recurrence are all the same.
    """

    def loss(
        self,
        cell: Cell,
        parameters: Parameters,
        inputs: Float[Tensor, "m T S"],
        objective: FlossingObjective,
        orthonormaliser: Orthonormaliser,  # noqa: ARG002
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"]]:
        step, h0 = cell.step(parameters), parameters["h0"][:, 0]
        # Of a linear recurrence one stands for all: a mean of more of them differs by how it is rounded.
        D = _jacobian(step, h0, inputs[:, 0])[1][None] if cell.is_linear else _jacobians(step, h0, inputs, objective)
        values = log_singular_values(D.double())[..., : objective.q0.shape[-1]]
        loss = mean_square_distance(values, objective.k, objective.target.double()).mean(0)
        return loss.to(D.dtype), torch.full_like(objective.q0[:, 0], torch.nan)

    def idle(self, cell: Cell) -> tuple[str, ...]:
        """Every step of every run has the same Jacobian where the recurrence is linear."""
        return RUN if cell.is_linear else ()


def _jacobians(
    step: Step, h: Float[Tensor, "m n"], inputs: Float[Tensor, "m T S"], objective: FlossingObjective
) -> Float[Tensor, "M m n n"]:
    """D_s of those steps that end a counted orthonormalisation interval."""
    run, jacobians = objective.run, []
    intervals = orthonormalisation_times(run.length, objective.t_ons, run.transient)
    ends = {end - 1 for end, counts in intervals if counts}
    for s, x in enumerate(inputs.unbind(1)):
        if s in ends:
            h, D = _jacobian(step, h, x)
            jacobians.append(D)
        else:
            h = next_state(step, h, x)
    return torch.stack(jacobians)


def _jacobian(step: Step, h: Float[Tensor, "m n"], x: Float[Tensor, "m S"]) -> tuple[Tensor, Float[Tensor, "m n n"]]:
    """The next state, and D."""
    identity = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device).expand(*h.shape, h.shape[-1])
    return advance(step, h, identity, x)


def log_singular_values(D: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n"]:
    """Log σ_i, descending, differentiable; -inf for those below n ε σ_1, NaN for a matrix that is not finite.

    Alone they have no trouble with equal singular values: ∂L/∂D = U diag(∂L/∂σ) Vᵀ.
    """
    n = D.shape[-1]
    finite = torch.isfinite(D).flatten(-2).all(-1)
    identity = torch.eye(n, dtype=D.dtype, device=D.device)
    sigma = torch.linalg.svdvals(torch.where(finite[..., None, None], D, identity))
    responds = sigma > n * torch.finfo(D.dtype).eps * sigma[..., :1]
    log_sigma = torch.where(responds, torch.where(responds, sigma, 1.0).log(), -torch.inf)
    return torch.where(finite[..., None], log_sigma, torch.nan)
