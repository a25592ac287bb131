"""One linear neuron, h_t = λ h_{t-1} + x_t: second moments of its state, and of its state's derivative.

The input x is real and wide-sense stationary, R(Δ) = E[x_{t+Δ} x_t]; |λ| < 1, complex in general.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from floss.memory.arguments import numbers, require
from floss.networks.linear_students.impulse_response import powers

Number = float | complex | Tensor


def state_moment(a: Number, b: Number, rho: float | Tensor = 0.0) -> Tensor:
    """E[h^a h^b] of two neurons that are driven by the same input, R(Δ) = ρ^|Δ|.

        F(a, b, ρ) = (1 - ρ² ab) / [(1 - ab) (1 - ρa) (1 - ρb)]

    The variance of a state is E|h|² = F(λ, λ̄, ρ): 1 / (1 - |λ|²) for white input, 1 / |1 - λ|² for a constant one.

    Args:
        a: recurrent weight of the first neuron, real or complex.
        b: that of the second, broadcastable to it; |ab| < 1, |ρa| < 1, |ρb| < 1.
        rho: correlation of the input from one step to the next, 0 (white) to 1 (constant), real.

    Returns:
        F, of the shape that a, b and ρ broadcast to; complex where a or b is. In units of R(0).

    Raises:
        ValueError: outside the region where the state is stationary.

    Source: Sec. 3 and App. A of Zucchet & Orvieto 2024.
    """
    a, b, rho = _checked(a, b, rho)
    return (1.0 - rho**2 * a * b) / ((1.0 - a * b) * (1.0 - rho * a) * (1.0 - rho * b))


def sensitivity_moment(a: Number, b: Number, rho: float | Tensor = 0.0) -> Tensor:
    """E[∂h^a/∂a ∂h^b/∂b] of two neurons that are driven by the same input, R(Δ) = ρ^|Δ|.

        S(a, b, ρ) = ∂²F/∂a∂b
                   = (1 + ab) (1 - ρ² ab) / [(1 - ab)³ (1 - ρa) (1 - ρb)]
                     + [ρa / (1 - ρa)² + ρb / (1 - ρb)²] / (1 - ab)²

    The sensitivity of a state to its own recurrent weight is E|∂h/∂λ|² = S(λ, λ̄, ρ): (1 + |λ|²) / (1 - |λ|²)³ for white
    input. It grows as 1 / (1 - |λ|)³, and as 1 / (1 - |λ|)⁴ where the input is constant. The paper prints (1 - ρ) in
    two places of its common denominator where (1 - ρ²) belongs: it is right at ρ = 0 and ρ = 1 alone.

    Args:
        a: recurrent weight of the first neuron, real or complex.
        b: that of the second, broadcastable to it; |ab| < 1, |ρa| < 1, |ρb| < 1.
        rho: correlation of the input from one step to the next, 0 to 1.

    Returns:
        S, of the shape that a, b and ρ broadcast to. In units of R(0).

    Raises:
        ValueError: outside the region where the state is stationary.

    Source: Sec. 3 and App. A of Zucchet & Orvieto 2024, corrected.
    """
    a, b, rho = _checked(a, b, rho)
    ab, left, right = a * b, 1.0 - rho * a, 1.0 - rho * b
    own = (1.0 + ab) * (1.0 - rho**2 * ab) / ((1.0 - ab) ** 3 * left * right)
    return own + (rho * a / left**2 + rho * b / right**2) / (1.0 - ab) ** 2


def moments(
    eigenvalue: Complex[Tensor, "*batch"] | Float[Tensor, "*batch"], autocorrelation: Float[Tensor, "lags"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """E|h|² and E|∂h/∂λ|² for any stationary input, from its autocorrelation.

        E|h|² = S₁ / (1 - r),     E|∂h/∂λ|² = (1 + r) / (1 - r)³ S₁ + S₂ / (1 - r)²,     r = |λ|²
        S₁ = R(0) + 2 Σ_{Δ≥1} Re λ^Δ R(Δ),     S₂ = 2 Σ_{Δ≥1} Δ Re λ^Δ R(Δ)

    Args:
        eigenvalue: λ, |λ| < 1.
        autocorrelation: R(0), R(1), …; zero for all further lags.

    Returns:
        E|h|² and E|∂h/∂λ|², in units of R(0).

    Raises:
        ValueError: |λ| ≥ 1, or no autocorrelation.

    Source: App. A of Zucchet & Orvieto 2024.
    """
    eigenvalue = numbers("eigenvalue", eigenvalue)
    autocorrelation = numbers("autocorrelation", autocorrelation, real=True)
    if autocorrelation.ndim != 1 or not len(autocorrelation):
        shape = list(autocorrelation.shape)
        raise ValueError(f"autocorrelation: must be R(0), R(1), …, one number for each lag, not of shape {shape}")
    r = eigenvalue.abs() ** 2
    require(r < 1, "eigenvalue: must be inside the unit circle", eigenvalue)
    lags = torch.arange(len(autocorrelation), device=autocorrelation.device)
    real = powers(eigenvalue, len(lags))
    real = real.real if real.is_complex() else real
    weights = torch.where(lags == 0, 1.0, 2.0) * real * autocorrelation
    s1, s2 = weights.sum(-1), (lags * weights).sum(-1)
    return s1 / (1.0 - r), (1.0 + r) / (1.0 - r) ** 3 * s1 + s2 / (1.0 - r) ** 2


def _checked(a: Number, b: Number, rho: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    left, right, correlation = numbers("a", a), numbers("b", b), numbers("rho", rho, real=True)
    require((correlation >= 0) & (correlation <= 1), "rho: must be between 0 and 1", correlation)
    inside = {"a b": left * right, "rho a": correlation * left, "rho b": correlation * right}
    for name, value in inside.items():
        require(value.abs() < 1, f"{name}: must be inside the unit circle", value)
    return left, right, correlation
