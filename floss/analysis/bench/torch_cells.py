"""The peers of gated cells: one network of torch's own module, of the LRU a plain loop; as a user would write it.

`torch.nn.LSTM` and `torch.nn.GRU` are fused operations with a readout behind; torch has no complex diagonal
recurrence, which is one multiply-add at each step here, and everything else is a product of all steps. They start from
the parameters of `floss`, so that their gradients can be compared, and train all of them.
"""

from typing import Any

import torch
from torch import Tensor, nn

Parameters = dict[str, Tensor]


class Recurrent(nn.Module):
    """A recurrent module of torch with a linear readout, and trained initial states."""

    def __init__(self, arch: str, p: Parameters) -> None:
        """The network with the parameters of `arch=lstm` or `arch=gru`, without the network axis."""
        super().__init__()
        (gates, S), N = p["V"].shape, p["U"].shape[0]
        where: Any = {"device": p["U"].device, "dtype": p["U"].dtype}
        self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[arch](S, N, **where)
        self.readout = nn.Linear(N, 1, **where)
        self.h0 = nn.Parameter(p["h0"].clone())
        second = torch.zeros_like(p["b"])  # torch has two biases of each gate
        if "b_h" in p:
            second[gates - N :] = p["b_h"]
        own = self.recurrent.weight_hh_l0, self.recurrent.weight_ih_l0, self.recurrent.bias_ih_l0
        own = (*own, self.recurrent.bias_hh_l0, self.readout.weight, self.readout.bias)
        values = p["W"], p["V"], p["b"], second, p["U"][None], p["c"][None]
        for parameter, value in zip(own, values, strict=True):
            parameter.data.copy_(value)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for inputs [T, B, S]."""
        N = self.recurrent.hidden_size
        first = [part.contiguous() for part in self.h0[None].split(N, -1)]
        return self.readout(self.recurrent(x, first[0] if len(first) == 1 else tuple(first))[0])[..., 0]

    def gradients(self) -> Parameters:
        """Of the parameters by our names."""
        of, N = self.recurrent, self.recurrent.hidden_size
        found = {"W": of.weight_hh_l0, "V": of.weight_ih_l0, "b": of.bias_ih_l0}
        found |= {"U": self.readout.weight, "c": self.readout.bias, "h0": self.h0}
        gradients = {name: _gradient(parameter) for name, parameter in found.items()}
        gradients |= {"U": gradients["U"][0], "c": gradients["c"][0]}
        if isinstance(of, nn.GRU):
            gradients["b_h"] = _gradient(of.bias_hh_l0)[-N:]
        return gradients


class Diagonal(nn.Module):
    """A linear recurrent unit as a loop over time."""

    def __init__(self, p: Parameters) -> None:
        """The network with the parameters of `arch=lru`, without the network axis; B and C are complex numbers."""
        super().__init__()
        complex_ones = {name: torch.complex(*p[name]) for name in ("B", "C")}
        complex_ones["h0"] = torch.complex(*p["h0"].chunk(2, -1))
        self.own = nn.ParameterDict({name: value.clone() for name, value in (p | complex_ones).items()})

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for inputs [T, B, S]."""
        p = self.own
        eigenvalues = torch.exp(torch.complex(-p["nu"].exp(), p["theta"].exp()))
        state, states = p["h0"], []
        for drive in p["gamma"].exp() * (x.to(state.dtype) @ p["B"].mT):
            state = torch.addcmul(drive, eigenvalues, state)
            states.append(state)
        seen = (torch.stack(states) @ p["C"].mT).real + x @ p["D"].mT + p["b"]
        return seen.tanh() @ p["U"] + p["c"]

    def gradients(self) -> Parameters:
        """Of the parameters by our names."""
        found = {name: _gradient(parameter) for name, parameter in self.own.items()}
        found |= {name: torch.stack((found[name].real, found[name].imag)) for name in ("B", "C")}
        return found | {"h0": torch.cat((found["h0"].real, found["h0"].imag), -1)}


def _gradient(parameter: Any) -> Tensor:
    assert parameter.grad is not None, "backward comes first"
    return parameter.grad


def module_of(arch: str, p: Parameters) -> Recurrent | Diagonal:
    """One network as a module; p without the network axis."""
    return Diagonal(p) if arch == "lru" else Recurrent(arch, p)


def task_loss(module: nn.Module, x: Tensor, d: int) -> Tensor:
    """Cross-entropy of temporal XOR; x [T, B, 1]."""
    steps = len(x)
    target = (x[d // 2 : steps - d // 2, :, 0] - x[: steps - d, :, 0]).abs()
    return nn.functional.binary_cross_entropy_with_logits(module(x)[d:], target)


class ModuleTraining:
    """Training of one network."""

    def __init__(self, arch: str, parameters: Parameters, steps: int, batch: int, d: int) -> None:
        """A module with the network's parameters, and its optimizer."""
        self.module = module_of(arch, parameters)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        self.shape, self.d = (steps, batch, 1), d
        self.like = parameters["U"]

    def epoch(self) -> None:
        """One epoch on fresh data."""
        x = torch.randint(0, 2, self.shape, device=self.like.device).to(self.like.dtype)
        self.optimizer.zero_grad()
        task_loss(self.module, x, self.d).backward()
        for parameter in self.module.parameters():
            nn.utils.clip_grad_norm_(parameter, 0.03)
        self.optimizer.step()
