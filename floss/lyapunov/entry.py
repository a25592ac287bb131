"""The entry of every analysis along a trajectory: its arguments, checked once, as a chain that can be run."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.chain import Chain, random_tangent
from floss.lyapunov.derivatives import is_transformed, numbers_of
from floss.lyapunov.failures import Watch
from floss.lyapunov.interval import condition_bound, longest_interval
from floss.lyapunov.qr import qr
from floss.lyapunov.second_order import FORWARD, Operations, way_of
from floss.lyapunov.sensitivity import check_sensitive, one_direction
from floss.lyapunov.step import Step, advance, check_sizes, count_steps, same_random_numbers

_STATE = "[..., n]"


def checked_trajectory(
    caller: str, step: Any, h0: Any, inputs: Any, steps: Any, *, derivative: bool = True, seen: Operations | None = None
) -> tuple[Tensor, Tensor | None, int]:
    """The initial states, the inputs and the number of steps, of a map that takes them.

    With `derivative`, a map whose derivative leaves out what its value depends on is refused. With `seen`, it is seen
    what the first step is made of.
    """
    arguments.function(caller, "step", step, "a map step(h, x) -> h, or step(h) -> h")
    h0 = arguments.real_tensor(caller, "h0", h0, _STATE)
    if h0.ndim < 1 or not h0.numel():
        allowed = f"float32 or float64 of shape {_STATE}, of one state or more"
        raise ValueError(f"{caller}: h0 must be {allowed}, got {arguments.shown(h0)}")
    if inputs is not None:
        inputs = arguments.tensor_of_steps(caller, "inputs", inputs)
    if steps is not None:
        steps = arguments.whole_number(caller, "steps", steps, 1)
    total = count_steps(caller, inputs, steps)
    arguments.check_finite_tensor(caller, "h0", h0)
    # A map may take NaN for a missing value; from an infinite state it may come back without a trace.
    if inputs is not None and numbers_of(torch.isinf(inputs).any()).any():
        raise ValueError(f"{caller}: inputs has a value that is infinite")
    q, seen = one_direction(h0), Operations() if seen is None else seen
    with seen:
        tangent = check_sizes(caller, step, h0, inputs, q)
    if derivative:
        check_sensitive(caller, step, h0, () if inputs is None else (inputs[0],), q, tangent, seen.without)
    return h0, inputs, total


def checked_differentiable(caller: str, step: Any, h0: Any, inputs: Any, steps: Any) -> tuple[Any, ...]:
    """The same, and the way to tangents whose gradients are right, where there may be gradients."""
    if not (torch.is_grad_enabled() or is_transformed()):
        return *checked_trajectory(caller, step, h0, inputs, steps), FORWARD
    seen = Operations()
    h0, inputs, total = checked_trajectory(caller, step, h0, inputs, steps, seen=seen)
    x = () if inputs is None else (inputs[0],)

    def again() -> None:
        with same_random_numbers(h0):
            advance(step, h0.detach(), one_direction(h0), *(value.detach() for value in x))

    return h0, inputs, total, way_of(seen, again)


def checked_chain(
    caller: str,
    step: Step,
    h0: Any,
    inputs: Any,
    steps: Any,
    k: Any,
    t_ons: Any,
    transient: Any,
    q0: Any,
    *,
    singular: Any = "raise",
) -> tuple[Chain, Watch]:
    """The arguments of a spectrum as a chain that adds up in float64, and its watch; or a ValueError of one line."""
    arguments.choice(caller, "singular", singular, ("raise", "-inf"))
    h0, inputs, total, way = checked_differentiable(caller, step, h0, inputs, steps)
    n = h0.shape[-1]
    k = None if k is None else _count_of_exponents(caller, k, n)
    if q0 is not None:
        q0 = arguments.real_tensor(caller, "q0", q0, "[..., n, k]")
        if q0.shape[:-1] != h0.shape or (k is not None and q0.shape[-1] != k):
            raise ValueError(f"{caller}: q0 must have shape {[*h0.shape, k or 'k']}, got {list(q0.shape)}")
        if q0.dtype != h0.dtype or q0.device != h0.device:
            kinds = f"{h0.dtype} on {h0.device}, got {q0.dtype} on {q0.device}"
            raise ValueError(f"{caller}: q0 must be like h0, {kinds}")
    k = _count_of_exponents(caller, q0.shape[-1], n) if q0 is not None else n if k is None else k
    adaptive = isinstance(t_ons, str) and t_ons == "adaptive"
    if not adaptive:
        t_ons = arguments.whole_number(caller, "t_ons", t_ons, 1, allowed="at least 1, or 'adaptive'")
    last = total - 1
    transient = arguments.whole_number(caller, "transient", transient, 0, last, allowed=f"from 0 to steps - 1 = {last}")
    q = random_tangent(h0, k) if q0 is None else _basis(caller, q0)
    # Forward-mode differentiation writes into states, which expanded ones do not allow.
    chain = Chain(h0.contiguous(), q, inputs, total, 1, transient, sums=torch.float64, traced=not way.backward, way=way)
    if adaptive:
        pilot = replace(chain, watch=Watch(caller, step, chain, singular == "-inf"))
        t_ons = longest_interval(step, pilot, condition_bound(h0.dtype))
    chain = replace(chain, t_ons=t_ons)
    watch = Watch(caller, step, chain, singular == "-inf")
    return replace(chain, watch=watch), watch


def _count_of_exponents(caller: str, k: Any, n: int) -> int:
    return arguments.whole_number(caller, "k", k, 1, n, allowed=f"from 1 to the state size {n}")


def _basis(caller: str, q0: Tensor) -> Tensor:
    try:
        return qr(q0)[0]
    except ValueError as error:
        raise ValueError(f"{caller}: q0 is not a basis: {error}") from None
