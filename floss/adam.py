"""Adam for ensembles (Kingma & Ba 2015): every network has its own step count, and networks can sit a step out."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class Adam:
    """Adam over dictionaries of stacked parameters [R, ...]; β = 0.9, 0.999, ε = 1e-8, no weight decay.

    A network that is not active keeps its parameters, moments and step count bit for bit, whatever its gradient holds.
    `torch.optim` cannot do that: its step count and its update are shared by the whole tensor.
    """

    def __init__(self, parameters: dict[str, Tensor], lr: float) -> None:
        """Zero moments for `parameters`, which are not kept."""
        first = next(iter(parameters.values()))
        self.lr = lr
        self.steps: Int64[Tensor, "R"] = torch.zeros(first.shape[0], dtype=torch.int64, device=first.device)
        self.mean = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.square = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def step(
        self, parameters: dict[str, Tensor], gradient: dict[str, Tensor], active: Bool[Tensor, "R"], index: Tensor
    ) -> None:
        """Update the networks `index[active]` of `parameters` in place.

        Args:
            parameters: stacked tensors of all R networks.
            gradient: stacked tensors of the networks `index`.
            active: which of those take the step.
            index: rows of the ensemble that the gradient belongs to, ascending.
        """
        if not bool(active.all()):
            index, gradient = index[active], {name: g[active] for name, g in gradient.items()}
        everyone = len(index) == len(self.steps)  # then the rows are in place, in order
        self.steps[index] += 1
        t = self.steps[index].double()
        for name, g in gradient.items():
            p, mean, square = parameters[name], self.mean[name], self.square[name]
            own = (-1,) + (1,) * (g.ndim - 1)
            rate = (self.lr / (1.0 - 0.9**t)).to(g.dtype).reshape(own)
            correction = (1.0 - 0.999**t).rsqrt().to(g.dtype).reshape(own)
            m, v = (mean, square) if everyone else (mean[index], square[index])
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            change = m / v.sqrt().mul_(correction).add_(1e-8)
            if everyone:
                p.sub_(change.mul_(rate))
            else:
                mean[index], square[index] = m, v
                p[index] -= change.mul_(rate)

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, as flat named tensors."""
        moments = {"mean": self.mean, "square": self.square}
        named = {f"{kind}.{name}": value for kind, values in moments.items() for name, value in values.items()}
        return {"steps": self.steps, **named}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])


def clip_gradient(gradient: Float[Tensor, "R *rest"], limit: float) -> Float[Tensor, "R *rest"]:
    """Scale each network's part of one tensor's gradient to at most the 2-norm `limit`."""
    norm = torch.linalg.vector_norm(gradient.flatten(1), dim=-1) if gradient.ndim > 1 else gradient.abs()
    if not bool(torch.isfinite(norm).all()):  # squares overflow long before the gradient itself does
        largest = gradient.abs().reshape(len(gradient), -1).amax(-1)
        shrunk = gradient.reshape(len(gradient), -1) / largest[:, None]
        norm = torch.where(torch.isfinite(norm), norm, largest * torch.linalg.vector_norm(shrunk, dim=-1))
    scale = torch.where(norm > limit, limit / norm, 1.0)
    return gradient * scale.reshape((-1,) + (1,) * (gradient.ndim - 1))
