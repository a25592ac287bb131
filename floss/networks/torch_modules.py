"""The one-step maps of torch's recurrent modules, so that a user's own network can be analysed and flossed in place."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from floss.lyapunov import arguments
from floss.lyapunov.recurrent_module import layers_of_wrapping
from floss.lyapunov.step import SizedStep, advance
from floss.networks.torch_forward import (
    KINDS,
    compute_weights,
    hooked,
    keeps_forward,
    own_step,
    parts_of,
    run,
    undisturbed,
)
from floss.networks.torch_layers import Layer, LayeredStep, layer_of

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""Sums of some thousand numbers in another order, relative to the largest number of the state."""
_SUFFIX = {"forward": "", "reverse": "_reverse"}


@dataclass(frozen=True)
class ModuleStep(SizedStep):
    """The map of a torch module, reading its parameters anew at every call, so that it follows an optimizer.

    States are [..., n]; those of an LSTM are h and c, one after the other. Inputs are [..., S]; without an input the
    module sees zeros. `advance(h, q, x)` gives D(h) q: in closed form where a call of the module is torch's own, by
    differentiation of the call where hooks or a subclass may change it.
    """

    module: nn.Module
    layer: int | None = None
    direction: Literal["forward", "reverse"] = "forward"

    @property
    def state_size(self) -> int:
        return sum(parts_of(self.module)) * (_layers(self.module) if self.layer is None else 1)

    @property
    def input_size(self) -> int:
        if self.layer:
            return parts_of(self.module)[0] * (1 + bool(self.module.bidirectional))
        return int(self.module.input_size)  # pyright: ignore[reportArgumentType]

    @property
    def name(self) -> str:
        return type(self.module).__name__

    def __call__(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        if keeps_forward(self.module):
            return self._closed_form()(h, x)
        return own_step(self.module, h, x)

    def advance(self, h: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if keeps_forward(self.module):
            return self._closed_form().advance(h, q, x)
        return advance(lambda state: own_step(self.module, state, x), h, q)

    def _closed_form(self) -> Layer | LayeredStep:
        module = self.module
        if module._forward_pre_hooks:
            compute_weights(module)
        if not isinstance(module, nn.RNNBase):
            return layer_of(module)
        if self.layer is None and module.num_layers > 1:
            layers = tuple(layer_of(module, f"_l{i}") for i in range(module.num_layers))
            return LayeredStep(layers, module.dropout if module.training else 0.0)
        return layer_of(module, f"_l{self.layer or 0}{_SUFFIX[self.direction]}")

    def check(self, caller: str) -> None:
        """Raise a ValueError where the module's own forward gives another next state, from random states and inputs."""
        module, name = self.module, self.name
        try:
            error = self._error()
        except Exception as problem:  # whatever the hooks and the class of a user do
            line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
            raise ValueError(f"{caller}: one step of {name} cannot be computed: {line}") from problem
        if not error <= _TOLERANCE[next(module.parameters()).dtype]:
            what = f"the forward of {name} does not go step by step as its state does: it is off by {error:.2g}"
            raise ValueError(f"{caller}: {what}; give a function step(h, x) that calls it")

    def _error(self) -> float:
        """Largest difference between this map and the module's forward, relative to the largest number of a state."""
        module, B = self.module, 2
        own = not keeps_forward(module)
        T = 2 if own else 1  # what a hook does to a state once in a call must be seen at every step
        weight = next(module.parameters())
        numbers = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=numbers, dtype=torch.float64).to(weight)

        directions = 2 if getattr(module, "bidirectional", False) else 1
        states = random(_layers(module) * directions, B, sum(parts_of(module)))
        x = random(T, B, int(module.input_size))  # pyright: ignore[reportArgumentType]
        with undisturbed(module):
            wanted = run(module, states, x)
        if self.layer is None and directions == 1:
            h, wanted = states.transpose(0, 1).flatten(1), wanted.transpose(0, 1).flatten(1)
        else:
            i = self.layer or 0
            if i:
                below = wanted[directions * (i - 1) : directions * i, :, : parts_of(module)[0]]
                x = torch.cat(tuple(below), -1)[None]
            place = directions * i + (self.direction == "reverse")
            h, wanted = states[place], wanted[place]
        with undisturbed(module):
            for u in x:
                h, _ = self.advance(h, torch.zeros_like(h)[..., None], u)
        return float((h - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))


def step_from_module(
    module: nn.Module, *, layer: int | None = None, direction: Literal["forward", "reverse"] = "forward"
) -> tuple[ModuleStep, int]:
    """The one-step map of a recurrent torch module, and the size n of its state.

    The map has exactly the module's dynamics and its own parameters: exponents computed from it are differentiable
    with respect to them, and a step of any optimizer of the module changes the map. Weights that torch computes from
    parameters (pruning, weight and spectral norm, parametrizations) are computed at every step. Where hooks or a
    subclass change what a call does, the map is the call itself. One step is compared with the module's own forward.

        step, n = floss.step_from_module(torch.nn.LSTM(3, 64))      # n = 128: h and c
        lam = floss.lyapunov_spectrum(step, torch.zeros(n), inputs, k=32)

    The map of a stack is that of all layers together, each driven by the next state of the one below; in training mode
    with one mask of its dropout for each step. A layer alone is driven by inputs of one's own.

    Args:
        module: `torch.nn.RNN` (tanh or relu), `LSTM` (also with `proj_size`), `GRU`, or one of `RNNCell`, `LSTMCell`,
            `GRUCell`; float32 or float64; also inside `torch.compile` or `DataParallel`.
        layer: which layer of a stack, from 0; default all of them together.
        direction: `forward`, or `reverse` for the weights of a bidirectional layer that read the inputs from their end:
            its map is to be given the inputs in that order.

    Returns:
        The map `step(h, x) -> h` with h [..., n] and x [..., S], and n: N, or 2 N for an LSTM (h and c, one after the
        other; with `proj_size` P it is P + N); for L layers L times as many, one layer after the other.

    Raises:
        ValueError: another module, a layer or direction that it does not have, a bidirectional stack without `layer`,
            weights that are not finite, or a forward whose result is not that of its steps.
    """
    *wrappers, inner = layers_of_wrapping(module)
    _check_module(wrappers, inner)
    last = _layers(inner) - 1
    if layer is not None:
        layer = arguments.whole_number("step_from_module", "layer", layer, 0, last, allowed=f"None or from 0 to {last}")
    _check_place(inner, layer, direction)
    for name, p in inner.named_parameters():
        if p.dtype not in _TOLERANCE or p.is_meta:
            got = "on the meta device" if p.is_meta else p.dtype
            raise ValueError(f"step_from_module: the parameter {name} is {got}; it must be float32 or float64")
        if not torch.isfinite(p).all():
            raise ValueError(f"step_from_module: the parameter {name} has a value that is not finite")
    step = ModuleStep(inner, layer, direction)
    step.check("step_from_module")
    return step, step.state_size


def _layers(module: nn.Module) -> int:
    return module.num_layers if isinstance(module, nn.RNNBase) else 1


def _check_module(wrappers: list[Any], inner: Any) -> None:
    names = ", ".join(kind.__name__ for kind in KINDS)
    if not isinstance(inner, KINDS):
        kind = type(inner)
        name = f"{kind.__module__}.{kind.__name__}" if kind.__name__ in names.split(", ") else kind.__name__
        raise ValueError(f"step_from_module: got a {name}; it takes torch's {names}")
    for wrapper in wrappers:
        if hooked(wrapper):
            kind = type(wrapper).__name__
            raise ValueError(f"step_from_module: the {kind} around the {type(inner).__name__} has hooks of its own")


def _check_place(module: nn.Module, layer: int | None, direction: Any) -> None:
    layers, bidirectional = _layers(module), bool(getattr(module, "bidirectional", False))
    arguments.choice("step_from_module", "direction", direction, tuple(_SUFFIX))
    if direction == "reverse" and not bidirectional:
        raise ValueError("step_from_module: direction='reverse' needs a module with bidirectional=True")
    if layer is None and layers > 1 and bidirectional:
        raise ValueError(
            f"step_from_module: layer=None must be from 0 to {layers - 1} for bidirectional=True; "
            "layers whose inputs come from both ends have no common step"
        )
    if (bidirectional or (layers > 1 and layer is not None)) and not keeps_forward(module):
        raise ValueError(
            f"step_from_module: layer={layer}, direction={direction!r} cannot be told apart in a "
            f"{type(module).__name__} with hooks or a forward of its own"
        )
