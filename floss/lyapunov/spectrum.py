"""Lyapunov spectra of any one-step map, differentiable: tangent vectors, orthonormalised by QR (Eqs. 6, 7, 27)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.entry import checked_chain
from floss.lyapunov.interval import condition_bound, longest_interval
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step


@in_full_precision
def lyapunov_spectrum(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    t_ons: int | Literal["adaptive"] = 1,
    transient: int = 0,
    q0: Float[Tensor, "*batch n k"] | None = None,
    singular: Literal["raise", "-inf"] = "raise",
) -> Float[Tensor, "*batch k"]:
    """The k largest Lyapunov exponents of a map along one trajectory, in nats per step, descending.

    Evolves Q ← D Q with D = ∂step/∂h, every t_ons steps Q, R = qr(Q), and averages log R_ii over the counted steps:
    λ_i = 1/(T - transient) Σ log R_ii. The last interval of the transient and of the run may be shorter than t_ons;
    both are closed by a QR decomposition. Differentiable with respect to what `step`, `h0` and `inputs` depend on, in
    any order and by `torch.func` (grad, jacrev, jvp, hessian, vmap, functional_call). The growth is added up in
    float64 whatever the dtype of the states, which is that of the result.

    Args:
        step: the map. Works on the last axis of h ([..., n]) and of x ([..., S]) and treats the leading axes as
            independent trajectories. Jacobian products come from forward-mode automatic differentiation (`torch.func`),
            or from `step.advance(h, q, *x) -> (next state, D(h) q)` where the class of the step has such a method.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs, and otherwise equal to T.
        k: number of exponents, 1 ≤ k ≤ n; default all.
        t_ons: orthonormalisation interval in steps. Within one interval the condition number of the tangent vectors
            must stay below the inverse of the precision. An interval longer than the counted steps is these steps.
            `adaptive`: as chosen by `floss.adaptive_t_ons`. Our own rate networks without gradients take it as the
            shortest interval, and lengthen it as far as is safe.
        transient: steps at the start that are not counted: the state reaches the attractor and Q the Oseledets basis.
        q0: initial tangent vectors [..., n, k], of full rank; default one fixed random orthonormal set for all.
        singular: what becomes of directions that a singular Jacobian annihilates. `raise`: an error. `-inf`: their
            exponents are -inf, and have no part in the gradients of the others.

    Returns:
        Exponents [..., k], sorted: those of a finite run need not come out of the iteration in order.

    Raises:
        ValueError: arguments that do not fit, a state or Jacobian that is not finite, or tangent vectors that became
            linearly dependent (a singular Jacobian with too large a k, or t_ons too long); names the step and the batch
            index.

    Source: Eqs. 6, 7, 27 and Algorithms 1 and 2 of Engelken 2023; Benettin et al. 1980.
    """
    chain, watch = checked_chain(
        "lyapunov_spectrum", step, h0, inputs, steps, k, t_ons, transient, q0, singular=singular
    )
    exponents = run_exponents(step, chain)
    watch.check(exponents)
    return exponents.sort(dim=-1, descending=True).values


@in_full_precision
def adaptive_t_ons(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    q0: Float[Tensor, "*batch n k"] | None = None,
    condition: float | None = None,
) -> int:
    """The longest orthonormalisation interval whose condition number R_11/R_kk stays below a bound (Eq. 28, App. J).

    And over which the numbers stay within their range: they overflow, or vanish, where all directions grow alike.

    A short run with t_ons = 1 gives log R_ii of every step; over an interval they add up, so that one run tells the
    condition number of every interval of every length. Intervals of the first steps, in which Q has not yet turned to
    the Oseledets basis, count as well.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`, with h0, inputs, k and q0.
        h0: initial states.
        inputs: one input per step, or None.
        steps: length of the run that the interval is for; the short run takes at most 200 of them.
        k: number of exponents.
        q0: initial tangent vectors.
        condition: the bound; default 0.1/√ε, which leaves half of the digits to the smallest exponent (ε the precision
            of the dtype: 6.7e6 in float64, 290 in float32).

    Returns:
        The interval in steps, the same for the whole batch; at least 1 and at most half of the short run.

    Raises:
        ValueError: as `floss.lyapunov_spectrum`, or a bound that is not above 1.

    Source: Eq. 28 and Appendix J of Engelken 2023.
    """
    if condition is not None:
        condition = arguments.real_number("adaptive_t_ons", "condition", condition, "above 1", lambda c: c > 1.0)
    chain, _ = checked_chain("adaptive_t_ons", step, h0, inputs, steps, k, 1, 0, q0)
    return longest_interval(step, chain, condition or condition_bound(chain.q.dtype))
