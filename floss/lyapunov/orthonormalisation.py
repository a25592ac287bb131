"""Orthonormalisation of tangent vectors, never raising: what every QR chain of an ensemble is made of.

Directions that a rank-deficient Jacobian annihilates have log R_ii = -inf; they do not stop the others. How a chain of
these is differentiated is told in `floss.lyapunov.tangent_qr`.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from floss.lyapunov.qr import rank_tolerance

_NOISE = 32
"""Rounding in a product D Q is up to so many n ε · max R_jj (3000 ε was seen at n = 80); a direction below it is lost.
The matrix that `floss.qr` is given counts as exact, so its bound is narrower."""

_CHOLESKY_SPREAD = 1e5
"""Largest R_ii / R_jj for which the Gram matrix in float64 keeps all digits of single precision."""


def orthonormalisation_times(steps: int, t_ons: int, transient: int) -> Iterator[tuple[int, bool]]:
    """Ends of the orthonormalisation intervals, and whether the interval counts.

    Intervals of t_ons steps, first over the transient, then over the counted steps; the last one of each part is
    shorter where t_ons does not divide it, and is closed all the same.
    """
    for start, stop in ((0, transient), (transient, steps)):
        for begin in range(start, stop, t_ons):
            yield min(begin + t_ons, stop), start == transient


def size_bound(dtype: torch.dtype) -> float:
    """Largest |log R_ii| of one orthonormalisation interval: half of the exponents that a number can have.

    Where tangent vectors all grow or shrink alike their condition number stays near one until they overflow, or lose
    digits as denormal numbers.
    """
    return -0.5 * math.log(torch.finfo(dtype).tiny)


class Orthonormaliser:
    """QR decomposition of stacked matrices without a gradient, never raising: by Cholesky or by Householder.

    By the Cholesky factor of the Gram matrix in float64, which is batched on every device: once for single precision,
    twice for double precision (CholeskyQR2, Yamamoto et al. 2015). Where the R_ii of a network spread too much for it,
    that network goes through Householder reflections; in double precision on the CPU, all do.
    """

    @property
    def failed(self) -> Bool[Tensor, "R"] | None:
        """The networks whose results mean nothing, of all calls so far; None where there can be none."""
        return None

    def __call__(self, z: Float[Tensor, "R N k"], *, inverse: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Q [R, N, k], log diag R [R, k], and R^{-1} [R, k, k], or R itself without `inverse`.

        A dependent column and those after it get log R_ii = -inf. In double precision it is told from rounding noise
        with near certainty; in single precision, whose noise may exceed the R_ii of a sound matrix, it is not always. A
        network that is not finite gets NaN throughout and an arbitrary finite Q. R^{-1} is finite in any case.
        """
        if z.dtype == torch.float64 and z.device.type == "cpu":
            return _householder(z, inverse)
        q, log_r, third, failed = _cholesky(z, inverse)
        if failed.any():
            q[failed], log_r[failed], third[failed] = _householder(z[failed], inverse)
        return q, log_r, third


orthonormalise = Orthonormaliser()
"""The one that is used wherever nothing else is asked for."""


class CholeskyOrthonormaliser(Orthonormaliser):
    """By Cholesky factors alone, looking at no number on the way, so that a CUDA graph can hold it.

    A network whose R_ii spread too much is marked in `failed` instead.
    """

    def __init__(self, networks: int, device: torch.device | str = "cpu") -> None:
        """For chains of so many networks."""
        self._failed = torch.zeros(networks, dtype=torch.bool, device=device)

    @property
    def failed(self) -> Bool[Tensor, "R"]:
        return self._failed

    def __call__(self, z: Float[Tensor, "R N k"], *, inverse: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        q, log_r, third, failed = _cholesky(z, inverse)
        self._failed |= failed
        return q, log_r, third

    def reset(self) -> None:
        """No network has failed yet."""
        self._failed.zero_()


def _cholesky(z: Tensor, inverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q, log diag R, R^{-1} or R, and which networks this is not good enough for."""
    wide = z.double()
    q, factor, inverted, failed = _cholesky_once(wide)
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    if z.dtype == torch.float64:  # Q is orthonormal to the square of the condition number: make R of what is left
        q, again, inverted_again, failed_again = _cholesky_once(q)
        factor, inverted, failed = factor @ again, inverted @ inverted_again, failed | failed_again
        diagonal = diagonal * again.diagonal(dim1=-2, dim2=-1)
    third = inverted if inverse else factor.mT
    return q.to(z.dtype), diagonal.log().to(z.dtype), third.to(z.dtype), failed


def _cholesky_once(wide: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    factor, info = torch.linalg.cholesky_ex(wide.mT @ wide)
    identity = torch.eye(wide.shape[-1], dtype=torch.float64, device=wide.device).expand_as(factor)
    inverted = torch.linalg.solve_triangular(factor, identity, upper=False).mT
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    failed = (info != 0) | ~(diagonal.amin(-1) > diagonal.amax(-1) / _CHOLESKY_SPREAD)
    return wide @ inverted, factor, inverted, failed


def _householder(z: Tensor, inverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    q, r = torch.linalg.qr(z)
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    size = diagonal.abs()
    if not inverse and bool((size.amin(-1) > _tolerance(size, z.shape[-2])).all()):  # the usual case, in few calls
        sign = diagonal.sign()
        return q * sign[:, None, :], size.log(), r * sign[:, :, None]
    k = z.shape[-1]
    finite = torch.isfinite(z).all(-1).all(-1)
    identity = torch.eye(*z.shape[-2:], dtype=z.dtype, device=z.device)
    if not finite.all():
        q, r = torch.linalg.qr(torch.where(finite[:, None, None], z, identity))
        diagonal = r.diagonal(dim1=-2, dim2=-1)
    sign = torch.where(diagonal < 0, -1.0, 1.0).to(z.dtype)
    q, r = q * sign[:, None, :], r * sign[:, :, None]
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    sound = (diagonal > _tolerance(diagonal, z.shape[-2])[:, None]).cumprod(-1).bool()
    log_r = torch.where(sound, diagonal, 0.0).log()
    log_r = torch.where(finite[:, None], log_r, torch.nan)
    if not inverse:
        return q, log_r, r
    safe = torch.where(sound[:, :, None] & sound[:, None, :], r, identity[:k])
    return q, log_r, torch.linalg.solve_triangular(safe, identity[:k].expand_as(r), upper=True)


def _tolerance(diagonal: Tensor, n: int) -> Tensor:
    """Largest R_ii that may be rounding noise, [R]."""
    if diagonal.dtype == torch.float32:
        return rank_tolerance(diagonal, n)
    return diagonal.amax(-1) * (_NOISE * n * torch.finfo(diagonal.dtype).eps)
