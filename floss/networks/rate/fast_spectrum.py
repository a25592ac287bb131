"""Lyapunov exponents of rate networks without gradients: an analysis of any length, in few operations per step.

For small matrices calling an operation costs more than doing it. So the rate is one more row under the tangent vectors,
which are rows here, and one product takes both through W; and one QR decomposition closes an interval, of which nothing
is looked at before a chunk of steps is over. Then the chunk is checked as a whole:

- the intervals are lengthened while the condition number R_11/R_kk of each stays below 0.1/√ε (Appendix J), and the
  numbers within their range, and a chunk in which one exceeds it is done again with shorter ones. The exponents do not
  depend on the interval but for rounding: half of the digits of double precision are left to the smallest one;
- a chunk with a lost direction, or a network that is not finite, is done again by `orthonormalise`, which keeps such
  networks to themselves.

Small products gain nothing from a second thread and wait for it, so there is only one.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.orthonormalisation import orthonormalise, size_bound
from floss.lyapunov.threads import one_thread
from floss.networks.rate.activation import Activation

_EPS = torch.finfo(torch.float64).eps
_WIDEST = math.log(0.1 / _EPS**0.5)
"""Largest logarithm of an interval's condition number."""
_LOST = -math.log(1e4 * _EPS)
"""Logarithm of a condition number at which the smallest direction may be rounding noise."""
_FIRST_CHUNK, _CHUNK, _LONGEST = 8, 128, 16
"""Steps of the first chunk, of the others, and of an interval, at most."""


@torch.no_grad()
def rate_network_spectrum(
    W: Float[Tensor, "R N N"],
    V: Float[Tensor, "R N S"],
    b: Float[Tensor, "R N"],
    h0: Float[Tensor, "R N"],
    inputs: Float[Tensor, "T R S"],
    q0: Float[Tensor, "R N k"],
    activation: Activation,
    *,
    t_ons: int = 1,
    transient: int = 0,
) -> Float[Tensor, "R k"]:
    """What `reduced_adjoint.rate_network_exponents` returns, in float64, without a gradient and without memory.

    Args:
        W: recurrent weights.
        V: input weights; the drive is V x / S.
        b: biases.
        h0: initial states, one trajectory per network.
        inputs: x[1], …, x[T].
        q0: orthonormal initial tangent vectors.
        activation: transfer function φ.
        t_ons: shortest orthonormalisation interval in steps.
        transient: steps that are not counted.

    Returns:
        Exponents in nats per step, unsorted; -inf for directions lost to rank deficiency; NaN for a network that is
        not finite.

    Source: Eqs. 6, 7, 28 and Appendix J of Engelken 2023.
    """
    T, R = inputs.shape[:2]
    k = q0.shape[-1]
    run = _Run(W, V, b, h0, q0, activation, t_ons)
    lost = torch.zeros(R, k, dtype=torch.bool, device=W.device)
    total = torch.zeros(R, k, dtype=W.dtype, device=W.device)
    size = _FIRST_CHUNK
    with one_thread(W.shape[-1] * k):
        for start, stop in ((0, transient), (transient, T)):
            begin = start
            while begin < stop:
                end = min(begin + size, stop)
                growth = run.chunk(inputs[begin:end])
                lost |= growth == -torch.inf
                if start == transient:
                    total += growth
                begin, size = end, _CHUNK
    exponents = torch.where((lost.cumsum(-1) > 0) & ~total.isnan(), -torch.inf, total / (T - transient))
    return torch.where(torch.isfinite(run.h).all(-1, keepdim=True), exponents, torch.nan)


