"""Impulse responses of linear students with their derivative backwards, by hand, for training.

Automatic differentiation keeps every power of the recurrence that doubling makes, and goes back through all of them.
By hand, for a slope s_τ = ∂L/∂k_τ, without D, which enters k_0 alone:

    diagonal   k_τ = Re Σ_j w_j λ_j^τ      w̄ = conj Σ_τ s_τ λ^τ,     λ̄ = conj (w Σ_τ τ s_τ λ^{τ-1})
    dense      k_τ = C A^τ B               C̄ = Σ_τ s_τ A^τ B,        B̄ = Σ_τ s_τ (Aᵀ)^τ C
                                           Ā = Σ_{i+j<T-1} s_{i+j+1} (Aᵀ)^i C (A^j B)ᵀ

Automatic differentiation of `impulse_response` is the slow twin.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from floss.networks.linear_students.impulse_response import Pair, Parameters, Student

Pullback = Callable[[Tensor], Parameters]
"""The gradient of every parameter for a slope [..., T]."""


_COLUMNS = 80
"""States whose costates are computed together."""


@torch.no_grad()
def response_with_pullback(
    student: Student, parameters: Parameters, steps: int
) -> tuple[Float[Tensor, "*batch steps"], Pullback]:
    """k_0 … k_{T-1}, and what takes ∂L/∂k to the gradient of each parameter.

    Args:
        student: one of the `STUDENTS`.
        parameters: its parameters by name, real, with the same leading axes.
        steps: T ≥ 1.

    Source: the sums above follow from k; they are tested against automatic differentiation.
    """
    k, pull = (_dense if student.modes is None else _diagonal)(student, parameters, steps)
    k[..., 0] += parameters["D"]
    return k, lambda slope: {**pull(slope), "D": slope[..., 0]}


def _diagonal(student: Student, parameters: Parameters, steps: int) -> tuple[Tensor, Pullback]:
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items() if name != "D"}
    assert student.modes is not None
    with torch.enable_grad():
        lam, weight = student.modes(leaves)
    w = torch.stack([part.detach() for part in weight], -2)  # [..., 2, n]
    powers = _powers((lam[0].detach(), lam[1].detach()), steps)  # [..., n, T] each
    k = w[..., :1, :] @ powers[0] - w[..., 1:, :] @ powers[1]

    def pull(slope: Tensor) -> Parameters:
        # For w the slope itself; for λ the slope times τ, one step later.
        tau = torch.arange(1, steps, dtype=slope.dtype, device=slope.device)
        both = torch.stack((slope, torch.nn.functional.pad(slope[..., 1:] * tau, (0, 1))), -1)
        (w_re, q_re), (w_im, q_im) = ((part @ both).unbind(-1) for part in powers)
        re, im = w.unbind(-2)
        bars = (re * q_re - im * q_im, -re * q_im - im * q_re, w_re, -w_im)
        gradient = torch.autograd.grad((*lam, *weight), list(leaves.values()), bars)
        return dict(zip(leaves, gradient, strict=True))

    return k[..., 0, :], pull


def _powers(lam: Pair, steps: int) -> Pair:
    """λ^0 … λ^{T-1} [..., n, T] by doubling, as real and imaginary parts, without a graph."""
    re, im = (lam[0].new_empty(*lam[0].shape, steps) for _ in range(2))
    re[..., 0], im[..., 0] = 1.0, 0.0
    (a, b), have = (part[..., None] for part in lam), 1
    while have < steps:
        more = min(have, steps - have)
        x, y = re[..., :more], im[..., :more]
        torch.mul(x, a, out=re[..., have : have + more]).addcmul_(y, b, value=-1)
        torch.mul(x, b, out=im[..., have : have + more]).addcmul_(y, a)
        a, b, have = a * a - b * b, 2 * a * b, have + more
    return re, im


def _dense(student: Student, parameters: Parameters, steps: int) -> tuple[Tensor, Pullback]:  # noqa: ARG001
    A = parameters["A"]
    B, C = (parameters[name].unflatten(-1, A.shape[-3:-1]) for name in ("B", "C"))
    squares = [A]
    while 2 ** len(squares) < steps:
        squares.append(squares[-1] @ squares[-1])
    states = _pushed(squares, B, steps)  # [..., H, m, T]
    k = (C[..., None, :] @ states)[..., 0, :].sum(-2)

    def pull(slope: Tensor) -> Parameters:
        costates = _pushed([square.mT for square in squares], C, steps)
        b, c = (torch.einsum("...hit,...t->...hi", part, slope).flatten(-2) for part in (costates, states))
        # s_{i+j+1} for i, j < T - 1: windows of the slope and as many zeros, which are skipped.
        a, last = torch.zeros_like(A), steps - 1
        windows = torch.nn.functional.pad(slope[..., 1:], (0, max(last, 1))).unfold(-1, max(last, 1), 1)
        for first in range(0, last, _COLUMNS):
            end, most = min(first + _COLUMNS, last), last - first
            a += costates[..., :most] @ windows[..., None, :most, first:end] @ states[..., first:end].mT
        return {"A": a, "B": b, "C": c}

    return k, pull


def _pushed(squares: list[Tensor], start: Tensor, steps: int) -> Tensor:
    """A^τ b for τ = 0 … T-1 [..., m, T], of A, A², A⁴, … and b."""
    out = start.new_empty(*start.shape, steps)
    out[..., 0], have = start, 1
    for square in squares:
        if have >= steps:
            break
        more = min(have, steps - have)
        # Two columns at least: a product with a single one has other bits where there is one matrix alone.
        columns = out[..., :more] if more > 1 else torch.nn.functional.pad(out[..., :1], (0, 1))
        out[..., have : have + more] = (square @ columns)[..., :more]
        have += more
    return out
