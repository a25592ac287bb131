"""The one-step Jacobians along a trajectory."""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.entry import checked_differentiable
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.second_order import differentiated
from floss.lyapunov.step import Step, advance, writes


@in_full_precision
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
    h0, inputs, total, way = checked_differentiable("one_step_jacobians", step, h0, inputs, steps)
    identity = torch.eye(h0.shape[-1], dtype=h0.dtype, device=h0.device).expand(*h0.shape, h0.shape[-1])
    h, jacobians, written = h0.contiguous(), list[Tensor](), 0
    for s in range(total):
        with differentiated(way):
            h, D = advance(step, h, identity, *(() if inputs is None else (inputs[s],)))
        jacobians.append(D)
        written += writes((D,))
    if writes(jacobians) != written:
        raise ValueError("one_step_jacobians: advance(h, q, *x) of the map returns the same memory at every call")
    return torch.stack(jacobians)
