"""A function of a structured state (tuples, dictionaries, complex numbers) as a one-step map of one real vector."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.recurrent_module import layers_of_wrapping, recurrent_module
from floss.lyapunov.step import TangentStep

_DTYPES = {
    torch.float32: torch.float32,
    torch.complex64: torch.float32,
    torch.float64: torch.float64,
    torch.complex128: torch.float64,
}
"""Real numbers of the same precision."""
_STATES = ("h", "hx", "state", "states", "hidden", "z", "carry")
_INPUTS = ("x", "u", "input", "inputs")


@dataclass(eq=False)
class FunctionStep:
    """The map of a function whose state is a structure of tensors, on real vectors [..., n].

    `vector(state)` makes the vector of a state, `state(h)` the state of a vector.
    """

    function: Callable[..., Any]
    example: Any
    inputs_first: bool | None = field(default=None)
    """Whether the function takes (x, state); None until it is known."""

    @property
    def n(self) -> int:
        """How many real numbers a state has."""
        return sum(_numbers(leaf) for leaf in _leaves(self.example, "example_state"))

    def vector(self, state: Any) -> Float[Tensor, "n"]:
        """The numbers of one state, in the order of the example; a complex number is its real and imaginary part."""
        return torch.cat([_real(leaf).reshape(-1) for leaf in _matching(self.example, state)])

    def state(self, h: Float[Tensor, "n"]) -> Any:
        """The state of one vector."""
        sizes = [_numbers(leaf) for leaf in _leaves(self.example, "example_state")]
        return _filled(self.example, iter(h.split(sizes)))

    def __call__(self, h: Float[Tensor, "*batch n"], *x: Tensor) -> Float[Tensor, "*batch n"]:
        """The next vector; leading axes of h are independent trajectories, each by a call of the function."""
        if h.shape[-1:] != (self.n,):
            raise ValueError(f"the state has {self.n} numbers, got h {list(h.shape)}")
        if h.ndim == 1:
            return self._one(h, *x)
        rows = h.reshape(-1, self.n)
        spread = tuple(self._spread(u, h, len(rows)) for u in x)
        try:
            after = torch.func.vmap(self._one, randomness="different")(rows, *spread)
        except RuntimeError:  # not all operations of torch can be batched; any function can be called once for each
            after = torch.stack([self._one(*row) for row in zip(rows, *spread, strict=True)])
        return after.reshape(h.shape)

    def _spread(self, x: Tensor, h: Tensor, rows: int) -> Tensor:
        """One input for each trajectory: inputs [..., S] with the leading axes of h, or with none and shared by all.

        Integers may be numbers of words, without an axis of their own.
        """
        batch = h.shape[:-1]
        own_axes = int(x.is_floating_point() or x.is_complex())
        if x.ndim >= len(batch) + own_axes and x.shape[: len(batch)] == batch:
            return x.reshape(rows, *x.shape[len(batch) :])
        return x.expand(rows, *x.shape)

    def _one(self, h: Tensor, *x: Tensor) -> Tensor:
        state = self.state(h)
        if not x:
            return self.vector(self.function(state))
        if self.inputs_first is None:
            self.inputs_first = self._takes_inputs_first(h, *x)
        return self.vector(self.function(*x, state) if self.inputs_first else self.function(state, *x))

    def _takes_inputs_first(self, h: Tensor, *x: Tensor) -> bool:
        """By the names of the arguments; where they do not tell, by which order gives a state back."""
        if recurrent_module(self.function) is not None:
            return True
        by_name = _order_of_names(self.function)
        if by_name is not None:
            return by_name
        works, errors = [], []
        with torch.no_grad():
            for first in (False, True):
                state = self.state(h.clone())
                copies = tuple(u.clone() for u in x)
                try:
                    self.vector(self.function(*copies, state) if first else self.function(state, *copies))
                except Exception as error:
                    errors.append(error)
                else:
                    works.append(first)
        if len(works) == 1:
            return works[0]
        if not works:
            raise errors[0]
        raise ValueError("f takes the state and the input in either order; name its arguments f(h, x) or f(x, h)")


class ReverseFunctionStep(FunctionStep, TangentStep):
    """The same with D(h) from reverse-mode differentiation, one pass for each number of the state.

    For functions that have no forward-mode derivative, such as those of `torch.autograd.Function` in its older form.
    """

    def advance(
        self, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
    ) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
        """The next state, and D(h) q; differentiable where gradients are on."""
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            start = h if h.requires_grad and recorded else h.detach().clone().requires_grad_()
            after = self(start, *x)
            if not after.requires_grad:  # it depends on nothing
                return after.detach(), torch.zeros_like(q)
            rows = [
                torch.autograd.grad(
                    after[..., i].sum(), start, retain_graph=True, create_graph=recorded, materialize_grads=True
                )[0]
                for i in range(self.n)
            ]
        D = torch.stack(rows, -2)
        return (after, D @ q) if recorded else (after.detach(), D.detach() @ q)


def _order_of_names(function: Callable[..., Any]) -> bool | None:
    """Whether the input comes first by the names of the first two arguments; None where they do not tell.

    An x before a name that says nothing is the input of a module, but may be the state in a function f(x, I).
    """
    call = layers_of_wrapping(function)[-1]
    is_module = isinstance(call, torch.nn.Module)
    call = call.forward if is_module else call
    try:
        names = [*inspect.signature(call).parameters][:2]
    except (TypeError, ValueError):
        return None
    if len(names) < 2:
        return None
    if names[0] in _INPUTS and (names[1] in _STATES or (is_module and names[1] not in _INPUTS)):
        return True
    if names[0] in _STATES or names[1] in _INPUTS:
        return False
    return True if names[1] in _STATES else None


def step_from_function(
    f: Callable[..., Any], example_state: Any, *, derivative: Literal["forward", "reverse"] = "forward"
) -> tuple[FunctionStep, int]:
    """A function of a structured state as a one-step map on real vectors, and their size n.

    The vector has all numbers of the state one after the other, in the order of tuples and dictionaries; a complex
    number z is the pair (Re z, Im z), so that n counts real dimensions, and exponents are those of the real map.

        step, n = floss.step_from_function(lambda s, x: {"v": s["v"] + 0.1 * s["a"], "a": x - s["v"]}, example)
        lam = floss.lyapunov_spectrum(step, step.vector(example), inputs)

    Args:
        f: `f(state)`, `f(state, x)` or `f(x, state)`, which returns the next state in the same structure. The order is
            told by the names of the arguments (x, u, input, inputs; h, hx, state, hidden, ...), else by which of the
            two gives a state back; where both do, it is an error. It is called with the state of one trajectory:
            several of them go through `torch.func.vmap`, or one after the other where that cannot be.
        example_state: one state: a tensor, or tuples, lists and dictionaries of them, float32 or complex64 throughout,
            or float64 or complex128 throughout.
        derivative: `forward`, by `torch.func.jvp`; or `reverse`, by one backward pass for each number of the state, for
            functions that have no forward-mode derivative, and for surrogate gradients: those of spiking neurons are
            defined backwards alone.

    Returns:
        The map `step(h, x) -> h` with h [..., n] and inputs with the leading axes of h, or with none; and n. Its
        methods `vector(state)` and `state(h)` go from one to the other.

    Raises:
        ValueError: no function, or a state that is not made of such tensors.
    """
    if not callable(f):
        raise ValueError(f"step_from_function: f must be a function f(h, x), got a {type(f).__name__}")
    try:
        leaves = _leaves(example_state, "example_state")
    except ValueError as error:
        raise ValueError(f"step_from_function: {error}") from None
    kinds = {_DTYPES[leaf.dtype] for leaf in leaves}
    if len(kinds) != 1:
        found = ", ".join(str(leaf.dtype) for leaf in leaves)
        raise ValueError(f"step_from_function: example_state must be of one precision, got {found or 'no numbers'}")
    arguments.choice("step_from_function", "derivative", derivative, ("forward", "reverse"))
    step = (FunctionStep if derivative == "forward" else ReverseFunctionStep)(f, example_state)
    if not step.n:
        raise ValueError("step_from_function: example_state must be of one precision, got no numbers")
    return step, step.n


def _leaves(state: Any, name: str) -> list[Tensor]:
    if isinstance(state, Tensor):
        if state.dtype not in _DTYPES:
            raise ValueError(f"{name} must be float32, float64, complex64 or complex128, got {state.dtype}")
        return [state]
    if isinstance(state, dict):
        return [leaf for key, value in state.items() for leaf in _leaves(value, f"{name}[{key!r}]")]
    if isinstance(state, tuple | list):
        return [leaf for i, value in enumerate(state) for leaf in _leaves(value, f"{name}[{i}]")]
    raise ValueError(f"{name} must be a tensor, a tuple, a list or a dictionary, got a {type(state).__name__}")


def _matching(example: Any, state: Any, name: str = "the next state") -> Iterator[Tensor]:
    """The tensors of a state in the order of an example; a ValueError where the structure is another."""
    if isinstance(example, Tensor):
        if not isinstance(state, Tensor) or state.shape != example.shape or state.dtype != example.dtype:
            got = f"{state.dtype} {list(state.shape)}" if isinstance(state, Tensor) else f"a {type(state).__name__}"
            raise ValueError(f"{name} must be {example.dtype} {list(example.shape)}, got {got}")
        yield state
    elif isinstance(example, dict):
        if not isinstance(state, dict) or state.keys() != example.keys():
            got = f"keys {[*state]}" if isinstance(state, dict) else f"a {type(state).__name__}"
            raise ValueError(f"{name} must be a dictionary with keys {[*example]}, got {got}")
        for key, value in example.items():
            yield from _matching(value, state[key], f"{name}[{key!r}]")
    else:
        if not isinstance(state, tuple | list) or len(state) != len(example):
            got = f"{len(state)}" if isinstance(state, tuple | list) else f"a {type(state).__name__}"
            raise ValueError(f"{name} must be a tuple or list of {len(example)}, got {got}")
        for i, (value, part) in enumerate(zip(example, state, strict=True)):
            yield from _matching(value, part, f"{name}[{i}]")


def _filled(example: Any, pieces: Iterator[Tensor]) -> Any:
    """The structure of an example with other numbers."""
    if isinstance(example, Tensor):
        piece = next(pieces)
        if example.is_complex():
            return torch.complex(*piece.reshape(*example.shape, 2).unbind(-1))
        return piece.reshape(example.shape)
    if isinstance(example, dict):
        return {key: _filled(value, pieces) for key, value in example.items()}
    parts = [_filled(value, pieces) for value in example]
    if isinstance(example, tuple) and hasattr(type(example), "_fields"):
        return type(example)(*parts)
    return type(example)(parts)


def _numbers(leaf: Tensor) -> int:
    return leaf.numel() * (2 if leaf.is_complex() else 1)


def _real(leaf: Tensor) -> Tensor:
    return torch.stack((leaf.real, leaf.imag), -1) if leaf.is_complex() else leaf
