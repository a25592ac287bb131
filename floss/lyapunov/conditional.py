"""Exponents of a network conditional on its input: whether it forgets its initial state (echo-state property)."""

from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.lyapunov.step import Step


def conditional_exponents(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"],
    k: int = 1,
    *,
    t_ons: int = 1,
    transient: int = 0,
) -> Float[Tensor, "*batch k"]:
    """The k largest conditional Lyapunov exponents of a driven map: those of its state, its inputs given.

        lam = floss.conditional_exponents(reservoir, h0, inputs)
        echo_state = lam[..., 0] < 0

    Where the largest is negative, states that differ a little come together while they are driven by the same inputs:
    the network follows its input and forgets its initial state (echo-state property, generalised synchronisation). It
    is a statement about these inputs, and about small differences; -λ_1 is the rate of forgetting in nats per step.

    The exponents of `floss.lyapunov_spectrum` with inputs, of a map that must have them; directions that a singular
    Jacobian annihilates have -inf.

    Args:
        step: the map `step(h, x) -> h`, as in `floss.lyapunov_spectrum`.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S].
        k: number of exponents, 1 ≤ k ≤ n.
        t_ons: orthonormalisation interval in steps.
        transient: steps at the start that are not counted.

    Returns:
        Exponents [..., k] in nats per step, descending; differentiable.

    Raises:
        ValueError: as `floss.lyapunov_spectrum`, or no inputs.

    Source: Pecora & Carroll 1990; Jaeger 2001 for the echo-state property.
    """
    caller = "conditional_exponents"
    if inputs is None:
        raise ValueError(f"{caller}: inputs=None must be one input per step, [T, ..., S]; without: lyapunov_spectrum")
    try:
        return lyapunov_spectrum(step, h0, inputs, k=k, t_ons=t_ons, transient=transient, singular="-inf")
    except ValueError as error:
        raise ValueError(f"{caller}: {str(error).removeprefix('lyapunov_spectrum: ')}") from error.__cause__
