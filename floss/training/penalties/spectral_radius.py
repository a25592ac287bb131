"""`flossing.penalty=spectral_radius`: (log ρ(W) - target)², a control that knows no trajectory at all.

ρ(W) is the largest modulus of an eigenvalue of the recurrent weights (which hold their gain g), so target = 0 asks for
ρ = 1, the edge of stability of h → W h. Neither the input nor the biases enter.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser
from floss.networks import Cell, Parameters
from floss.networks.rate.network import RateNetwork
from floss.training.objective import FlossingObjective
from floss.training.penalties.penalty import RUN, Penalty


class SpectralRadius(Penalty):
    """On the eigenvalue of W of the largest modulus. Uses neither k, nor the run, nor t_ons."""

    def loss(
        self,
        cell: Cell,  # noqa: ARG002
        parameters: Parameters,
        inputs: Float[Tensor, "m T S"],  # noqa: ARG002
        objective: FlossingObjective,
        orthonormaliser: Orthonormaliser,  # noqa: ARG002
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"]]:
        W = parameters["W"]
        distance = log_spectral_radius(W.double()) - objective.target
        nothing = torch.full_like(objective.q0[:, 0], torch.nan)
        return distance.square().to(W.dtype), nothing

    def refusal(self, cell: Cell) -> str:
        return "" if isinstance(cell, RateNetwork) else "needs one square matrix of recurrent weights"

    def idle(self, cell: Cell) -> tuple[str, ...]:  # noqa: ARG002
        return "k", *RUN


def log_spectral_radius(W: Float[Tensor, "m N N"]) -> Float[Tensor, "m"]:
    """Log ρ(W), differentiable where one eigenvalue, or one complex pair, has the largest modulus.

    An eigenvalue is w W v / w v with its left and right eigenvectors w and v, and to first order in a change of W these
    may stay as they are (Magnus 1985): ∂λ/∂W_ij = w_i v_j / w v. So they are constants here. Of eigenvalues of the same
    modulus one is taken; those of a complex pair have the same derivative of their modulus.

    Args:
        W: in double precision.

    Returns:
        NaN for a matrix that is not finite, -inf for one without any eigenvalue but zero.
    """
    finite = torch.isfinite(W).flatten(1).all(-1)
    with torch.no_grad():
        safe = torch.where(finite[:, None, None], W, torch.eye(W.shape[-1], dtype=W.dtype, device=W.device))
        values, vectors = torch.linalg.eig(safe)
        largest = values.abs().argmax(-1, keepdim=True)
        right = vectors.gather(-1, largest[:, None].expand(-1, W.shape[-1], -1))
        unit = torch.zeros_like(values).scatter(-1, largest, 1.0)
        # The row of the inverse of the eigenvectors: of a defective matrix not finite, and nothing is raised.
        left = torch.linalg.solve_ex(vectors.mT, unit)[0][:, None]
    return torch.where(finite, (left @ W.to(values.dtype) @ right)[:, 0, 0].abs().log(), torch.nan)
