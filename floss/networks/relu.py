"""`arch=relu`: φ = max(·, 0). Appendix B of the paper draws W with mean -0.1 (`arch.mean`)."""

import torch
from torch import Tensor

from floss.networks.rate.activation import Activation
from floss.networks.rate.network import RateNetwork


class Relu(Activation):
    """φ = max(h, 0), φ' = 1 where r > 0 and 0 elsewhere, φ'' = 0."""

    compiled = "relu"

    def rate(self, h: Tensor, *, out: Tensor | None = None) -> Tensor:
        return torch.clamp(h, min=0.0, out=out)

    def slope(self, r: Tensor, *, out: Tensor | None = None) -> Tensor:
        return (r > 0).to(r.dtype) if out is None else out.copy_(r > 0)

    def curvature(self, r: Tensor) -> Tensor:
        return torch.zeros_like(r)


CELL = RateNetwork("relu", Relu())
