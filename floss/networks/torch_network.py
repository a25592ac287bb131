"""Trained networks as modules of torch: the same readouts from the same inputs, for whatever takes a module."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from floss.networks.cell import Cell, Parameters
from floss.networks.gru import GRU
from floss.networks.lstm import LSTM
from floss.networks.rate.network import RateNetwork

_NONLINEARITIES = {"vanilla": "tanh", "relu": "relu"}
"""Rate networks whose recurrence is that of `torch.nn.RNN`."""


class TrainedNetwork(nn.Module):
    """A trained network: readouts y [T, B] of inputs x [T, B, S], from its trained initial states.

    Slot b of a batch starts from initial state b mod B₀ of the B₀ that were trained, `h0` [B₀, n].
    """

    def __init__(self, parameters: Parameters) -> None:
        """The readout U, c, and the initial states of one network, whose parameters have no axis of networks."""
        super().__init__()
        self.h0 = nn.Parameter(parameters["h0"].clone())

    def initial_states(self, batch: int) -> Float[Tensor, "{batch} n"]:
        """Of each slot of a batch."""
        return self.h0[torch.arange(batch, device=self.h0.device) % len(self.h0)]


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.clone())


class RateTorchNetwork(TrainedNetwork):
    """h_t = W r_{t-1} + V x_t / S + b, r_t = φ(h_t), y_t = U·h_t + c; `recurrent` is a `torch.nn.RNN` of the rates."""

    def __init__(self, nonlinearity: str, parameters: Parameters) -> None:
        """`weight_hh_l0` is W, `weight_ih_l0` V / S, `bias_ih_l0` b."""
        super().__init__(parameters)
        W, V, b = (parameters[name] for name in ("W", "V", "b"))
        self.recurrent = nn.RNN(V.shape[-1], len(W), nonlinearity=nonlinearity, dtype=W.dtype)
        _fill(self.recurrent, W, V / V.shape[-1], b, torch.zeros_like(b))
        self.readout = _readout(parameters)
        self.rate = torch.tanh if nonlinearity == "tanh" else torch.relu

    def forward(self, x: Float[Tensor, "T B S"]) -> Float[Tensor, "T B"]:
        """Readouts of every step."""
        before = self.rate(self.initial_states(x.shape[1]))
        rates, _ = self.recurrent(x, before[None])
        V, W, b_ih, b_hh = self.recurrent._parameters.values()
        assert V is not None
        assert W is not None
        previous = torch.cat((before[None], rates[:-1]))
        h = functional.linear(previous, W, b_hh) + functional.linear(x, V, b_ih)
        return self.readout(h)[..., 0]


class GatedTorchNetwork(TrainedNetwork):
    """`recurrent` is a `torch.nn.LSTM` or `torch.nn.GRU`, `readout` a `torch.nn.Linear` of its outputs."""

    def __init__(self, cell: Cell, parameters: Parameters) -> None:
        """The gates are stacked as torch stacks them."""
        super().__init__(parameters)
        W, V, b = (parameters[name] for name in ("W", "V", "b"))
        kind = nn.LSTM if isinstance(cell, LSTM) else nn.GRU
        self.recurrent = kind(V.shape[-1], W.shape[-1], dtype=W.dtype)
        b_hh = torch.zeros_like(b)
        if "b_h" in parameters:
            b_hh[-W.shape[-1] :] = parameters["b_h"]
        _fill(self.recurrent, W, V, b, b_hh)
        self.readout = _readout(parameters)

    def forward(self, x: Float[Tensor, "T B S"]) -> Float[Tensor, "T B"]:
        """Readouts of every step."""
        h0 = self.initial_states(x.shape[1])[None]
        if isinstance(self.recurrent, nn.LSTM):
            outputs, _ = self.recurrent(x, tuple(part.contiguous() for part in h0.chunk(2, -1)))
        else:
            outputs, _ = self.recurrent(x, h0)
        return self.readout(outputs)[..., 0]


class CellTorchNetwork(TrainedNetwork):
    """A network of any other architecture: the cell of floss itself, with its parameters by the paper's letters."""

    def __init__(self, cell: Cell, parameters: Parameters) -> None:
        """`weights` has all parameters but the initial states."""
        super().__init__(parameters)
        self.cell = cell
        self.weights = nn.ParameterDict({name: _parameter(p) for name, p in parameters.items() if name != "h0"})

    def forward(self, x: Float[Tensor, "T B S"]) -> Float[Tensor, "T B"]:
        """Readouts of every step."""
        stacked = {name: p[None] for name, p in self.weights.items()}
        stacked["h0"] = self.initial_states(x.shape[1])[None]
        return self.cell.unroll(stacked, x[None])[0]


def torch_network(cell: Cell, parameters: Parameters) -> TrainedNetwork:
    """The module of one network.

    Args:
        cell: its architecture.
        parameters: by the paper's letters, without an axis of networks; they are copied.
    """
    if isinstance(cell, RateNetwork) and cell.name in _NONLINEARITIES:
        return RateTorchNetwork(_NONLINEARITIES[cell.name], parameters)
    if isinstance(cell, LSTM | GRU):
        return GatedTorchNetwork(cell, parameters)
    return CellTorchNetwork(cell, parameters)


def _readout(parameters: Parameters) -> nn.Linear:
    readout = nn.Linear(len(parameters["U"]), 1, dtype=parameters["U"].dtype)
    with torch.no_grad():
        readout.weight.copy_(parameters["U"][None])
        readout.bias.copy_(parameters["c"][None])
    return readout


@torch.no_grad()
def _fill(layer: nn.RNNBase, W: Tensor, V: Tensor, b_ih: Tensor, b_hh: Tensor) -> None:
    for name, value in (("weight_hh", W), ("weight_ih", V), ("bias_ih", b_ih), ("bias_hh", b_hh)):
        getattr(layer, f"{name}_l0").copy_(value)
