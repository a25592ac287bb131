"""A driven network that is fed with its own readout: the autonomous map of generation and of closed-loop control."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.recurrent_module import refuse_recurrent_module
from floss.lyapunov.step import Step, next_state


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """The map h → step(h, readout(h)); its derivative is that of both together."""

    step: Step
    readout: Callable[[Tensor], Tensor]

    def __call__(self, h: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """The next state."""
        return next_state(self.step, h, self.readout(h.clone()))  # which may write into its argument as well


def close_loop(step: Step, readout: Callable[[Tensor], Tensor]) -> ClosedLoop:
    """The autonomous map h → step(h, readout(h)) of a network whose output is its next input.

        step, n = floss.step_from_module(gru)
        free = floss.close_loop(step, head)             # a network that generates
        lam = floss.lyapunov_spectrum(free, h0, steps=1000)

    The derivative has both parts, D = ∂step/∂h + ∂step/∂x ∂readout/∂h, by forward-mode differentiation, and exponents
    are differentiable with respect to what step and readout depend on.

    Args:
        step: the driven map `step(h, x) -> h`.
        readout: the input [..., S] as a function of the state [..., n]; any function or module of torch.

    Returns:
        The map `step(h) -> h`.

    Raises:
        ValueError: no functions, or a recurrent module of torch as the map.
    """
    arguments.function("close_loop", "step", step, "a map step(h, x) -> h")
    refuse_recurrent_module("close_loop", step)
    arguments.function("close_loop", "readout", readout, "a function of the state")
    return ClosedLoop(step, readout)
