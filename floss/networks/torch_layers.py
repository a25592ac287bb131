"""The maps of torch's recurrent layers in closed form, from the weights that a module has at the moment."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from floss.lyapunov.step import SizedStep
from floss.networks.gru import GRUStep
from floss.networks.lstm import LSTMStep
from floss.networks.rate.activation import Activation
from floss.networks.relu import Relu
from floss.networks.stacked import align, apply
from floss.networks.vanilla import Tanh

_ACTIVATIONS: dict[str, type[Activation]] = {"tanh": Tanh, "relu": Relu, "RNN_TANH": Tanh, "RNN_RELU": Relu}


@dataclass(frozen=True)
class ElmanStep(SizedStep):
    """The map r → φ(W r + V x + b) of torch's RNN, whose state is the rate, with its Jacobian diag(φ') W."""

    W: Tensor
    V: Tensor
    b: Tensor
    activation: Activation

    @property
    def input_size(self) -> int:
        return self.V.shape[-1]

    @property
    def state_size(self) -> int:
        return self.W.shape[-1]

    def __call__(self, r: Tensor, x: Tensor | None = None) -> Tensor:
        drive = apply(self.W, r) + align(self.b, r)
        return self.activation.rate(drive if x is None else drive + apply(self.V, x))

    def advance(self, r: Tensor, q: Tensor, x: Tensor | None = None, dx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The next state, and D(r) q; with tangent vectors dx [..., S, k] of the input what they add to it as well."""
        after = self(r, x)
        pushed = align(self.W, r, 2) @ q
        if dx is not None:
            pushed = pushed + align(self.V, r, 2) @ dx
        return after, self.activation.slope(after)[..., None] * pushed


Layer = ElmanStep | LSTMStep | GRUStep


@dataclass(frozen=True)
class LayeredStep(SizedStep):
    """A stack of layers, each driven by the output of the one below: h_l' = f_l(h_l, m ∘ y_{l-1}'), y_{-1}' = x.

    The state is that of all layers, from the lowest, one after the other. y is the first part of a layer's state, and
    m a mask of dropout: numbers 0 or 1/(1 - p), drawn once for a state and its tangent vectors.
    """

    layers: tuple[Layer, ...]
    dropout: float

    @property
    def state_size(self) -> int:
        return sum(layer.state_size for layer in self.layers)

    @property
    def input_size(self) -> int:
        return self.layers[0].input_size

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        after = []
        for layer, state in zip(self.layers, self._split(h, -1), strict=True):
            if after:
                x = self._dropped(after[-1][..., : layer.input_size])[0]
            after.append(layer(state, x))
        return torch.cat(after, -1)

    def advance(self, h: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        after, pushed, dx = [], [], None
        for layer, state, tangent in zip(self.layers, self._split(h, -1), self._split(q, -2), strict=True):
            if after:
                x, mask = self._dropped(after[-1][..., : layer.input_size])
                dx = pushed[-1][..., : layer.input_size, :]
                dx = dx if mask is None else mask[..., None] * dx
            state, tangent = layer.advance(state, tangent, x, dx)
            after.append(state)
            pushed.append(tangent)
        return torch.cat(after, -1), torch.cat(pushed, -2)

    def _split(self, values: Tensor, dim: int) -> tuple[Tensor, ...]:
        return values.split([layer.state_size for layer in self.layers], dim)

    def _dropped(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.dropout:
            return y, None
        mask = nn.functional.dropout(torch.ones_like(y), self.dropout)
        return mask * y, mask


def layer_of(module: nn.Module, suffix: str = "") -> Layer:
    """The map of one layer and direction, with the present weights, whether shared or parametrized.

    Args:
        module: a recurrent module of torch.
        suffix: of the names of the layer's weights, such as `_l0_reverse`.
    """
    parameters = module._parameters

    def of(name: str) -> Tensor:
        parameter = parameters.get(name + suffix)  # what has been registered; anything else is computed when asked for
        return getattr(module, name + suffix) if parameter is None else parameter

    V, W = of("weight_ih"), of("weight_hh")
    # As torch does: layers go by `bias` and `mode`, cells by the biases themselves and `nonlinearity`.
    layers = isinstance(module, nn.RNNBase)
    biases = [None if layers and not module.bias else of(name) for name in ("bias_ih", "bias_hh")]
    b_ih, b_hh = (W.new_zeros(W.shape[0]) if b is None else b for b in biases)
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return LSTMStep(W, V, b_ih + b_hh, of("weight_hr") if getattr(module, "proj_size", 0) else None)
    if isinstance(module, nn.GRU | nn.GRUCell):
        n = W.shape[-1]
        return GRUStep(W, V, torch.cat((b_ih[: 2 * n] + b_hh[: 2 * n], b_ih[2 * n :])), b_hh[2 * n :])
    return ElmanStep(W, V, b_ih + b_hh, _ACTIVATIONS[str(module.mode if layers else module.nonlinearity)]())
