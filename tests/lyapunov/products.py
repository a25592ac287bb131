"""Products of Jacobians, and their condition number by the slow way."""

import mpmath
import torch
from problems import gaussian

TWIN = 1e-9
"""Of log₁₀ κ₂ against many digits: the products below have Jacobians of condition number 10⁵ at most."""
SAME = 1e-12
"""Of log₁₀ κ₂ up to a few hundred, summed in another order."""


def tanh_network(seed: int, n: int, steps: int, g: float = 1.0) -> torch.Tensor:
    """Jacobians D = W diag(1 - tanh²(h)) along h' = W tanh(h) + V x + b, [T, n, n]."""
    W, V, b = g * gaussian(seed, n, n) / n**0.5, gaussian(seed + 1, n), 0.1 * gaussian(seed + 2, n)
    h, x, jacobians = gaussian(seed + 3, n), gaussian(seed + 4, steps), []
    for t in range(steps):
        jacobians.append(W * (1.0 - torch.tanh(h) ** 2))
        h = W @ torch.tanh(h) + V * x[t] + b
    return torch.stack(jacobians)


def slow_condition(jacobians: torch.Tensor, q: torch.Tensor) -> float:
    """log₁₀ κ₂ of D[T-1] ⋯ D[0] Q, with 250 decimal digits."""
    with mpmath.workdps(250):
        product = mpmath.matrix(q.tolist())
        for D in jacobians.tolist():
            product = mpmath.matrix(D) * product
        values = mpmath.svd_r(product, compute_uv=False)
        return float(mpmath.log10(max(values) / min(values)))


def singular(kind: str, D: torch.Tensor) -> torch.Tensor:
    """Jacobians [T, n, n] of which the third is singular."""
    D = D.clone()
    if kind == "zero":
        D[2] = 0.0
    elif kind == "silent unit":
        D[2, :, 1] = 0.0
    elif kind == "row":
        D[2, 0] = 0.0
    elif kind == "dependent columns":
        D[2, :, 0] = D[2, :, 1:].sum(-1)
    return D
