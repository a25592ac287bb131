"""Flossing of a user's own step: the network as a plain function of h and x, of which nothing else is known.

Its tangent step is recorded and replayed by `floss.lyapunov_spectrum`, and differentiated by autograd, as in a training
loop that `docs/python.md` describes. Per epoch it does what the plain loop of `torch_single` does.
"""

import torch
from torch import Tensor

from floss.analysis.bench.torch_single import FlossingLoop, Parameters
from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.training.flossing_loss import flossing_loss


def own_loss(p: Parameters, x: Tensor, q: Tensor, transient: int) -> Tensor:
    """The mean of the flossing losses of all trajectories; x [T_f, S] or [T_f, B, S], q [N, k]."""
    W, V, b = p["W"], p["V"], p["b"]

    def step(h: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(h) @ W.T + u @ V.T / u.shape[-1] + b

    h0 = p["h0"][0].detach().expand(*x.shape[1:-1], -1)
    q0 = q.expand(*x.shape[1:-1], *q.shape)
    return flossing_loss(lyapunov_spectrum(step, h0, x, q0=q0, transient=transient)).mean()


class OwnFlossing(FlossingLoop):
    """Flossing of one network by its step."""

    loss = staticmethod(own_loss)
