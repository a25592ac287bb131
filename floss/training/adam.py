"""Adam for ensembles (Kingma & Ba 2015): every network has its own step count, and networks can sit a step out."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

LEAST = 1e-7
"""Where a learning rate that falls along a cosine ends."""


class Adam:
    """Adam over dictionaries of stacked parameters [R, ...]; β = 0.9, 0.999, ε = 1e-8, no weight decay.

    A network that is not active keeps its parameters, moments and step count bit for bit, whatever its gradient holds.
    `torch.optim` cannot do that: its step count and its update are shared by the whole tensor. Nothing here looks at
    a number on the way, so that a step can be captured in a CUDA graph.
    """

    def __init__(
        self, parameters: dict[str, Tensor], lr: float | Float[Tensor, "R"], *, cosine: int | None = None
    ) -> None:
        """Zero moments for `parameters`, which are not kept.

        Args:
            parameters: stacked tensors.
            lr: learning rate, one for all networks or one for each, in float64.
            cosine: steps over which it falls to `LEAST` along half a cosine; None: it stays.
        """
        first = next(iter(parameters.values()))
        self.lr, self.cosine = lr, cosine
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
        everyone = len(index) == len(self.steps)  # then the rows are in place, in order
        rows = None if everyone else index
        before = self.steps if everyone else self.steps[index]
        t = before.double() + 1.0
        _write(self.steps, rows, before + 1, before, active)
        for name, g in gradient.items():
            old = [each[name] if everyone else each[name][index] for each in (parameters, self.mean, self.square)]
            p, mean, square = old
            m = mean.lerp(g, 0.1)
            v = (square * 0.999).addcmul_(g, g, value=0.001)
            _write(parameters[name], rows, p - self._change(m, v, t, rows), p, active)
            _write(self.mean[name], rows, m, mean, active)
            _write(self.square[name], rows, v, square, active)

    def last_step(self, name: str) -> Float[Tensor, "R *rest"]:
        """What the last step of each network has subtracted from one of its parameters, lr m̂ / (√v̂ + ε).

        Computed from the moments, whichever engine took the step. In the dtype of the parameters, so it is far more
        precise than a difference of parameters; NaN for a network that has taken no step.
        """
        return self._change(self.mean[name], self.square[name], self.steps.double())

    def effective_rate(self, name: str) -> Float[Tensor, "R *rest"]:
        """What the next step would subtract if the next gradient were all ones: the rate that Adam gives each entry.

        lr m̂ / (√v̂ + ε) after m ← 0.9 m + 0.1, v ← 0.999 v + 0.001; √10 lr where gradients have been negligible, and
        negative where the momentum is below -1/9. Source: the authors' code of Zucchet & Orvieto 2024, Figs 4, 9, 11.
        """
        m, v = 0.9 * self.mean[name] + 0.1, 0.999 * self.square[name] + 0.001
        return self._change(m, v, self.steps.double() + 1.0)

    def rate(self, t: Float[Tensor, "m"], rows: Tensor | None = None) -> float | Float[Tensor, "m"]:
        """The learning rate of step number t of each network, counted from 1."""
        lr = self.lr if rows is None or not isinstance(self.lr, Tensor) else self.lr[rows]
        if self.cosine is None:
            return lr
        return LEAST + (lr - LEAST) * 0.5 * (1.0 + torch.cos(torch.pi * (t - 1.0) / self.cosine))

    def _change(self, mean: Tensor, square: Tensor, t: Float[Tensor, "m"], rows: Tensor | None = None) -> Tensor:
        """Lr m̂ / (√v̂ + ε) of step number t of each network, with m̂ = m / (1 - 0.9ᵗ) and v̂ = v / (1 - 0.999ᵗ)."""
        per_network = (-1,) + (1,) * (mean.ndim - 1)
        rate = (self.rate(t, rows) / (1.0 - 0.9**t)).to(mean.dtype).reshape(per_network)
        correction = (1.0 - 0.999**t).rsqrt().to(mean.dtype).reshape(per_network)
        return (mean / square.sqrt().mul_(correction).add_(1e-8)).mul_(rate)

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, as flat named tensors."""
        moments = {"mean": self.mean, "square": self.square}
        named = {f"{kind}.{name}": value for kind, values in moments.items() for name, value in values.items()}
        return {"steps": self.steps, **named}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])


def _write(whole: Tensor, rows: Tensor | None, new: Tensor, old: Tensor, active: Tensor) -> None:
    """Put the new values of active networks, and the old ones of the others, into some rows or the whole."""
    kept = torch.where(active.reshape((-1,) + (1,) * (old.ndim - 1)), new, old)
    if rows is None:
        whole.copy_(kept)
    else:
        whole.index_copy_(0, rows, kept)


def clip_gradient(gradient: Float[Tensor, "R *rest"], limit: float) -> Float[Tensor, "R *rest"]:
    """Scale each network's part of one tensor's gradient to at most the 2-norm `limit`."""
    rows = gradient.reshape(len(gradient), -1)
    norm = torch.linalg.vector_norm(rows, dim=-1) if gradient.ndim > 1 else gradient.abs()
    # Squares overflow long before the gradient itself does.
    largest = rows.abs().amax(-1)
    shrunk = torch.linalg.vector_norm(rows / largest[:, None], dim=-1)
    norm = torch.where(torch.isfinite(norm), norm, largest * shrunk)
    scale = torch.where(norm > limit, limit / norm, 1.0)
    return gradient * scale.reshape((-1,) + (1,) * (gradient.ndim - 1))
