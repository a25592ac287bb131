"""Covariant Lyapunov vectors: the directions that grow at the rates of the exponents, forwards and backwards in time.

Gram-Schmidt vectors Q are orthogonal and depend on the past alone. Covariant vectors v_i are the directions that the
dynamics maps onto each other, D v_i(t) ∥ v_i(t+1): the angles between them tell how far the dynamics is from splitting
into independent modes, and v_1 is where a perturbation that survives comes to lie (Ginelli et al. 2007; Appendix D of
Engelken 2023).
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import refuse_transforms
from floss.lyapunov.entry import checked_chain
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.orthonormalisation import orthonormalisation_times, orthonormalise
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step, advance

_NEAR = 0.99
"""Cosine above which an angle is computed from the difference of the vectors: arccos has lost one digit there."""
_PAIRS = 2**16
"""Pairs of vectors that are compared at once."""


@dataclass(frozen=True, eq=False)
class CovariantVectors:
    """Covariant Lyapunov vectors at the M + 1 ends of M intervals: row 0 is the start of the window, row M its end."""

    vectors: Float[Tensor, "instants *batch n k"]
    """v_i in column i, of unit length, with v_i · q_i > 0."""
    states: Float[Tensor, "instants *batch n"]
    """h at each of these instants."""
    times: Int64[Tensor, "instants"]
    """Steps since h0 at each of them: from `transient` to steps - `tail`."""
    local: Float[Tensor, "M *batch k"]
    """Growth rate of v_i from row j to row j + 1, in nats per step: log‖D v_i‖ / (times[j+1] - times[j])."""

    @property
    def exponents(self) -> Float[Tensor, "*batch k"]:
        """Mean growth rate of each v_i over the window, in nats per step; in the order of the vectors, not sorted."""
        lengths = self.times.diff().to(self.local)
        return torch.einsum("m,m...->...", lengths / lengths.sum(), self.local)


@in_full_precision
@torch.no_grad()
def covariant_lyapunov_vectors(
    step: Step,
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    t_ons: int | Literal["adaptive"] = 1,
    transient: int = 0,
    tail: int = 0,
    q0: Float[Tensor, "*batch n k"] | None = None,
) -> CovariantVectors:
    """The first k covariant Lyapunov vectors along one trajectory (Ginelli et al. 2007).

        forwards:   D Q_{j-1} = Q_j R_j
        backwards:  C_{j-1} = R_j^{-1} C_j, columns scaled to unit length
        vectors:    V_j = Q_j C_j,     growth of v_i over interval j:  1 / ‖R_j^{-1} c_i‖

    The run of `steps` steps has three parts. Over the `transient`, Q converges to the backward Lyapunov vectors. Of the
    window that follows, Q and R are kept. Of the `tail` R alone is kept: C starts from the identity at the end of the
    run and converges over the tail. Both converge as exp(-(λ_i - λ_{i+1}) t): where two exponents are close, their
    vectors come late, and those of equal exponents (a pair of rotating directions) never do, only their plane does.
    Without a tail the last vectors are Q itself.

    Memory: (M + 1)·batch·n·k numbers of the vectors, with M = window / t_ons, and batch·k² for each interval of window
    and tail. No gradients. Double precision is recommended: the directions lose the digits that the condition number of
    R over one interval takes.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`.
        h0: initial states, [..., n].
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps of all three parts; needed without inputs, and otherwise equal to T.
        k: number of vectors, 1 ≤ k ≤ n; default all. The first k do not depend on it.
        t_ons: orthonormalisation interval in steps, or `adaptive`; one instant for each. The last interval of each of
            the three parts may be shorter.
        transient: steps at the start, before the window.
        tail: steps at the end, after the window.
        q0: initial tangent vectors [..., n, k], of full rank; default one fixed random orthonormal set for all.

    Returns:
        Vectors, states and growth rates at the M + 1 instants of the window.

    Raises:
        ValueError: as `floss.lyapunov_spectrum`; no step left between transient and tail; or a direction lost to rank
            deficiency, since what a Jacobian annihilates has no covariant vector (take a smaller k).

    Source: Ginelli, Poggi, Turchi, Chaté, Livi & Politi 2007, Phys. Rev. Lett. 99, 130601.
    """
    caller = "covariant_lyapunov_vectors"
    refuse_transforms(caller)
    chain, watch = checked_chain(caller, step, h0, inputs, steps, k, t_ons, transient, q0)
    last = chain.steps - chain.transient - 1
    allowed = f"from 0 to steps - transient - 1 = {last}"
    tail = arguments.whole_number(caller, "tail", tail, 0, last, allowed=allowed)
    forward = _forward(step, chain, tail)
    watch.check(torch.where(torch.isfinite(forward.h).all(-1, keepdim=True), forward.total, torch.nan))
    vectors, local = _backward(forward)
    return CovariantVectors(vectors, forward.states, forward.times, local)


@dataclass
class _Forward:
    """What the forward run leaves: Q and h of the window, R of window and tail."""

    q: Tensor
    r: list[Tensor]
    states: Tensor
    times: Tensor
    h: Tensor
    total: Tensor


def _forward(step: Step, chain: Chain, tail: int) -> _Forward:
    """The QR chain, keeping R; the transient goes through the loop of the exponents."""
    start, stop = chain.transient, chain.steps - tail
    h, q, total = chain.h, chain.q, chain.q.new_zeros(())
    if start:
        growth, h, q = qr_chain(step, replace(chain, steps=start, transient=0), total=True)
        total = growth.sum(0)
    ends = [end for end, counted in orthonormalisation_times(stop, chain.t_ons, start) if counted]
    closing = {*ends, *(stop + end for end, _ in orthonormalisation_times(tail, chain.t_ons, 0))}
    kept, states, r = q.new_empty(len(ends) + 1, *q.shape), h.new_empty(len(ends) + 1, *h.shape), []
    kept[0], states[0] = q, h
    for s in range(start, chain.steps):
        h, q = advance(step, h, q, *chain.input(s))
        if s + 1 in closing:
            flat, log_r, triangular = orthonormalise(q.reshape(-1, *q.shape[-2:]), inverse=False)
            log_r = log_r.reshape(*q.shape[:-2], q.shape[-1])
            q, total = flat.reshape(q.shape), total + log_r
            if chain.watch is not None:
                chain.watch(s + 1, log_r)
            r.append(triangular)
            if s < stop:
                kept[len(r)], states[len(r)] = q, h
    times = torch.tensor([start, *ends], device=h.device)
    return _Forward(kept, r, states, times, h, total)


def _backward(forward: _Forward) -> tuple[Tensor, Tensor]:
    """V = Q C, written over Q, and the growth rates over the window."""
    q, lengths = forward.q, forward.times.diff().tolist()
    M = len(lengths)
    c = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device).expand_as(forward.r[0])
    for r in reversed(forward.r[M:]):
        c, _ = _pull_back(r, c)
    q[M] = _turn(q[M], c)
    local = q.new_empty(M, *q.shape[1:-2], q.shape[-1])
    for j in reversed(range(M)):
        c, growth = _pull_back(forward.r[j], c)
        local[j] = growth.reshape(local.shape[1:]) / lengths[j]
        q[j] = _turn(q[j], c)
    return q, local


def _pull_back(r: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """R^{-1} C with columns of unit length, and the logarithm of what they grow by in going forwards."""
    c = torch.linalg.solve_triangular(r, c, upper=True)
    size = torch.linalg.vector_norm(c, dim=-2)
    return c / size[..., None, :], -size.log()


def _turn(q: Tensor, c: Tensor) -> Tensor:
    return (q.reshape(-1, *q.shape[-2:]) @ c).reshape(q.shape)


@in_full_precision
def angles(vectors: Float[Tensor, "*batch n k"]) -> Float[Tensor, "*batch k k"]:
    """Angles between the lines along each two of k vectors, in radians, from 0 to π/2.

        θ_ij = arccos|u_i · u_j|,     u = v / ‖v‖

    and for nearly parallel vectors, where the cosine has lost the digits of the angle, with s the sign of u_i · u_j,

        θ_ij = 2 atan2(‖u_i - s u_j‖, ‖u_i + s u_j‖)

    Args:
        vectors: in columns, [..., n, k], of any length but 0.

    Returns:
        Symmetric, with zeros on the diagonal, [..., k, k]; NaN for a vector of length 0 and any other.

    Source: Kahan 2006, "How Futile are Mindless Assessments of Roundoff", §12.
    """
    u = _unit(_vectors("angles", vectors), -2)
    cosine = u.mT @ u
    theta = cosine.abs().clamp(max=1.0).arccos()
    for pairs in (cosine.triu(1).abs() > _NEAR).nonzero().split(_PAIRS):
        *at, i, j = pairs.unbind(-1)
        one, other = u.mT[(*at, i)], u.mT[(*at, j)]
        other = other * cosine[(*at, i, j)].sign()[:, None]
        apart, along = torch.linalg.vector_norm(one - other, dim=-1), torch.linalg.vector_norm(one + other, dim=-1)
        theta[(*at, i, j)] = 2.0 * torch.atan2(apart, along)
    theta = theta.triu(1)
    return theta + theta.mT


@in_full_precision
def subspace_angle(vectors: Float[Tensor, "*batch n k"], split: int) -> Float[Tensor, "*batch"]:
    """The smallest angle between the span of the first `split` vectors and that of the others, in radians.

    The first principal angle of the two subspaces, 0 where they share a direction: with orthonormal bases A and B of
    the two, sin θ is the smallest singular value of B - A AᵀB, and cos θ the largest of AᵀB. With the covariant vectors
    of the positive exponents first it is the angle between unstable and stable manifold, whose zeros are tangencies.

    Args:
        vectors: in columns, [..., n, k], linearly independent within each of the two sets.
        split: number of vectors in the first set, 1 ≤ split < k.

    Returns:
        θ [...], from 0 to π/2; NaN where a vector has length 0 or is not finite.

    Raises:
        ValueError: `split` leaves one of the sets empty.

    Source: Björck & Golub 1973; Ginelli et al. 2007 for its use.
    """
    vectors = _vectors("subspace_angle", vectors)
    last = vectors.shape[-1] - 1
    split = arguments.whole_number("subspace_angle", "split", split, 1, last, allowed=f"from 1 to k - 1 = {last}")
    u = _unit(vectors, -2)
    finite = torch.isfinite(u).all(-1).all(-1)
    u = torch.where(finite[..., None, None], u, 0.0)
    A, B = (torch.linalg.qr(part).Q for part in (u[..., :split], u[..., split:]))
    inner = A.mT @ B
    theta = torch.atan2(torch.linalg.svdvals(B - A @ inner)[..., -1], torch.linalg.svdvals(inner)[..., 0])
    return torch.where(finite, theta, torch.nan)


def overlap(
    direction: Float[Tensor, "*#batch n"], vectors: Float[Tensor, "*#batch n k"], i: int = 0
) -> Float[Tensor, "..."]:
    """How far a direction lies along vector i: |cos| of the angle between them, from 0 to 1.

    With the gradient dL/dh(t) of a network as the direction and v_1 at the same instant: whether the gradient points
    along the direction that survives longest (Appendix D of Engelken 2023). v_1 needs a past to converge, so that t = 0
    needs steps before it. Over many steps the gradient turns to the dual of v_1, which is orthogonal to v_2, v_3, … and
    equals v_1 only where the vectors are orthogonal: an overlap of 1 is the limit for normal dynamics, not for all. Two
    random directions have one of about √(2 / (π n)).

    Args:
        direction: [..., n], of any length but 0, however small.
        vectors: in columns, [..., n, k]; leading axes broadcast against those of `direction`.
        i: which of the k vectors, counted from 0.

    Returns:
        |cos| [...]; NaN where one of the two has length 0.

    Raises:
        ValueError: `i` is not one of the vectors, or the two have different n or leading axes.
    """
    vectors = _vectors("overlap", vectors)
    direction = arguments.real_tensor("overlap", "direction", direction, "[..., n]")
    n, last = vectors.shape[-2], vectors.shape[-1] - 1
    i = arguments.whole_number("overlap", "i", i, 0, last, allowed=f"from 0 to k - 1 = {last}")
    if direction.ndim < 1 or direction.shape[-1] != n:
        size = direction.shape[-1] if direction.ndim else "no axis of"
        raise ValueError(f"overlap: the direction has {size} numbers, but the vectors have {n}")
    try:
        torch.broadcast_shapes(direction.shape[:-1], vectors.shape[:-2])
    except RuntimeError:
        shapes = f"{list(direction.shape)} and {list(vectors.shape)}"
        raise ValueError(f"overlap: leading axes of direction and vectors do not fit each other: {shapes}") from None
    return (_unit(direction, -1) * _unit(vectors[..., i], -1)).sum(-1).abs().clamp(max=1.0)


def _vectors(caller: str, vectors: Tensor) -> Tensor:
    tensor = arguments.real_tensor(caller, "vectors", vectors, "[..., n, k]")
    if tensor.ndim < 2 or 0 in tensor.shape[-2:]:
        raise ValueError(f"{caller}: vectors must be of shape [..., n, k], got {list(tensor.shape)}")
    return tensor


def _unit(v: Tensor, dim: int) -> Tensor:
    """V / ‖v‖, also where ‖v‖² would underflow."""
    v = v / v.abs().amax(dim, keepdim=True)
    return v / torch.linalg.vector_norm(v, dim=dim, keepdim=True)
