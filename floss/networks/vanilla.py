"""`arch=vanilla`: φ = tanh, the network of the paper's main figures."""

import torch
from torch import Tensor

from floss.networks.rate.activation import Activation
from floss.networks.rate.network import RateNetwork

_ONE = {dtype: torch.ones((), dtype=dtype) for dtype in (torch.float32, torch.float64)}
"""On the CPU, where making it anew at every step of a small network takes a part of the time."""


class Tanh(Activation):
    """φ = tanh, φ' = 1 - r², φ''/φ' = -2r."""

    compiled = "tanh"

    def rate(self, h: Tensor, *, out: Tensor | None = None) -> Tensor:
        return torch.tanh(h, out=out)

    def slope(self, r: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return 1.0 - r * r
        one = _ONE.get(r.dtype) if r.is_cpu else None
        return torch.addcmul(r.new_ones(()) if one is None else one, r, r, value=-1.0, out=out)

    def curvature(self, r: Tensor) -> Tensor:
        return -2.0 * r

    def pull_(self, delta: Tensor, r: Tensor) -> Tensor:
        return delta.addcmul_(delta * r, r, value=-1.0)


CELL = RateNetwork("vanilla", Tanh())
