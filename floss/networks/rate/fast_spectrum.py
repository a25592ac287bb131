"""Lyapunov exponents of rate networks without gradients: an analysis of any length, in few operations per step.

For small matrices calling an operation costs more than doing it. So the rate is one more row under the tangent vectors,
which are rows here, and one product takes both through W; and one QR decomposition closes an interval, of which nothing
is looked at before a chunk of steps is over. Then the chunk is checked as a whole:

- the intervals are lengthened while the condition number R_11/R_kk of each stays below 0.1/√ε (Appendix J), and the
  numbers within their range, and a chunk in which one exceeds it is done again with shorter ones. The exponents do not
  depend on the interval but for rounding: half of the digits of double precision are left to the smallest one;
- a chunk with a lost direction, or a network that is not finite, is done again by `orthonormalise`, which keeps such
  networks to themselves.

The growth is added up in double precision, whatever the states are. Small products gain nothing from a second thread
and wait for it, so there is only one. A single network goes through compiled code, a chunk of steps in one call.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.orthonormalisation import orthonormalise, size_bound
from floss.lyapunov.threads import one_thread
from floss.networks.rate.activation import Activation
from floss.networks.rate.compiled_chain import compiled_chain

_EPS = torch.finfo(torch.float64).eps
_WIDEST = {torch.float64: math.log(0.1 / _EPS**0.5), torch.float32: math.log(30.0)}
"""Largest logarithm of an interval's condition number."""
_LOST = {torch.float64: -math.log(1e4 * _EPS), torch.float32: math.log(1e5)}
"""Logarithm of a condition number at which the smallest direction may be rounding noise."""
_FIRST_CHUNK, _CHUNK, _COMPILED_CHUNK, _LONGEST = 8, 128, 1024, 16
"""Steps of the first chunk, of the others, of those of compiled code, and of an interval, at most."""


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
    compiled: bool = True,
) -> Float[Tensor, "R k"]:
    """What `reduced_adjoint.rate_network_exponents` returns, without a gradient and without memory.

    The growth is added up in float64.

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
        compiled: whether a single network may go through compiled code.

    Returns:
        Exponents in nats per step, unsorted; -inf for directions lost to rank deficiency; NaN for a network that is
        not finite.

    Source: Eqs. 6, 7, 28 and Appendix J of Engelken 2023.
    """
    T, R = inputs.shape[:2]
    k = q0.shape[-1]
    run = _Run(W, V, b, h0, q0, activation=activation, t_ons=t_ons, compiled=compiled)
    lost = torch.zeros(R, k, dtype=torch.bool, device=W.device)
    total = torch.zeros(R, k, dtype=torch.float64, device=W.device)
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
                begin, size = end, _CHUNK if run.compiled is None else _COMPILED_CHUNK
    exponents = torch.where((lost.cumsum(-1) > 0) & ~total.isnan(), -torch.inf, total / (T - transient))
    return torch.where(torch.isfinite(run.h).all(-1, keepdim=True), exponents, torch.nan).to(q0.dtype)


class _Run:
    """States h [R, N] and tangent vectors [R, k, N] on their way, and the length of the intervals."""

    def __init__(self, *tensors: Tensor, activation: Activation, t_ons: int, compiled: bool) -> None:
        W, self.V, self.b, self.h, q0 = tensors
        self.Wt, self.rows, self.activation = W.mT.contiguous(), q0.mT, activation
        self.shortest = self.length = t_ons
        one = compiled and len(W) == 1
        self.compiled = compiled_chain(self.Wt[0], q0.shape[-1], activation) if one else None
        """Steps of a single network in one call."""

    def chunk(self, inputs: Float[Tensor, "C R S"]) -> Float[Tensor, "R k"]:
        """Through the steps of a chunk; the growth log R_ii over all of them."""
        drive = inputs.transpose(0, 1) @ (self.V.mT / self.V.shape[-1]) + self.b[:, None]
        drive = drive.transpose(0, 1).contiguous()
        while True:
            h, rows, diagonals = self._bare(drive)
            log_r = diagonals.abs().log_().reshape(-1, *self.rows.shape[:2])
            spread = float((log_r.amax(-1) - log_r.amin(-1)).amax())
            filled = max(spread / _WIDEST[h.dtype], float(log_r.abs().amax()) / size_bound(h.dtype))
            if filled <= 1.0 or (self.length <= self.shortest and spread < _LOST[h.dtype]):
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

    def _bare(self, drive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state and the tangent vectors after a chunk, and the diagonals of R."""
        steps = len(drive)
        if self.compiled is not None:
            ends = sorted({*range(self.length, steps, self.length), steps})
            return self.compiled(self.h[0], self.rows[0], drive[:, 0], ends)
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
            steps -= 1
            if since == self.length or not steps:
                q, r = torch.linalg.qr(pushed.mT)
                rows, since = q.mT, 0
                diagonals.append(r.diagonal(dim1=-2, dim2=-1))
        return h, rows, torch.stack(diagonals).double()

    def _careful(self, drive: Tensor) -> Tensor:
        """The growth by orthonormalisations that never fail and keep bad networks to themselves.

        A Jacobian has at most as many independent directions as units respond; that count is exact, where a rounded
        R_ii would only be small.
        """
        growth = torch.zeros_like(self.rows[..., 0], dtype=torch.float64)
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
