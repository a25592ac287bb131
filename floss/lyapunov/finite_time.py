"""Finite-time Lyapunov exponents: the growth over the first t steps, for every t and every trajectory.

The singular values of T_t = D[t-1] ⋯ D[0] differ by hundreds of orders of magnitude. A product of QR decompositions
gives T_t up to rotations as diag(2^e) X with rows of X of order one (see `floss.lyapunov.condition`), and one-sided
Jacobi rotations of these rows find every singular value of it to high relative accuracy (Demmel & Veselić 1992), as
they need no more of the scales 2^e than their ratios.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.jacobian_sequence import of_step
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step

_CALLER = "finite_time_exponents"
_AT_ONCE = 2**22
"""Numbers of the matrices that are rotated together."""
_SWEEPS = 40
_EPS = torch.finfo(torch.float64).eps
_NOISE = 16
"""Rounding errors in R_ii and in a row of X, in units of ε times what they come from."""


@in_full_precision
@torch.no_grad()
def finite_time_exponents(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
) -> Float[Tensor, "steps *batch k"]:
    """The finite-time exponents of each trajectory, λ_i(t) = 1/t log σ_i(T_t), for t = 1, …, steps.

    σ_i are the singular values of the Jacobian T_t = D[t-1] ⋯ D[0] of t steps, which say how a small sphere around h0
    is stretched: no tangent vectors are chosen, and no time is needed for them to turn. For iterated and looped models
    (deep equilibrium networks, looped transformers, unrolled optimisers), which have few steps and differ from example
    to example. They tend to the Lyapunov exponents as 1/t; for long runs `floss.lyapunov_spectrum` has those sooner.

    Computed in float64 whatever the dtype of the states, each to high relative accuracy of σ_i; costs n tangent vectors
    whatever k, and n³ for each t. No derivatives.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs, and otherwise equal to T.
        k: number of exponents, 1 ≤ k ≤ n; default all.

    Returns:
        [steps, ..., k] in nats per step, descending along the last axis, in the dtype of h0; row t - 1 is that of t
        steps. -inf for directions that a singular Jacobian annihilates.

    Raises:
        ValueError: arguments that do not fit, or a Jacobian that is not finite; names the step and the batch index.

    Source: Goldhirsch, Sulem & Orszag 1987; Demmel & Veselić 1992 for the singular values.
    """
    D = of_step(_CALLER, step, h0, inputs, steps)
    n = D.n
    k = n if k is None else arguments.whole_number(_CALLER, "k", k, 1, n, allowed=f"from 1 to the state size {n}")
    B, T = int(torch.Size(D.batch).numel()), D.steps
    q = torch.eye(n, dtype=torch.float64, device=D.device).expand(B, n, n)
    scale, rows = torch.zeros(B, n, dtype=torch.float64, device=D.device), q
    scales, several, logs = [], [], []
    at_once = max(1, _AT_ONCE // (B * n * n))
    for t, jacobian in enumerate(D.walk(), 1):
        a = jacobian.double()
        noise = _NOISE * n * _EPS * torch.linalg.vector_norm(a.abs() @ q.abs(), dim=-2)
        q, r = torch.linalg.qr(a @ q)
        lost = r.diagonal(dim1=-2, dim2=-1).abs() <= noise
        r = r - torch.diag_embed(torch.where(lost, r.diagonal(dim1=-2, dim2=-1), 0.0))
        scale, rows = _multiply(r, scale, rows)
        scales.append(scale)
        several.append(rows)
        if len(several) == at_once or t == T:
            logs.append(_log_singular_values(torch.stack(scales), torch.stack(several)))
            scales, several = [], []
    times = torch.arange(1, T + 1, dtype=torch.float64, device=D.device)[:, None, None]
    exponents = torch.cat(logs)[..., :k] / times
    return exponents.reshape(T, *D.batch, k).to(D.dtype)


def _multiply(r: Tensor, scale: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """R diag(2^scale) X, with scales and rows apart again; a row of zeros has the scale -inf."""
    mantissa, exponent = torch.frexp(r)
    power = torch.where(r == 0, -math.inf, exponent + scale[..., None, :])
    largest = power.amax(-1)
    shift = torch.where(largest == -math.inf, 0.0, largest)
    rows = (mantissa * torch.exp2(power - shift[..., None])) @ rows
    size = torch.frexp(rows.abs().amax(-1)).exponent.double()
    return largest + size, rows * torch.exp2(-size)[..., None]


def _log_singular_values(scale: Float[Tensor, "t B n"], rows: Float[Tensor, "t B n n"]) -> Float[Tensor, "t B n"]:
    """Natural logarithms of the singular values of diag(2^scale) X, descending; -inf for what is singular."""
    n = rows.shape[-1]
    order = scale.argsort(dim=-1, descending=True)
    scale, rows = scale.gather(-1, order), rows.gather(-2, order[..., None].expand_as(rows))
    size = torch.linalg.vector_norm(rows, dim=-1)
    if n > 1:
        rows = _rotated(scale, rows)
    norms = torch.linalg.vector_norm(rows, dim=-1)
    norms = torch.where(norms <= _NOISE * n * _EPS * size, 0.0, norms)
    return (norms.log() + scale * math.log(2.0)).sort(dim=-1, descending=True).values


def _rotated(scale: Tensor, rows: Tensor) -> Tensor:
    """The rows of X after rotations that make those of diag(2^scale) X orthogonal; one-sided Jacobi, batched.

    Of a pair with scales s_a ≥ s_b, and r = s_b / s_a, the rotation by the angle with tangent r τ is, in rows without
    their scales, a ← c (a - r² τ b), b ← c (b + τ a): nothing overflows, whatever r.
    """
    n = rows.shape[-1]
    rounds = _rounds(n, rows.device)
    for _ in range(_SWEEPS):
        worst = torch.zeros((), dtype=rows.dtype, device=rows.device)
        for first, second in rounds:
            e_first, e_second = scale[..., first], scale[..., second]
            a_is_first = e_first >= e_second
            a, b = torch.where(a_is_first, first, second), torch.where(a_is_first, second, first)
            r = torch.exp2(-(e_first - e_second).abs()).nan_to_num(0.0)
            at = [index[..., None].expand(*index.shape, n) for index in (a, b)]
            of_a, of_b = (rows.gather(-2, index) for index in at)
            A, B, g = of_a.square().sum(-1), of_b.square().sum(-1), (of_a * of_b).sum(-1)
            cosine = g.abs() / (A * B).sqrt().clamp(min=torch.finfo(rows.dtype).tiny)
            worst = torch.maximum(worst, cosine.amax())
            zeta = (r**2 * B - A) / (2.0 * torch.where(g == 0, 1.0, g))
            tau = torch.where(zeta < 0, -1.0, 1.0) / (zeta.abs() + (r**2 + zeta**2).sqrt())
            tau = torch.where(g == 0, 0.0, tau)[..., None]
            c = (1.0 + (r[..., None] * tau) ** 2).rsqrt()
            rows = rows.scatter(-2, at[0], c * (of_a - r[..., None] ** 2 * tau * of_b))
            rows = rows.scatter(-2, at[1], c * (of_b + tau * of_a))
        if float(worst) <= 4 * n * _EPS:
            break
    return rows


def _rounds(n: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """All pairs of n rows, in rounds of pairs that share none (a round-robin tournament)."""
    players = list(range(n + n % 2))
    rounds = []
    for _ in range(len(players) - 1):
        half = len(players) // 2
        pairs = [pair for pair in zip(players[:half], reversed(players[half:]), strict=True) if max(pair) < n]
        rounds.append(tuple(torch.tensor(side, device=device) for side in zip(*pairs, strict=True)))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds
