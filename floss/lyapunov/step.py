"""One-step maps, and what a map may bring with it: its derivative, its sizes, its exponents in closed form.

Any callable is a step. What else it offers is asked for by type: a class inherits `TangentStep`, `SizedStep` or
`ClosedFormStep`, or is registered with one of them (`ClosedFormStep.register(MyStep)`). An attribute that happens to be
called `exponents` or `state_size` means nothing.

One rule goes by name, because it is public: a class with a method `advance(h, q, *x)` is a `TangentStep` without
inheriting from it, as a class with `__iter__` is `Iterable`. It has to be a method of the class that takes two
arguments; an attribute of the object, such as a submodule of that name, does not count.

A map may write into its arguments: it is given copies of them (`next_state`, `advance`), so that it computes the same
as a map that does not. A method `advance` gets the tensors themselves, and is refused where it writes into them.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.recurrent_module import refuse_recurrent_module
from floss.lyapunov.second_order import by_forward_mode, by_reverse_mode, present_way

_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL_OR_KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD

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
        """Any class with a method `advance(h, q, ...)`, for `TangentStep` itself; the rest is inheritance."""
        if cls is TangentStep and _takes_state_and_tangents(getattr(subclass, "advance", None)):
            return True
        return NotImplemented


def _takes_state_and_tangents(method: Any) -> bool:
    if not inspect.isroutine(method):
        return False
    try:
        kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
    except ValueError:  # not written in Python
        return True
    several = inspect.Parameter.VAR_POSITIONAL in kinds
    return several or sum(kind in (_POSITIONAL_ONLY, _POSITIONAL_OR_KEYWORD) for kind in kinds) >= len(
        ("self", "h", "q")
    )


class SizedStep(TangentStep):
    """A step that knows the sizes of its state and of its input, so that arguments are checked without trying it.

    It promises to write into no argument.
    """

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

    def check(self, caller: str) -> None:
        """Raise a ValueError where the map is not that of what it was made from; `floss.check_step` asks for it."""


class WrappingStep(TangentStep):
    """A step whose derivative comes from that of another map of the same states and inputs."""

    @property
    @abstractmethod
    def wrapped(self) -> Step | None:
        """That map; None where its derivative is given in closed form."""


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


def next_state(step: Step, h: Float[Tensor, "*batch n"], *x: Tensor) -> Float[Tensor, "*batch n"]:
    """The next state, whatever the map does to its arguments."""
    return step(h, *x) if isinstance(step, SizedStep) else step(h.clone(), *(value.clone() for value in x))


def writes(tensors: Iterable[Tensor]) -> int:
    """How often tensors have been written into, all together; torch does not count it in its inference mode."""
    count = 0
    try:
        for tensor in tensors:
            count += tensor._version
    except RuntimeError:
        return 0
    return count


def advance(
    step: Step, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
    """The next state, and D(h) q: by a `TangentStep` itself, of any other map by forward-mode differentiation.

    Random numbers of the map are drawn once, for the state and all tangent vectors; where the next state does not
    depend on h, D(h) q is zero.
    """
    if isinstance(step, TangentStep):
        arguments = (h, q, *x)
        before = writes(arguments)
        result = step.advance(*arguments)
        if writes(arguments) != before:
            raise ValueError("advance(h, q, *x) of the map writes into h, q or x; it must return new tensors")
        return result
    h, q, x = h.clone(), q.clone(), tuple(value.clone() for value in x)
    if present_way().backward:
        return by_reverse_mode(lambda state: step(state, *x), h, q)
    return by_forward_mode(lambda: _pushed_forward(step, h, q, x))


def _pushed_forward(step: Step, h: Tensor, q: Tensor, x: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The next state, and D(h) q by forward mode."""

    def push(vector: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(lambda state: step(state, *x), (h,), (vector,))  # pyright: ignore[reportReturnType]

    if is_transformed(h):  # a state that an outer `vmap` has batched cannot leave an inner one by an axis of None
        after, pushed = torch.func.vmap(push, in_dims=-1, randomness="same")(q)
        return after[0], pushed.movedim(0, -1)
    # The tangents come out along the first axis: along the last one vmap cannot lay out those that do not depend on q.
    after, pushed = torch.func.vmap(push, in_dims=-1, out_dims=(None, 0), randomness="same")(q)  # pyright: ignore[reportArgumentType]
    return after, pushed.movedim(0, -1)


def check_sizes(caller: str, step: Step, h0: Tensor, inputs: Tensor | None, q: Tensor) -> Tensor:
    """Raise a ValueError where the map cannot take such states or inputs, or does not return such a state.

    A `SizedStep` is asked for its sizes; any map is tried once, with one tangent vector q [..., n, 1] at the initial
    state, of which D(h) q is returned. Random numbers that it draws are given back.
    """
    refuse_recurrent_module(caller, step)
    x = () if inputs is None else (inputs[0],)
    if isinstance(step, SizedStep):
        _check_known_sizes(caller, step, h0, inputs)
    arguments = " and ".join(f"{name} {list(value.shape)}" for name, value in zip("hx", (h0, *x), strict=False))
    with torch.no_grad(), same_random_numbers(h0):
        try:
            # Copies, in case a method writes into them all the same.
            after = advance(step, h0.clone(), q.clone(), *(value.clone() for value in x))
        except Exception as error:  # whatever the map does
            if isinstance(step, TangentStep):
                raise ValueError(f"{caller}: the map cannot take {arguments}: {_first_line(error)}") from error
            _check_next_state(caller, arguments, h0, _tried(caller, step, arguments, h0, x))
            message = f"{caller}: the map has no forward-mode derivative: {_first_line(error)}{_hint(error)}"
            raise ValueError(message) from error
    state = _state_of_pair(caller, arguments, h0, after) if isinstance(step, TangentStep) else after[0]
    _check_next_state(caller, arguments, h0, state)
    return after[1]


def _tried(caller: str, step: Step, arguments: str, h0: Tensor, x: tuple[Tensor, ...]) -> Any:
    try:
        return next_state(step, h0, *x)
    except Exception as error:
        raise ValueError(f"{caller}: the map cannot take {arguments}: {_first_line(error)}") from error


def _state_of_pair(caller: str, arguments: str, h0: Tensor, pair: Any) -> Any:
    wanted = [*h0.shape, 1]
    if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Tensor):
        if list(pair[1].shape) != wanted:
            got = f"for {arguments} and q {wanted} it gave {list(pair[1].shape)}"
            raise ValueError(f"{caller}: advance(h, q, *x) must return D q of the shape of q: {got}")
        return pair[0]
    got = f"for {arguments} and q {wanted} it gave a {type(pair).__name__}"
    raise ValueError(f"{caller}: advance(h, q, *x) must return the pair of the next state and D q: {got}")


