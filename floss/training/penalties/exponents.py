"""`flossing.penalty=exponents`: gradient flossing, the mean of (λ_i - target)² over the first k exponents (Eq. 4)."""

from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.orthonormalisation import Orthonormaliser
from floss.networks import Cell, Parameters
from floss.training.objective import FlossingObjective
from floss.training.penalties.penalty import Penalty, mean_square_distance


class Exponents(Penalty):
    """On the growth of k tangent vectors over a whole run, which sees how the steps multiply."""

    def loss(
        self,
        cell: Cell,
        parameters: Parameters,
        inputs: Float[Tensor, "m T S"],
        objective: FlossingObjective,
        orthonormaliser: Orthonormaliser,
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"]]:
        x, h0, run = inputs.transpose(0, 1), parameters["h0"][:, 0], objective.run
        chain = Chain(h0, objective.q0, x, len(x), objective.t_ons, run.transient, orthonormaliser)
        exponents = run_exponents(cell.step(parameters), chain)
        return mean_square_distance(exponents, objective.k, objective.target), exponents
