"""One-step maps, and what a map may bring with it: its derivative, its sizes, its exponents in closed form.

Any callable is a step. What else it offers is asked for by type: a class inherits `TangentStep`, `SizedStep` or
`ClosedFormStep`, or is registered with one of them (`ClosedFormStep.register(MyStep)`). An attribute that happens to be
called `exponents` or `state_size` means nothing.

One rule goes by name, because it is public: a class with a method `advance(h, q, *x)` is a `TangentStep` without
inheriting from it, as a class with `__iter__` is `Iterable`. It has to be a method of the class; an attribute of the
object, such as a submodule of that name, does not count.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_transformed

Step = Callable[..., Tensor]
"""A one-step map on the last axis: `step(h, x) -> h`, or `step(h) -> h` where there are no inputs."""


class TangentStep(ABC):
    """A step that brings the derivative along the trajectory."""

    @abstractmethod
    def __call__(self, h: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The next state, `step(h, *x)`."""

    @abstractmethod
    def advance(self, h: Tensor, q: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q for tangent vectors q [..., n, k]: `step.advance(h, q, *x)`."""

    @classmethod
    def __subclasshook__(cls, subclass: type) -> Any:
        """Any class with a method `advance`, of `TangentStep` itself; its subclasses are a matter of inheritance."""
        if cls is TangentStep and callable(getattr(subclass, "advance", None)):
            return True
        return NotImplemented


class SizedStep(TangentStep):
    """A step that knows the sizes of its state and of its input, so that arguments are checked without trying it."""

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Number of state variables n."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Number of inputs S."""

    @property
    def name(self) -> str:
        """What messages call the map."""
        return type(self).__name__


class ClosedFormStep(ABC):
    """A step whose exponents need no QR chain, or a faster one than the bare loop."""

    @abstractmethod
    def __call__(self, h: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The next state, `step(h, *x)`."""

    @abstractmethod
    def exponents(self, chain: Chain) -> Tensor | None:
        """Exponents [..., k] of a chain in the order of its columns, never raising; None: only the bare loop has them.

        Directions lost to rank deficiency have -inf, a trajectory that is not finite has NaN.
        """


def advance(
    step: Step, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
    """The next state, and D(h) q: by a `TangentStep` itself, of any other map by forward-mode differentiation."""
    if isinstance(step, TangentStep):
        return step.advance(h, q, *x)

    def push(vector: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(lambda state: step(state, *x), (h,), (vector,))  # pyright: ignore[reportReturnType]

    if is_transformed(h):  # a state that an outer `vmap` has batched cannot leave an inner one by an axis of None
        return step(h, *x), torch.func.vmap(lambda vector: push(vector)[1], in_dims=-1, out_dims=-1)(q)
    return torch.func.vmap(push, in_dims=-1, out_dims=(None, -1))(q)  # pyright: ignore[reportArgumentType]


def check_sizes(caller: str, step: Step, h0: Tensor, inputs: Tensor | None) -> None:
    """Raise a ValueError where the map cannot take such states or inputs, or does not return such a state.

    A `SizedStep` is asked for its sizes, any map is tried once.
    """
    x = () if inputs is None else (inputs[0],)
    if isinstance(step, SizedStep):
        _check_known_sizes(caller, step, h0, inputs)
    arguments = " and ".join(f"{name} {list(value.shape)}" for name, value in zip("hx", (h0, *x), strict=False))
    try:
        with torch.no_grad():
            no_tangents = h0.new_zeros(*h0.shape, 1)
            after = step.advance(h0, no_tangents, *x)[0] if isinstance(step, TangentStep) else step(h0, *x)
    except (RuntimeError, TypeError, IndexError) as error:
        raise ValueError(f"{caller}: the map cannot take {arguments}: {str(error).splitlines()[0]}") from error
    if not isinstance(after, Tensor) or after.shape != h0.shape:
        got = f"shape {list(after.shape)}" if isinstance(after, Tensor) else f"a {type(after).__name__}"
        raise ValueError(f"{caller}: the map must return a state of the shape of h: for {arguments} it gave {got}")


def _check_known_sizes(caller: str, step: SizedStep, h0: Tensor, inputs: Tensor | None) -> None:
    n = h0.shape[-1] if h0.ndim else 0
    if step.state_size != n:
        raise ValueError(f"{caller}: h0 has {n} numbers per state, but the state of {step.name} has {step.state_size}")
    S = step.input_size
    if inputs is not None and (inputs.ndim < 2 or inputs.shape[-1] != S):
        raise ValueError(f"{caller}: inputs must have shape [T, ..., {S}] for {step.name}, got {list(inputs.shape)}")


def count_steps(caller: str, inputs: Tensor | None, steps: int | None) -> int:
    """Number of steps of a run, from its inputs or from `steps`; ValueError where they do not fit."""
    if inputs is None and steps is None:
        raise ValueError(f"{caller}: an autonomous map needs steps=")
    length = None if inputs is None else inputs.shape[0]
    if length is not None and steps is not None and steps != length:
        raise ValueError(f"{caller}: steps={steps} but there are {length} inputs")
    total = length if steps is None else steps
    if total is None or total < 1:
        raise ValueError(f"{caller}: steps={total} must be at least 1")
    return total
