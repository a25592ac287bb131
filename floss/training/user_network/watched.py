"""A user's network as what is flossed and watched: its one-step maps, and the inputs that last went through it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from floss.lyapunov import arguments
from floss.lyapunov.function_step import FunctionStep
from floss.lyapunov.recurrent_module import RECURRENT, layers_of_wrapping
from floss.lyapunov.step import Step
from floss.networks.torch_forward import Watching, unwatched
from floss.networks.torch_modules import ModuleStep, step_from_module

ALLOWED = "a torch module with one recurrent layer in it, or the pair (step, n) of a map and its state size"


@dataclass(frozen=True)
class DirectedMap:
    """One map of a network, and whether it reads the inputs from their end."""

    step: Step
    n: int
    reverse: bool = False

    def drive(self, inputs: Tensor | None) -> Tensor | None:
        """Inputs [T, ..., S] in the order in which the map takes them."""
        return inputs.flip(0) if self.reverse and inputs is not None else inputs


class LastInputs(Watching):
    """Remembers what went last into a recurrent module; changes nothing of it."""

    def __init__(self, *, always: bool = False) -> None:
        """Nothing has been seen. `always`: also of calls that are not the user's."""
        self.always = always
        self.seen: list[Any] = []
        self.restored: list[Tensor] = []
        """Sequences from a state that was saved, until others are seen."""
        self.ended = False
        """Whether the next step of a cell, or of a layer that is called like one, begins another sequence."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.seen or self.restored)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Called before every forward of the module."""
        x = args[0] if args else kwargs.get("input")
        if (self.asleep and not self.always) or x is None:
            return
        if isinstance(x, PackedSequence):
            self.restored, self.seen = [], [x]
            return
        if not (x.numel() or self.always):  # an empty batch says nothing
            return
        goes_on = isinstance(module, nn.RNNCellBase) or _is_one_step(module, x, args, kwargs)
        if not goes_on or self.ended or (self.seen and self.seen[-1].shape != x.shape):
            self.seen = []
        self.restored, self.ended = [], False
        with torch.inference_mode(False):
            self.seen.append(x.clone() if x.is_inference() else x.detach())


