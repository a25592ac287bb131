"""`arch=linear`: φ = identity, the linear network of Appendix E."""

import torch
from torch import Tensor

from floss.networks.rate.activation import Activation
from floss.networks.rate.network import RateNetwork


class Identity(Activation):
    """φ = identity, φ' = 1, φ'' = 0."""

    is_linear = True
    compiled = "identity"

    def rate(self, h: Tensor, *, out: Tensor | None = None) -> Tensor:
        return h.clone() if out is None else out.copy_(h)

    def slope(self, r: Tensor, *, out: Tensor | None = None) -> Tensor:
        return torch.ones_like(r) if out is None else out.fill_(1.0)

    def curvature(self, r: Tensor) -> Tensor:
        return torch.zeros_like(r)

    def pull_(self, delta: Tensor, r: Tensor) -> Tensor:  # noqa: ARG002
        return delta


CELL = RateNetwork("linear", Identity())
