"""What the hand-written loops over time need of a gated cell.

Write z[s] = [h[s], x[s+1], 1] and a[s] = A z[s] for all that enters the gates of step s, G gates of N rows each; the
first `seeing` of them see the state, the others the input alone. All weights of the map are parts of A. What the map
makes of a is elementwise, and so is its derivative: with δ = ∂L/∂a

    δ[s] = E[s] ∘ (adjoint of the state after the step),     Ā = Σ_s δ[s] z[s]ᵀ

The factors E are those of the Jacobian as well, D = Σ_gates diag(E) W + a diagonal part, so that N × k tangent vectors
take one product with an N × N matrix of each row of states, whatever the number of gates.

States, gates and factors have the axes [R, T, B, ...]. A cell keeps of the way forward what its factors are made of.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from floss.networks.workspace import Workspace

Kept = tuple[Tensor, ...]
"""What the way forward leaves for the factors, [R, T, B, ...]."""
Factors = tuple[Tensor, ...]
"""E [R, T, B, G, N], and the diagonal factors [R, T, B, N]."""
Carry = tuple[Tensor, ...]
"""Adjoints of the state on the way back."""


class GatedLoop(ABC):
    """The elementwise part of a gated cell, forward, backward and along tangent vectors."""

    names: ClassVar[tuple[str, ...]]
    """Parameters of the map."""
    gates: ClassVar[int]
    """Blocks of N rows of A."""
    seeing: ClassVar[int]
    """How many of them, the first ones, see the state."""

    @abstractmethod
    def join(self, A: Tensor, parameters: dict[str, Tensor]) -> None:
        """Write the parameters into A [R, G N, N + S + 1]."""

    @abstractmethod
    def part(self, gA: Tensor) -> dict[str, Tensor]:
        """The gradients of the parameters, from that of A."""

    @abstractmethod
    def forward(self, A: Tensor, z: Tensor, h0: Tensor, workspace: Workspace) -> Kept:
        """Run from h0 [R, B, n], and write the states into z [R, T + 1, B, N + S + 1], the initial one first."""

    @abstractmethod
    def last(self, z: Tensor, kept: Kept) -> Tensor:
        """The state after the last step, [R, B, n]."""

    @abstractmethod
    def factors(self, z: Tensor, kept: Kept, start: int, stop: int, workspace: Workspace) -> Factors:
        """The factors of steps start, …, stop - 1."""

    @abstractmethod
    def backward(
        self,
        factors: Factors,
        W: Tensor,
        gh: Tensor,
        delta: Tensor,
        carry: Carry,
        more: tuple[Tensor, Tensor] | None = None,
    ) -> Carry:
        """Back through the steps of the factors.

        Args:
            factors: of C steps.
            W: the rows of A that see the state, [R, seeing N, N].
            gh: ∂L/∂h after each of the steps, of what comes from outside, [R, C, B, N].
            delta: is filled with δ, [R, C, B, G N].
            carry: from the steps after these; at first `rest`.
            more: what else the gates [R, C, B, G, N] and the states after each step [R, C, B, N] get.
        """

    @abstractmethod
    def rest(self, gh: Tensor) -> Carry:
        """The carry after the last step; `gh` [R, B, N] has the shape."""

    @abstractmethod
    def initial(self, carry: Carry, W: Tensor) -> Tensor:
        """The adjoint of h0 [R, B, n]."""

    @abstractmethod
    def matrix(self, factors: Factors, W: Tensor) -> Tensor:
        """What of the Jacobian is no diagonal, for one step; factors [R, G, N] and [R, N], W [R, seeing, N, N]."""

    @abstractmethod
    def push(self, matrix: Tensor, factors: Factors, q: Tensor) -> Tensor:
        """D q for tangent vectors q [R, n, k]."""

    @abstractmethod
    def pull(
        self, matrix: Tensor, factors: Factors, before: Tensor, after: tuple[Tensor, Tensor], gz: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Back through Z = D Q: Dᵀ Z̄, and the adjoints of the matrix and of the diagonal factors.

        Args:
            matrix: as it was pushed by.
            factors: of this step.
            before: Q [R, n, k].
            after: (Q', B) with Z = Q' R and B = Z̄ Rᵀ; rows of Z̄ Zᵀ are those of B Q'ᵀ, and Z itself is not kept.
            gz: Z̄, which may be written into; B may be the same tensor.
        """

    @abstractmethod
    def of_matrix(self, gM: Tensor, factors: Factors, W: Tensor, gW: Tensor, gE: Tensor) -> None:
        """Add to gW [R, seeing, N, N] and write into gE [R, seeing, N] what the adjoint of the matrix gives them."""

    @abstractmethod
    def curvature(
        self, z: Tensor, kept: Kept, gE: Tensor, diagonal: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What adjoints of the factors mean for the gates and the states.

        Returns:
            For the gates [R, T, B, G, N], for the states after each step and before each step [R, T, B, N].
        """


def shifted(after: Tensor, before: Tensor) -> Tensor:
    """Adjoints of the states after each step, from those of the states after and before each [R, T, B, N]."""
    total = after.clone()
    total[:, :-1] += before[:, 1:]
    return total
