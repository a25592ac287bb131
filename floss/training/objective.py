"""What stacked networks are flossed towards, and along which run: what no flossing epoch changes."""

from dataclasses import dataclass, replace

from jaxtyping import Float, Int64
from torch import Tensor

from floss.training.schedule import FlossingRun

EXPONENTS = "exponents"
"""The penalty of gradient flossing itself, which every engine has; torch has the others."""


@dataclass(frozen=True)
class FlossingObjective:
    """What stacked networks are flossed towards, and along which run."""

    q0: Float[Tensor, "m N k"]
    """Initial tangent vectors; as many columns as the largest k."""
    k: Int64[Tensor, "m"]
    """How many exponents, or singular values, each network flosses."""
    target: Float[Tensor, "m"]
    """Their wanted value in each network, nats per step."""
    run: FlossingRun
    t_ons: int
    """Orthonormalisation interval in steps."""
    penalty: str = EXPONENTS
    """A name of the table `floss.training.penalties.PENALTIES`."""

    def select(self, rows: Int64[Tensor, "n"]) -> "FlossingObjective":
        """That of some of the networks."""
        return replace(self, q0=self.q0[rows], k=self.k[rows], target=self.target[rows])
