"""Lyapunov spectra of any one-step map, differentiable: tangent vectors, orthonormalised by QR (Eqs. 6, 7, 27)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from floss import random
from floss.qr_decomposition import qr
from floss.random import Stream
from floss.reduced_adjoint import orthonormalisation_times

Step = Callable[..., Tensor]
"""A one-step map on the last axis: `step(h, x) -> h`, or `step(h) -> h` where there are no inputs."""


def lyapunov_spectrum(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    t_ons: int = 1,
    transient: int = 0,
    q0: Float[Tensor, "*batch n k"] | None = None,
) -> Float[Tensor, "*batch k"]:
    """The k largest Lyapunov exponents of a map along one trajectory, in nats per step, descending.

    Evolves Q ← D Q with D = ∂step/∂h, every t_ons steps Q, R = qr(Q), and averages log R_ii over the counted steps:
    λ_i = 1/(T - transient) Σ log R_ii. The last interval of the transient and of the run may be shorter than t_ons;
    both are closed by a QR decomposition. Differentiable with respect to what `step`, `h0` and `inputs` depend on.

    Args:
        step: the map. Works on the last axis of h ([..., n]) and of x ([..., S]) and treats the leading axes as
            independent trajectories. Jacobian products come from forward-mode automatic differentiation (`torch.func`),
            or from `step.tangent(h, q)` where the step brings its own.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs, and otherwise equal to T.
        k: number of exponents, 1 ≤ k ≤ n; default all.
        t_ons: orthonormalisation interval in steps. Within one interval the condition number of the tangent vectors
            must stay below the inverse of the precision.
        transient: steps at the start that are not counted: the state reaches the attractor and Q the Oseledets basis.
        q0: initial tangent vectors [..., n, k], of full rank; default one fixed random orthonormal set for all.

    Returns:
        Exponents [..., k], sorted: those of a finite run need not come out of the iteration in order.

    Raises:
        ValueError: arguments that do not fit, a state or Jacobian that is not finite, or tangent vectors that became
            linearly dependent (a singular Jacobian with too large a k, or t_ons too long); names the batch index.

    Source: Eqs. 6, 7, 27 and Algorithms 1 and 2 of Engelken 2023; Benettin et al. 1980.
    """
    total = _count_steps(inputs, steps)
    n = h0.shape[-1] if h0.ndim else 0
    if h0.dtype not in (torch.float32, torch.float64) or n < 1:
        raise ValueError(
            f"lyapunov_spectrum: h0 must be float32 or float64 of shape [..., n], got {h0.dtype} {list(h0.shape)}"
        )
    if q0 is not None and (q0.shape[:-1] != h0.shape or (k is not None and q0.shape[-1] != k)):
        raise ValueError(f"lyapunov_spectrum: q0 must have shape {[*h0.shape, k or 'k']}, got {list(q0.shape)}")
    k = q0.shape[-1] if q0 is not None else n if k is None else k
    if not 1 <= k <= n:
        raise ValueError(f"lyapunov_spectrum: k={k} must be from 1 to the state size {n}")
    if t_ons < 1:
        raise ValueError(f"lyapunov_spectrum: t_ons={t_ons} must be at least 1")
    if not 0 <= transient < total:
        raise ValueError(f"lyapunov_spectrum: transient={transient} must be from 0 to steps - 1 = {total - 1}")
    if not torch.isfinite(h0).all():
        raise ValueError("lyapunov_spectrum: h0 has a value that is not finite")
    q = random_tangent(h0, k) if q0 is None else qr(q0)[0]

    closed_form = getattr(step, "exponents", None)
    exponents = closed_form(h0, inputs, total, q, t_ons, transient) if closed_form else None
    if exponents is None:
        exponents = _exponents(step, h0, inputs, total, q, t_ons, transient)
    elif not torch.isfinite(exponents).all():
        place = tuple((~torch.isfinite(exponents)).nonzero()[0].tolist())
        what = "is lost to rank deficiency" if exponents[place] == -torch.inf else "is not finite"
        raise ValueError(f"lyapunov_spectrum: exponent {place[-1]} at batch index {place[:-1]} {what}")
    return exponents.sort(dim=-1, descending=True).values


def _count_steps(inputs: Tensor | None, steps: int | None) -> int:
    if inputs is None and steps is None:
        raise ValueError("lyapunov_spectrum: an autonomous map needs steps=")
    length = None if inputs is None else inputs.shape[0]
    if length is not None and steps is not None and steps != length:
        raise ValueError(f"lyapunov_spectrum: steps={steps} but there are {length} inputs")
    total = length if steps is None else steps
    if total is None or total < 1:
        raise ValueError(f"lyapunov_spectrum: steps={total} must be at least 1")
    return total


def _exponents(
    step: Step, h: Tensor, inputs: Tensor | None, steps: int, q: Tensor, t_ons: int, transient: int
) -> Tensor:
    """The bare loop for any step; the validated arguments of `lyapunov_spectrum`, exponents unsorted."""
    intervals = dict(orthonormalisation_times(steps, t_ons, transient))
    total = h.new_zeros(*h.shape[:-1], q.shape[-1])
    for s in range(steps):
        x = () if inputs is None else (inputs[s],)
        h, q = _advance(step, h, x, q)
        if s + 1 in intervals:
            q, r = qr(q)
            if intervals[s + 1]:
                total = total + r.diagonal(dim1=-2, dim2=-1).log()
    overflowed = ~torch.isfinite(h).all(-1)
    if overflowed.any():
        place = f" at batch index {tuple(overflowed.nonzero()[0].tolist())}" if overflowed.ndim else ""
        raise ValueError(f"lyapunov_spectrum: the state{place} is not finite after {steps} steps")
    return total / (steps - transient)


def _advance(step: Step, h: Tensor, x: tuple[Tensor, ...], q: Tensor) -> tuple[Tensor, Tensor]:
    """The next state, and D(h) q."""
    tangent = getattr(step, "tangent", None)
    if tangent is not None:
        return step(h, *x), tangent(h, q)

    def push(vector: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(lambda state: step(state, *x), (h,), (vector,))  # pyright: ignore[reportReturnType]

    return torch.func.vmap(push, in_dims=-1, out_dims=(None, -1))(q)  # pyright: ignore[reportArgumentType]


def random_tangent(h0: Float[Tensor, "*batch n"], k: int) -> Float[Tensor, "*batch n k"]:
    """One fixed random orthonormal set of k tangent vectors, the same for every state of the batch."""
    return initial_tangent(torch.zeros(1, dtype=torch.int64), h0.shape[-1], k)[0].to(h0).expand(*h0.shape, k)


def initial_tangent(seeds: Tensor, n: int, k: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "R n k"]:
    """Each network's random orthonormal Q₀ [R, n, k], from its own seed; the first columns do not depend on k."""
    columns = random.normal(seeds, Stream.TANGENT, k * n, dtype=torch.float64).reshape(len(seeds), k, n)
    return qr(columns.mT)[0].to(dtype)
