"""A QR chain as data: tangent vectors that are to be evolved by D and orthonormalised, and where they start (Eq. 6)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from floss import random
from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.lyapunov.qr import qr
from floss.lyapunov.second_order import FORWARD, Way
from floss.random import Stream


@dataclass(frozen=True)
class Chain:
    """A checked QR chain: where it starts, and when it is orthonormalised and counted."""

    h: Tensor
    q: Tensor
    inputs: Tensor | None
    steps: int
    t_ons: int
    transient: int
    orthonormaliser: Orthonormaliser = orthonormalise
    sums: torch.dtype | None = None
    """In which the growth of the whole run is added up: None for its own, which training computes in."""
    watch: Callable[[int, Tensor], None] | None = None
    """Told of log R_ii after step s, counted from 1, at every orthonormalisation; may raise."""

    way: Way = FORWARD
    """To tangents whose gradients are right."""
    traced: bool = False
    """Whether the step may be recorded and replayed, which is faster, and the same but for rounding."""

    def input(self, s: int) -> tuple[Tensor, ...]:
        """The input of step s, as arguments of the map."""
        return () if self.inputs is None else (self.inputs[s],)


def random_tangent(h0: Float[Tensor, "*batch n"], k: int) -> Float[Tensor, "*batch n k"]:
    """One fixed random orthonormal set of k tangent vectors, the same for every state of the batch."""
    return initial_tangent(torch.zeros(1, dtype=torch.int64), h0.shape[-1], k)[0].to(h0).expand(*h0.shape, k)


def initial_tangent(seeds: Tensor, n: int, k: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "R n k"]:
    """Each network's random orthonormal Q₀ [R, n, k], from its own seed; the first columns do not depend on k."""
    columns = random.normal(seeds, Stream.TANGENT, k * n, dtype=torch.float64).reshape(len(seeds), k, n)
    return qr(columns.mT)[0].to(dtype)
