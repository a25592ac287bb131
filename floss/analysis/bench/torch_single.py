"""The peer: one network, a plain PyTorch loop over time, gradients by autograd; as a user would write it.

No needless work: the drive of all steps is one product, the readout another, and the network's parameters are leaves of
one `torch.optim.Adam`. Per epoch it does what the ensemble does: fresh random data, loss, gradient, clipping, update.
"""

import torch
from torch import Tensor
from torch.nn import functional

Parameters = dict[str, Tensor]


def task_loss(p: Parameters, x: Tensor, d: int) -> Tensor:
    """Cross-entropy of temporal XOR; p without the network axis, x [T, B, 1]."""
    drive = x @ p["V"].T / x.shape[-1] + p["b"]
    h, states = p["h0"], []
    weights = p["W"].T
    for step_drive in drive:
        h = torch.tanh(h) @ weights + step_drive
        states.append(h)
    y = torch.stack(states) @ p["U"] + p["c"]
    steps = len(x)
    target = (x[d // 2 : steps - d // 2, :, 0] - x[: steps - d, :, 0]).abs()
    return functional.binary_cross_entropy_with_logits(y[d:], target)


def flossing_loss(p: Parameters, x: Tensor, q: Tensor, transient: int) -> Tensor:
    """Mean square of the exponents along one trajectory, or of several; orthonormalised at every step.

    x [T_f, 1] or [T_f, B, 1], q [N, k].
    """
    drive = x @ p["V"].T / x.shape[-1] + p["b"]
    h, logs = p["h0"][0].detach().expand(drive.shape[1:]), []
    for step_drive in drive:
        r = torch.tanh(h)
        q, upper = torch.linalg.qr(p["W"] @ ((1 - r * r)[..., None] * q))
        h = r @ p["W"].T + step_drive
        logs.append(upper.diagonal(dim1=-2, dim2=-1).abs().log())
    return torch.stack(logs[transient:]).mean(0).square().mean()


class TrainingLoop:
    """Training of one network."""

    def __init__(self, parameters: Parameters, steps: int, batch: int, d: int) -> None:
        """Leaves and an optimizer for a network's parameters."""
        self.parameters = {name: p.clone().requires_grad_() for name, p in parameters.items()}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=1e-3)
        self.shape, self.d = (steps, batch, 1), d

    def epoch(self) -> None:
        """One epoch on fresh data."""
        weights = self.parameters["W"]
        x = torch.randint(0, 2, self.shape, device=weights.device).to(weights.dtype)
        self.optimizer.zero_grad()
        task_loss(self.parameters, x, self.d).backward()
        for p in self.parameters.values():
            torch.nn.utils.clip_grad_norm_(p, 0.03)
        self.optimizer.step()


class FlossingLoop:
    """Flossing of one network."""

    loss = staticmethod(flossing_loss)

    def __init__(self, parameters: Parameters, q0: Tensor, steps: int, transient: int, batch: int = 1) -> None:
        """Leaves and an optimizer for the flossed parameters; one trajectory, or a batch of several."""
        self.parameters = {name: parameters[name].clone().requires_grad_() for name in ("W", "V", "b")}
        self.fixed = {"h0": parameters["h0"]}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=1e-3)
        self.q0, self.transient = q0, transient
        self.shape = (steps, 1) if batch == 1 else (steps, batch, 1)

    def epoch(self) -> None:
        """One flossing epoch on fresh data."""
        x = torch.randint(0, 2, self.shape, device=self.q0.device).to(self.q0.dtype)
        self.optimizer.zero_grad()
        self.loss({**self.parameters, **self.fixed}, x, self.q0, self.transient).backward()
        self.optimizer.step()
