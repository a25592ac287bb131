"""Which derivatives a computation is followed by."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_plain(*tensors: Tensor) -> bool:
    """Whether numbers alone are wanted: no gradient of these tensors, no tangent, and no transform of `torch.func`."""
    return not is_transformed(*tensors) and not (
        torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    )


def is_transformed(*tensors: Tensor) -> bool:
    """Whether `torch.func` (grad, vmap, jvp, …) or forward-mode differentiation goes through the computation.

    What works for one order of reverse mode alone, or looks at numbers on the way, does not serve there.
    """
    if torch._C._are_functorch_transforms_active():
        return True
    if forward_ad._current_level < 0:  # no forward-mode differentiation anywhere
        return False
    for tensor in tensors:  # noqa: SIM110 - a generator costs more than all of it, and every step asks
        if forward_ad.unpack_dual(tensor).tangent is not None:
            return True
    return False


def recorded_gradients(
    output: Tensor, tensors: Sequence[Tensor], grad: Tensor, needed: Sequence[bool], first: int = 0
) -> tuple[Tensor | None, ...]:
    """What the backward pass of a `torch.autograd.Function` returns when it is itself recorded.

    Args:
        output: the function's value, computed from `tensors` by operations that autograd follows.
        tensors: the arguments that have gradients.
        grad: ∂L/∂output.
        needed: of every argument whether its gradient is asked for, as in `ctx.needs_input_grad`.
        first: the place of `tensors[0]` among the arguments.

    Returns:
        One gradient for each argument, with a graph behind it; None where none is asked for.
    """
    places = [place for place in range(first, first + len(tensors)) if needed[place]]
    of = [tensors[place - first] for place in places]
    found = torch.autograd.grad(output, of, grad, create_graph=True, allow_unused=True, materialize_grads=True)
    gradients: list[Tensor | None] = [None] * len(needed)
    for place, gradient in zip(places, found, strict=True):
        gradients[place] = gradient
    return tuple(gradients)


def numbers_of(tensor: Tensor) -> Tensor:
    """The bare numbers, to be looked at; under `vmap` those of all its members, with axes of its own."""
    return torch.func.debug_unwrap(tensor)


def refuse_transforms(caller: str, *tensors: Tensor) -> None:
    """Raise a ValueError where derivatives are asked of what has none: they would come out as zeros."""
    if is_transformed(*tensors):
        raise ValueError(f"{caller}: has no derivatives, and does not run under torch.func or forward-mode ones")


def with_memory(func: Any, args: Any) -> Any:
    """The arguments of an operation that a dispatch mode sees, with memory for those that have none.

    These are the zeros that stand for absent tangents: below `torch.func` some operations would read them as they are,
    which ends the process.
    """
    if any(r.alias_info is not None for r in func._schema.returns):  # a view, or what it writes into
        return args

    def real(value: Any) -> Any:
        if isinstance(value, Tensor):
            return torch.zeros(value.shape, dtype=value.dtype, device=value.device) if value._is_zerotensor() else value
        return [real(part) for part in value] if isinstance(value, list) else value

    return tuple(map(real, args))