class _Run:
    """States h [R, N] and tangent vectors [R, k, N] on their way, and the length of the intervals."""

    def __init__(
        self, W: Tensor, V: Tensor, b: Tensor, h0: Tensor, q0: Tensor, activation: Activation, t_ons: int
    ) -> None:
        self.Wt, self.V, self.b, self.activation = W.mT.contiguous(), V, b, activation
        self.h, self.rows = h0, q0.mT
        self.shortest = self.length = t_ons

    def chunk(self, inputs: Float[Tensor, "C R S"]) -> Float[Tensor, "R k"]:
        """Through the steps of a chunk; the growth log R_ii over all of them."""
        drive = inputs.transpose(0, 1) @ (self.V.mT / self.V.shape[-1]) + self.b[:, None]
        drive = drive.transpose(0, 1).contiguous()
        while True:
            h, rows, diagonals = self._bare(drive)
            log_r = torch.stack(diagonals).abs_().log_().reshape(-1, *self.rows.shape[:2])
            spread = float((log_r.amax(-1) - log_r.amin(-1)).amax())
            filled = max(spread / _WIDEST, float(log_r.abs().amax()) / size_bound(log_r.dtype))
            if filled <= 1.0 or (self.length <= self.shortest and spread < _LOST):
                self.h, self.rows, growth = h.reshape(self.h.shape), rows.reshape(self.rows.shape), log_r.sum(0)
                break
            if self.length <= self.shortest:  # also where the spread is NaN
                growth = self._careful(drive)
                break
            fitting = int(0.95 * self.length / filled) if spread < math.inf else 1
            self.length = max(fitting, self.shortest)
        fitting = int(0.9 * self.length / max(filled, 1e-3)) if filled <= 1.0 else 1
        self.length = max(min(max(fitting, self.length), _LONGEST), self.shortest)
        return growth

    def _bare(self, drive: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The state and the tangent vectors after a chunk, and the diagonals of R."""
        k, n = self.rows.shape[1:]
        before, after = (drive.new_empty(len(self.Wt), k + 1, n) for _ in range(2))
        rows, h, Wt = self.rows, self.h.clone(), self.Wt
        product: Callable[..., Tensor] = torch.bmm
        if len(Wt) == 1:  # products of two matrices start faster than batched ones
            before, after, rows, h, Wt, drive = (v[0] for v in (before, after, rows, h, Wt, drive.unbind(1)))
            product = torch.mm
        rate, scaled, state, pushed = before[..., k, :], before[..., :k, :], after[..., k, :], after[..., :k, :]
        slope = torch.empty_like(h)
        each = slope.unsqueeze(-2)
        since, diagonals, value, slope_of = 0, [], self.activation.rate, self.activation.slope
        for d in drive.unbind():
            value(h, out=rate)
            slope_of(rate, out=slope)
            torch.mul(rows, each, out=scaled)
            product(before, Wt, out=after)
            torch.add(state, d, out=h)
            rows, since = pushed, since + 1
            if since == self.length:
                q, r = torch.linalg.qr(pushed.mT)
                rows, since = q.mT, 0
                diagonals.append(r.diagonal(dim1=-2, dim2=-1))
        if since:
            q, r = torch.linalg.qr(pushed.mT)
            rows = q.mT
            diagonals.append(r.diagonal(dim1=-2, dim2=-1))
        return h, rows, diagonals

    def _careful(self, drive: Tensor) -> Tensor:
        """The growth by orthonormalisations that never fail and keep bad networks to themselves.

        A Jacobian has at most as many independent directions as units respond; that count is exact, where a rounded
        R_ii would only be small.
        """
        growth = torch.zeros_like(self.rows[..., 0])
        column = torch.arange(growth.shape[-1], device=growth.device)
        for s, d in enumerate(drive):
            rate = self.activation.rate(self.h)
            slope = self.activation.slope(rate)
            growth = torch.where(column < (slope != 0).sum(-1, keepdim=True), growth, -torch.inf)
            self.rows = (self.rows * slope[:, None]) @ self.Wt
            self.h = (rate[:, None] @ self.Wt)[:, 0] + d
            if (s + 1) % self.shortest == 0 or s + 1 == len(drive):
                q, log_r, _ = orthonormalise(self.rows.mT, inverse=False)
                self.rows, growth = q.mT, growth + log_r
        return growth