def _is_one_step(module: nn.Module, x: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a layer is called as a cell is: for one step, from a state that the caller keeps."""
    state = args[1] if len(args) > 1 else kwargs.get("hx")
    return state is not None and x.shape[1 if x.ndim == 3 and module.batch_first else 0] == 1


class _NewSequence(Watching):
    """Before a forward of the module that calls a layer or a cell step by step: another sequence begins."""

    def __init__(self, last: LastInputs) -> None:
        self.last = last

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:  # noqa: ARG002
        if not self.asleep:
            self.last.ended = True


@dataclass(frozen=True)
class WatchedNetwork:
    """The maps of a network; the module around them, where there is one, and its recurrent part."""

    maps: tuple[DirectedMap, ...]
    whole: nn.Module | None = None
    part: nn.Module | None = None
    layer: int | None = None
    """The one layer of the recurrent part that the map is of; its inputs are then not those of the part."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self.whole if self.whole is not None else self.maps[0].step).__name__

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters that the maps depend on, as far as they are known."""
        module = self.part if self.part is not None else self.whole
        return [] if module is None else list(module.parameters())

    def like(self) -> Tensor:
        """A tensor of the network's dtype and device."""
        floating = (p for p in self.tensors if p.dtype in (torch.float32, torch.float64))
        return next(floating, torch.zeros(()))

    @property
    def feeds_itself(self) -> bool:
        """Whether inputs of the recurrent part can be seen in the forward of the whole."""
        return self.part is not None and not self.layer

    def remember(self) -> LastInputs:
        """From now on the inputs of the recurrent part are remembered."""
        last = LastInputs()
        assert self.part is not None
        self.part.register_forward_pre_hook(last, with_kwargs=True)
        if self.whole is not None and self.whole is not self.part:
            self.whole.register_forward_pre_hook(_NewSequence(last), with_kwargs=True)
        return last

    def remembered(self, last: LastInputs) -> list[Tensor]:
        """The last sequences [T, S]; none where nothing has been seen."""
        assert self.part is not None
        return last.restored or (sequences_of(self.part, last.seen) if last.seen else [])

    def sequences(self, caller: str, batch: Any) -> list[Tensor]:
        """The inputs of the maps [T, S] for each sequence of a batch that the whole network takes, at least one.

        Those of a map that has no module are [T, S] or [T, B, S]. A module's own input is what the module takes
        itself, also packed sequences; where the recurrent part lies inside a module, the module is called.
        """
        found = self._sequences(caller, batch)
        if not found:
            raise ValueError(f"{caller}: the batch has no sequence, got {arguments.shown(batch)}")
        return found

    def _sequences(self, caller: str, batch: Any) -> list[Tensor]:
        if self.part is None or self.layer:
            return _unbound(arguments.tensor_of_steps(caller, "inputs", batch))
        if layers_of_wrapping(self.whole)[-1] is self.part:
            if isinstance(batch, PackedSequence):
                return sequences_of(self.part, [batch])
            batch = arguments.tensor_of_steps(caller, "inputs", batch)
            return sequences_of(self.part, [batch]) if isinstance(self.part, nn.RNNBase) else _unbound(batch)
        last = LastInputs(always=True)
        handles = [self.part.register_forward_pre_hook(last, with_kwargs=True)]
        assert self.whole is not None
        try:
            with torch.no_grad(), unwatched():
                if isinstance(batch, Mapping):
                    self.whole(**batch)
                elif isinstance(batch, tuple | list):
                    self.whole(*batch)
                else:
                    self.whole(batch)
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{caller}: {self.name} cannot take such a batch: {line}") from error
        finally:
            for handle in handles:
                handle.remove()
        if not last.seen:
            raise ValueError(f"{caller}: the forward of {self.name} does not call its {type(self.part).__name__}")
        return sequences_of(self.part, last.seen)


def sequences_of(module: nn.Module, seen: list[Any]) -> list[Tensor]:
    """Each sequence [T, S] that went into a recurrent module: of a batch, packed or not, or of steps of a cell."""
    if not isinstance(module, nn.RNNBase):
        return _unbound(torch.stack(seen))
    if isinstance(seen[0], PackedSequence):
        padded, lengths = pad_packed_sequence(seen[0], batch_first=True)
        return [one[: int(length)].detach() for one, length in zip(padded, lengths, strict=True)]
    x = torch.cat([one.transpose(0, 1) if one.ndim == 3 and module.batch_first else one for one in seen])
    return _unbound(x.detach())


def _unbound(x: Tensor) -> list[Tensor]:
    """Sequences [T, S] of [T, S] or [T, ..., S]."""
    return [x] if x.ndim < 3 else list(x.flatten(1, -2).unbind(1))


def watched(caller: str, network: Any) -> WatchedNetwork:
    """What a user gives as a network, with its maps.

    Raises:
        ValueError: neither a module with one recurrent layer of torch in it, nor a map with its state size.
    """
    if isinstance(network, tuple) and len(network) == 2 and callable(network[0]):
        step, n = network
        if isinstance(step, ModuleStep):
            return _of_step(step)
        n = arguments.whole_number(caller, "the state size n", n, 1)
        return WatchedNetwork((DirectedMap(step, n),), _module_in(step))
    if isinstance(network, ModuleStep):
        return _of_step(network)
    if isinstance(network, FunctionStep):
        return WatchedNetwork((DirectedMap(network, network.n),), _module_in(network))
    if not isinstance(network, nn.Module):
        raise ValueError(f"{caller}: got {arguments.shown(network)}; it takes {ALLOWED}")
    return _of_module(caller, network)


def _of_module(caller: str, network: nn.Module) -> WatchedNetwork:
    inner = layers_of_wrapping(network)[-1]
    parts = [inner] if isinstance(inner, RECURRENT) else [m for m in network.modules() if isinstance(m, RECURRENT)]
    if len(parts) != 1:
        names = ", ".join(name for name, m in network.named_modules() if isinstance(m, RECURRENT)) or "none"
        raise ValueError(f"{caller}: {type(network).__name__} must have one recurrent layer of torch, and has {names}")
    (part,) = parts
    if getattr(part, "bidirectional", False) and getattr(part, "num_layers", 1) == 1:
        steps = [step_from_module(part, direction=direction) for direction in ("forward", "reverse")]
        maps = tuple(DirectedMap(*pair, reverse=i == 1) for i, pair in enumerate(steps))
    else:
        maps = (DirectedMap(*step_from_module(part)),)
    return WatchedNetwork(maps, network, part)


def _of_step(step: ModuleStep) -> WatchedNetwork:
    one = DirectedMap(step, step.state_size, step.direction == "reverse")
    return WatchedNetwork((one,), step.module, step.module, step.layer)


def _module_in(step: Any) -> nn.Module | None:
    """The module that a map calls, where it is one, or a method of one."""
    function = step.function if isinstance(step, FunctionStep) else step
    owner = getattr(function, "__self__", function)
    return owner if isinstance(owner, nn.Module) else None


@contextmanager
def in_evaluation_mode(module: nn.Module | None) -> Iterator[None]:
    """Within it a module and all of its parts are in evaluation mode, after it in the mode in which each was."""
    modes = [] if module is None else [(part, part.training) for part in module.modules()]
    try:
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def takes_one_argument(function: Callable[..., Any]) -> bool:
    """Whether a function needs, or can take, one argument by its place."""
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    try:
        return any(p.kind in kinds for p in inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
