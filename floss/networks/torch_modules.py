"""The one-step maps of torch's recurrent modules, so that a user's own network can be analysed and flossed in place."""

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

_ACTIVATIONS: dict[str, type[Activation]] = {"tanh": Tanh, "relu": Relu}


@dataclass(frozen=True)
class ModuleStep(SizedStep):
    """The map of a torch module, reading its parameters anew at every call, so that it follows an optimizer.

    States are [..., n]; those of an LSTM are h and c, one after the other. Inputs are [..., S]; without an input the
    module sees zeros. `advance(h, q, x)` gives D(h) q in closed form.
    """

    module: nn.Module

    @property
    def state_size(self) -> int:
        return _closed_form(self.module).state_size

    @property
    def input_size(self) -> int:
        return _closed_form(self.module).input_size

    @property
    def name(self) -> str:
        return type(self.module).__name__

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        return _closed_form(self.module)(h, x)

    def advance(self, h: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _closed_form(self.module).advance(h, q, x)


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

    def advance(self, r: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        after = self(r, x)
        return after, self.activation.slope(after)[..., None] * (align(self.W, r, 2) @ q)


def step_from_module(module: nn.Module) -> tuple[ModuleStep, int]:
    """The one-step map of a recurrent torch module, and the size n of its state.

    The map has exactly the module's dynamics and its own parameters: exponents computed from it are differentiable
    with respect to them, and a step of any optimizer of the module changes the map.

        step, n = floss.step_from_module(torch.nn.LSTM(3, 64))      # n = 128: h and c
        lam = floss.lyapunov_spectrum(step, torch.zeros(n), inputs, k=32)

    Args:
        module: `torch.nn.RNN` (tanh or relu), `LSTM` (also with `proj_size`) or `GRU` of one layer and one direction,
            or one of `RNNCell`, `LSTMCell`, `GRUCell`; float32 or float64.

    Returns:
        The map `step(h, x) -> h` with h [..., n] and x [..., S], and n: N, or 2 N for an LSTM (h and c, one after the
        other; with `proj_size` P it is P + N).

    Raises:
        ValueError: another module, more than one layer, two directions, or weights that are not finite.
    """
    known = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
    if not isinstance(module, known):
        names = ", ".join(kind.__name__ for kind in known)
        raise ValueError(f"step_from_module: got a {type(module).__name__}; it takes torch's {names}")
    if isinstance(module, nn.RNNBase):
        if module.num_layers != 1:
            raise ValueError(f"step_from_module: num_layers={module.num_layers} must be 1; give the layers one by one")
        if module.bidirectional:
            raise ValueError("step_from_module: bidirectional=True must be False; a spectrum has one direction")
    for name, p in module.named_parameters():
        if not torch.isfinite(p).all():
            raise ValueError(f"step_from_module: the parameter {name} has a value that is not finite")
    step = ModuleStep(module)
    return step, step.state_size


def _closed_form(module: nn.Module) -> ElmanStep | LSTMStep | GRUStep:
    """The map with the module's present parameters, whether shared, pruned or parametrized."""
    suffix = "_l0" if isinstance(module, nn.RNNBase) else ""

    def of(name: str) -> Tensor:
        return getattr(module, name + suffix)

    V, W = of("weight_ih"), of("weight_hh")
    b_ih, b_hh = (of("bias_ih"), of("bias_hh")) if module.bias else (W.new_zeros(W.shape[0]),) * 2
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return LSTMStep(W, V, b_ih + b_hh, of("weight_hr") if getattr(module, "proj_size", 0) else None)
    if isinstance(module, nn.GRU | nn.GRUCell):
        n = W.shape[-1]
        return GRUStep(W, V, torch.cat((b_ih[: 2 * n] + b_hh[: 2 * n], b_ih[2 * n :])), b_hh[2 * n :])
    return ElmanStep(W, V, b_ih + b_hh, _ACTIVATIONS[str(module.nonlinearity)]())
