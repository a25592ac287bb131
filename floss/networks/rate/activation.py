"""What a rate network needs of its transfer function φ, each in terms of the rate r = φ(h)."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Activation(ABC):
    """Transfer function φ, elementwise. Derivatives are given as functions of the rate, which is what is stored."""

    is_linear: ClassVar[bool] = False
    """Whether φ' is the same everywhere."""
    compiled: ClassVar[str | None] = None
    """Its name in `cpp/rate_chain.cpp`; None where it is not there."""

    @abstractmethod
    def rate(self, h: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Rate r = φ(h), into `out` where given."""

    @abstractmethod
    def slope(self, r: Tensor, *, out: Tensor | None = None) -> Tensor:
        """φ'(h), into `out` where given."""

    @abstractmethod
    def curvature(self, r: Tensor) -> Tensor:
        """φ''(h) / φ'(h), which stays bounded where φ' vanishes."""

    def pull_(self, delta: Tensor, r: Tensor) -> Tensor:
        """Delta ∘ φ'(h), in place: one step of the adjoint."""
        return delta.mul_(self.slope(r))
