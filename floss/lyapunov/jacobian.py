"""One-step maps and their Jacobians: D(h) q for any map, by automatic differentiation or by the map's own method."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Step = Callable[..., Tensor]
"""A one-step map on the last axis: `step(h, x) -> h`, or `step(h) -> h` where there are no inputs.

It may bring a method `advance(h, q, *x) -> (step(h, *x), D(h) q)`, with tangent vectors q [..., n, k].
"""


def advance(
    step: Step, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
    """The next state, and D(h) q: by `step.advance` where there is one, else by forward-mode differentiation."""
    own = getattr(step, "advance", None)
    if own is not None:
        return own(h, q, *x)

    def push(vector: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(lambda state: step(state, *x), (h,), (vector,))  # pyright: ignore[reportReturnType]

    return torch.func.vmap(push, in_dims=-1, out_dims=(None, -1))(q)  # pyright: ignore[reportArgumentType]


def one_step_jacobians(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
) -> Float[Tensor, "T *batch n n"]:
    """The Jacobians D[0], …, D[T-1] along the trajectory from h0: D[s] = ∂h[s+1]/∂h[s].

    Args:
        step: the map, as in `floss.lyapunov_spectrum`.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs.

    Returns:
        [T, ..., n, n], ready for `floss.condition_number`.

    Raises:
        ValueError: states, inputs and `steps` that do not fit each other or the map.
    """
    total = count_steps("one_step_jacobians", inputs, steps)
    check_sizes("one_step_jacobians", step, h0, inputs)
    identity = torch.eye(h0.shape[-1], dtype=h0.dtype, device=h0.device).expand(*h0.shape, h0.shape[-1])
    h, jacobians = h0.contiguous(), []
    for s in range(total):
        h, D = advance(step, h, identity, *(() if inputs is None else (inputs[s],)))
        jacobians.append(D)
    return torch.stack(jacobians)


def check_sizes(caller: str, step: Step, h0: Tensor, inputs: Tensor | None) -> None:
    """Raise a ValueError where the map cannot take such states or inputs, or does not return such a state.

    A map that knows its `state_size` and `input_size` is asked for them, any other is tried once.
    """
    n = h0.shape[-1] if h0.ndim else 0
    x = () if inputs is None else (inputs[0],)
    own = getattr(step, "state_size", None)
    if own is not None:
        if own != n:
            raise ValueError(f"{caller}: h0 has {n} numbers per state, but the state of {_name(step)} has {own}")
        takes = getattr(step, "input_size", None)
        if x and takes is not None and (x[0].ndim < 1 or x[0].shape[-1] != takes):
            raise ValueError(
                f"{caller}: inputs must have shape [T, ..., {takes}] for {_name(step)}, got {list(inputs.shape)}"  # pyright: ignore[reportOptionalMemberAccess]
            )
    given = " and ".join(f"{what} {list(value.shape)}" for what, value in zip(("h", "x"), (h0, *x), strict=False))
    try:
        with torch.no_grad():
            own_advance = getattr(step, "advance", None)
            after = own_advance(h0, h0.new_zeros(*h0.shape, 1), *x)[0] if own_advance else step(h0, *x)
    except (RuntimeError, TypeError, IndexError) as error:
        raise ValueError(f"{caller}: the map cannot take {given}: {str(error).splitlines()[0]}") from error
    if not isinstance(after, Tensor) or after.shape != h0.shape:
        got = f"shape {list(after.shape)}" if isinstance(after, Tensor) else f"a {type(after).__name__}"
        raise ValueError(f"{caller}: the map must return a state of the shape of h: for {given} it gave {got}")


def _name(step: Step) -> str:
    return type(getattr(step, "module", step)).__name__


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
