"""Condition numbers κ₂ of products of one-step Jacobians, as log₁₀ κ₂: 10⁶⁰⁰ and more, in float64.

One sweep of QR decompositions D_j Q_{j-1} = Q_j R_j turns T_t Q_m into Q_t times the leading m × m block of the
triangular product P_t = R_t ⋯ R_1. The rows of P_t differ by hundreds of orders of magnitude; so each keeps a power of
two of its own, P_t = diag(2^e) X with rows of X of order one. The largest singular value of P_t is its norm, and the
smallest one that of P_t^{-1} = X^{-1} diag(2^{-e}). A norm needs no more than the entries within 16 digits of the
largest, so both are singular values of ordinary matrices:

    κ₂ = 2^(max e - min e) ‖diag(2^(e - max e)) X‖₂ ‖X^{-1} diag(2^(min e - e))‖₂

No digit is lost in it while X is well conditioned, which the sweep sees to: it orders the rows by growth. Where
that fails, since Q_0 lies badly (the first unit vectors, and triangular Jacobians), the sweep is repeated from another
basis of the same space.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.chain import initial_tangent, random_tangent
from floss.lyapunov.derivatives import numbers_of
from floss.lyapunov.jacobian_sequence import JacobianSequence, of_step, of_tensor
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.qr import qr
from floss.lyapunov.step import Step
from floss.lyapunov.work_counter import WorkCounter

_SINGULAR = 1 / (16 * torch.finfo(torch.float64).eps)
"""A Jacobian whose condition number is larger cannot be told from a singular one, to which rounding gives 0.3/ε or
more (measured from n = 2 to 200)."""


_BADLY_ORDERED = 1e8
"""Condition number of X, with rows of equal norm, from which on another basis is tried: random ones have 10⁵ at
n = 80."""


@in_full_precision
@torch.no_grad()
def condition_number(
    jacobians: Float[Tensor, "T *batch n n"] | Step,
    h0: Float[Tensor, "*batch n"] | None = None,
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    dims: int | Sequence[int] | None = None,
    horizons: int | Sequence[int] | None = None,
    q0: Float[Tensor, "*batch n k"] | None = None,
    bits: int | Literal["auto"] | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> Float64[Tensor, "..."]:
    """log₁₀ κ₂(T_t Q_m) of long-term Jacobians T_t = D[t-1] ⋯ D[0] on m tangent directions Q_m.

        floss.condition_number(step, h0, inputs, dims=16)       along a trajectory, of which no Jacobian is kept
        floss.condition_number(jacobians)                       of Jacobians that are there

    κ₂ = σ_1 / σ_m, the ratio of the largest and the smallest singular value. In float64 the relative error of κ₂ is
    about the precision times the sum of the condition numbers of the single Jacobians: nine digits and more of log₁₀ κ₂
    for random tanh networks, however large κ₂ itself becomes. A product counts as singular where one of its Jacobians
    is, on the directions that reach it, up to rounding (condition number above 2.8·10¹⁴). Products that undo
    themselves, with κ₂ above 10¹⁶ on the way and small again at the end, are out of reach of float64: see `bits`.

    Args:
        jacobians: one-step Jacobians D[0], …, D[T-1], [T, ..., n, n]; float32 or float64, computed in float64. Or a map
            `step`, as in `floss.lyapunov_spectrum`, whose Jacobians come one after the other: memory does not grow with
            T (but for `bits`, which keeps them).
        h0: with a map: initial states [..., n].
        inputs: with a map: one input per step, [T, ..., S]; None for an autonomous map.
        steps: with a map: number of steps T; needed without inputs.
        dims: numbers m of tangent directions, one or several, 1 ≤ m ≤ n; default all columns of q0.
        horizons: numbers t of steps, one or several, 1 ≤ t ≤ T; default T.
        q0: tangent vectors [..., n, k] or [n, k], of full rank; they are orthonormalised, and Q_m are the first m of
            them. Default for given dims: one fixed random orthonormal set for all; otherwise: the identity.
        bits: None for float64. A number of bits for a product in arbitrary precision, each float rounded to so many
            bits as in the paper (256), which saturates where κ₂ exceeds about 2^bits: a plateau near 10⁷⁷ is a ceiling
            and not a measurement. `auto`: 256, 512, … bits until two successive answers agree to 10⁻¹⁰ in log₁₀ κ₂.
            Singular products are recognised exactly. Loops over networks; needs python-flint.
        callback: called as callback(done, total) after each unit of work; total grows where more turns out to be
            needed.

    Returns:
        log₁₀ κ₂ ≥ 0 in float64, [*horizons, ..., *dims]; one number or None leaves the axis out. inf for a singular
        product.

    Raises:
        ValueError: arguments that do not fit, a Jacobian that is not finite (names the step and the batch index), a
            rank-deficient q0, or python-flint missing.

    Source: Fig. 2 of Engelken 2023; product QR decomposition: Stewart 1997 (ETNA 5:29-47), Sec. 2.
    """
    D = _sequence(jacobians, h0, inputs, steps)
    batch, n = D.batch, D.n
    if q0 is not None:
        q0 = arguments.real_tensor("condition_number", "q0", q0, "[n, k] or [..., n, k]")
        if q0.ndim < 2 or q0.shape[-2] != n or q0.shape[:-2] not in (batch, ()) or not 1 <= q0.shape[-1] <= n:
            allowed = f"[n, k] or [*batch, n, k] = {[*batch, n, 'k']} with 1 <= k <= n"
            raise ValueError(f"condition_number: q0 must have shape {allowed}, got {list(q0.shape)}")
        try:
            q0 = qr(q0.double())[0]
        except ValueError as error:
            raise ValueError(f"condition_number: q0 is not a basis: {error}") from None
    sizes, one_size = _axis("condition_number", "dims", dims, n if q0 is None else q0.shape[-1])
    times, one_time = _axis("condition_number", "horizons", horizons, D.steps)
    if bits is not None and not (isinstance(bits, str) and bits == "auto"):
        bits = arguments.whole_number("condition_number", "bits", bits, 2, allowed="at least 2, None or 'auto'")
    if callback is not None:
        arguments.function("condition_number", "callback", callback, "a function callback(done, total), or None")

    whole = dims is None and q0 is None
    if whole:
        q0 = torch.eye(n, dtype=torch.float64, device=D.device)
    elif q0 is None:
        q0 = random_tangent(torch.zeros(n, dtype=torch.float64, device=D.device), max(sizes))
    networks = math.prod(batch)
    q = q0[..., : max(sizes)].expand(*batch, n, max(sizes)).reshape(networks, n, max(sizes))

    different = sorted(set(times))
    if bits is None:
        value = _float64(D, q, different, sizes, WorkCounter(callback))
    else:
        from floss.lyapunov.arbitrary_precision import exact_condition

        kept = torch.stack(list(D.walk()))
        value = exact_condition(
            kept, None if whole else q, different, sizes, None if bits == "auto" else bits, WorkCounter(callback)
        )
    value = value[[different.index(t) for t in times]].reshape(len(times), *batch, len(sizes))
    return _without_single_axes(value, one_time, one_size)


def condition_from_exponents(
    exponents: Float[Tensor, "*batch k"], steps: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Float64[Tensor, "..."]:
    """log₁₀ κ₂ ≈ (λ_1 - λ_m) t / ln 10, what Lyapunov exponents tell of condition numbers (Eq. 10).

    Args:
        exponents: Lyapunov exponents in nats per step, descending, [..., k]; -inf for a lost direction.
        steps: numbers t of steps, one or several, t ≥ 1.
        dims: numbers m of tangent directions, one or several, 1 ≤ m ≤ k; default k.

    Returns:
        log₁₀ κ₂ in float64, [*steps, ..., *dims]; one number or None leaves the axis out. inf where λ_m = -inf, m > 1.

    Raises:
        ValueError: arguments that do not fit; exponents that are not descending, or NaN or +inf (names the batch
            index).

    Source: Eq. 10 of Engelken 2023.
    """
    exponents = arguments.exponents("condition_from_exponents", exponents)
    lam = exponents.double()
    for flags, what in (
        (lam.isnan() | lam.isposinf(), "are not finite"),
        (lam[..., 1:] > lam[..., :-1], "are not in descending order"),
    ):
        flags = numbers_of(flags)
        if flags.any():
            raise ValueError(f"condition_from_exponents: the exponents{_place(flags.any(-1))} {what}")
    sizes, one_size = _axis("condition_from_exponents", "dims", dims, exponents.shape[-1])
    times, one_time = _axis("condition_from_exponents", "steps", steps, None)
    last = torch.tensor(sizes, device=lam.device) - 1
    gap = torch.where(last == 0, 0.0, (lam[..., :1] - lam[..., last]).nan_to_num(nan=math.inf, posinf=math.inf))
    scale = torch.tensor(times, dtype=torch.float64, device=lam.device) / math.log(10)
    return _without_single_axes(scale.reshape(-1, *(1,) * gap.ndim) * gap, one_time, one_size)


def _sequence(jacobians: Any, h0: Any, inputs: Any, steps: Any) -> JacobianSequence:
    """The Jacobians, given or those of a map."""
    if callable(jacobians) and not isinstance(jacobians, Tensor):
        return of_step("condition_number", jacobians, h0, inputs, steps)
    sequence = of_tensor("condition_number", jacobians)
    for name, value in (("h0", h0), ("inputs", inputs), ("steps", steps)):
        if value is not None:
            raise ValueError(f"condition_number: {name}={arguments.shown(value)} is for a map, and not for Jacobians")
    return sequence


def _axis(caller: str, name: str, value: int | Sequence[int] | None, largest: int | None) -> tuple[list[int], bool]:
    """Whole numbers from 1 to the largest, which is also the default, and whether there is one alone."""
    return arguments.whole_numbers(caller, name, largest if value is None else value, 1, largest)


def _without_single_axes(value: Tensor, first: bool, last: bool) -> Tensor:
    value = value[0] if first else value
    return value[..., 0] if last else value


def _place(flags: Tensor) -> str:
    """' at batch index (i, j)' of the first set flag; empty where there is no batch."""
    return f" at batch index {tuple(flags.nonzero()[0].tolist())}" if flags.ndim else ""


def _float64(D: JacobianSequence, q: Tensor, times: list[int], dims: list[int], counter: WorkCounter) -> Tensor:
    """log₁₀ κ₂ [times, B, dims]; q [B, n, k] orthonormal."""
    value, spread = _sweep(D, q, times, dims, counter)
    for j, m in enumerate(dims):
        poor = (spread[..., j] > _BADLY_ORDERED).any(0)
        if poor.any():
            turned = q[poor, :, :m] @ initial_tangent(torch.zeros(1, dtype=torch.int64), m, m)[0].to(q)
            again, spread_again = _sweep(D, turned, times, [m], counter, poor)
            better = spread_again[..., 0] < spread[:, poor, j]
            value[:, poor, j] = torch.where(better, again[..., 0], value[:, poor, j])
    return value


def _sweep(
    D: JacobianSequence,
    q: Tensor,
    times: list[int],
    dims: list[int],
    counter: WorkCounter,
    members: Tensor | slice = slice(None),
) -> tuple[Tensor, Tensor]:
    """log₁₀ κ₂ and the condition number of X, [times, B, dims] each; inf and NaN for a singular product.

    Of those trajectories that are members, B of them.
    """
    networks, k = q.shape[0], q.shape[-1]
    eye = torch.eye(k, dtype=q.dtype, device=q.device)
    scale, rows = q.new_zeros(networks, k), eye.expand(networks, k, k)
    alive = torch.ones(networks, k, dtype=torch.bool, device=q.device)
    value, spread = (q.new_empty(len(times), networks, len(dims)) for _ in range(2))
    last = torch.tensor(dims, device=q.device) - 1
    counter.expect(times[-1])
    for t, jacobian in zip(range(1, times[-1] + 1), D.walk(), strict=False):
        a = _of_order_one(jacobian[members].double())
        noise = torch.linalg.vector_norm(a.abs() @ q.abs(), dim=-2)
        q, r = torch.linalg.qr(a @ q)
        alive = alive & (_condition_by_columns(r, noise) < _SINGULAR)
        r = torch.where(alive[..., None, :] & alive[..., :, None], r, eye)  # what is lost touches nothing else
        scale, rows = _multiply(r, scale, rows)
        if t in times:
            i = times.index(t)
            value[i], spread[i] = _condition_of_blocks(scale, rows, dims)
            value[i] = value[i].masked_fill(~alive[:, last], math.inf)
            spread[i] = spread[i].masked_fill(~alive[:, last], math.nan)
        counter.step()
    return value, spread


def _of_order_one(a: Tensor) -> Tensor:
    """Matrices times the powers of two that bring their largest entries to order one: κ₂ stays as it is."""
    exponent = torch.frexp(torch.amax(a.abs(), dim=(-2, -1), keepdim=True)).exponent
    return a * torch.exp2(-exponent.clamp(-1000, 1000).double())


def _condition_by_columns(r: Tensor, noise: Tensor) -> Tensor:
    """‖diag(noise) R_m^{-1}‖_F of the leading blocks R_m, m = 1 … k: [B, k], ascending.

    Rounding in D q_i is ε · noise_i; where ε times this number comes near one, it can make R_m singular.
    """
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    smallest = torch.finfo(r.dtype).eps * noise + (noise == 0)
    r = r.triu(1) + torch.diag_embed(torch.where(diagonal.abs() > smallest, diagonal, smallest))
    eye = torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)
    inverse = torch.linalg.solve_triangular(r, eye.expand_as(r), upper=True)
    squares = (noise[..., None] * inverse).square().sum(-2) + torch.where(noise == 0, math.inf, 0.0)
    return squares.cumsum(-1).sqrt()


def _multiply(r: Tensor, scale: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """R diag(2^scale) X, with scales and rows apart again. All scales are powers of two, so that scaling is exact."""
    mantissa, exponent = torch.frexp(r)
    power = torch.where(r == 0, -math.inf, exponent + scale[..., None, :])
    largest = power.amax(-1)
    rows = (mantissa * torch.exp2(power - largest[..., None])) @ rows
    size = torch.frexp(rows.abs().amax(-1)).exponent.double()
    return largest + size, rows * torch.exp2(-size)[..., None]


def _condition_of_blocks(scale: Tensor, rows: Tensor, dims: list[int]) -> tuple[Tensor, Tensor]:
    """log₁₀ κ₂ of the leading blocks of diag(2^scale) X and the condition number of X, [B, dims] each."""
    value, spread = (scale.new_empty(scale.shape[0], len(dims)) for _ in range(2))
    eye = torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    inverse = torch.linalg.solve_triangular(rows, eye.expand_as(rows), upper=True)
    for j, m in enumerate(dims):
        block, back, e = rows[:, :m, :m], inverse[:, :m, :m], scale[:, :m]
        largest, smallest = e.amax(-1, keepdim=True), e.amin(-1, keepdim=True)
        equal_rows = back * torch.linalg.vector_norm(block, dim=-1)[:, None, :]
        spread[:, j] = torch.linalg.matrix_norm(equal_rows).nan_to_num(nan=math.inf, posinf=math.inf)
        usable = spread[:, j].isfinite()
        back = torch.where(usable[:, None, None], back * torch.exp2(smallest - e)[:, None, :], 1.0)
        norms = torch.linalg.matrix_norm(block * torch.exp2(e - largest)[..., None], ord=2)
        norms = norms * torch.linalg.matrix_norm(back, ord=2)
        decades = (largest - smallest)[:, 0] * math.log10(2) + norms.log10()
        value[:, j] = torch.where(usable, decades.clamp_min(0), math.inf)
    return value, spread