def _check_next_state(caller: str, arguments: str, h0: Tensor, after: Any) -> None:
    if not isinstance(after, Tensor) or after.shape != h0.shape:
        got = f"shape {list(after.shape)}" if isinstance(after, Tensor) else f"a {type(after).__name__}"
        raise ValueError(f"{caller}: the map must return a state of the shape of h: for {arguments} it gave {got}")
    for name in ("dtype", "device"):
        wanted, got = getattr(h0, name), getattr(after, name)
        if got != wanted:
            raise ValueError(f"{caller}: the map must return a state of the {name} of h: for {wanted} it gave {got}")


def _hint(error: Exception) -> str:
    """What helps where a map has a derivative backwards alone."""
    backwards = any(words in str(error) for words in ("setup_context", "use forward AD"))
    return "; step_from_function(f, state, derivative='reverse') makes a map of its backward one" if backwards else ""


def _first_line(error: Exception) -> str:
    """What an error says, in one line."""
    if "mutate a captured Tensor" in str(error):
        return "it writes into a tensor that it keeps; it may write into its state and its input alone"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def same_random_numbers(like: Tensor) -> Iterator[None]:
    """Within it random numbers are drawn that are drawn again after it, on the CPU and on the device of a tensor."""
    with torch.random.fork_rng([like.device] if like.is_cuda else []):
        yield


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
    if not total:
        raise ValueError(f"{caller}: steps={total} must be at least 1")
    return total
