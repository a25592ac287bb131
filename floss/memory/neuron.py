"""One linear neuron, h_t = λ h_{t-1} + x_t: second moments of its state, and of its state's derivative.

The input x is real and wide-sense stationary, R(Δ) = E[x_{t+Δ} x_t]; |λ| < 1, complex in general.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

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
    if autocorrelation.ndim != 1 or not len(autocorrelation):
        raise ValueError(
            f"autocorrelation: must be R(0), R(1), …, one number for each lag, not {autocorrelation.shape}"
        )
    r = eigenvalue.abs() ** 2
    _require(bool((r < 1).all()), f"eigenvalue: must be inside the unit circle, not {_worst(eigenvalue)}")
    lags = torch.arange(len(autocorrelation), device=autocorrelation.device)
    # A cumulative product: λ^Δ from its logarithm loses the phase at long lags.
    powers = torch.ones_like(eigenvalue)[..., None].repeat(*[1] * eigenvalue.ndim, len(lags))
    powers[..., 1:] = eigenvalue[..., None]
    powers = powers.cumprod(-1).real if eigenvalue.is_complex() else powers.cumprod(-1)
    weights = torch.where(lags == 0, 1.0, 2.0) * powers * autocorrelation
    s1, s2 = weights.sum(-1), (lags * weights).sum(-1)
    return s1 / (1.0 - r), (1.0 + r) / (1.0 - r) ** 3 * s1 + s2 / (1.0 - r) ** 2


def _checked(a: Number, b: Number, rho: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    left, right = (v if isinstance(v, Tensor) else torch.tensor(v, dtype=_dtype(v)) for v in (a, b))
    correlation = torch.as_tensor(rho, dtype=torch.float64) if not isinstance(rho, Tensor) else rho
    _require(
        not correlation.is_complex() and bool(((correlation >= 0) & (correlation <= 1)).all()),
        f"rho: must be between 0 and 1, not {_worst(correlation)}",
    )
    _require(bool(((left * right).abs() < 1).all()), f"a b: must be inside the unit circle, not {_worst(left * right)}")
    for name, value in (("a", left), ("b", right)):
        inside = bool(((correlation * value).abs() < 1).all())
        _require(inside, f"rho {name}: must be inside the unit circle, not {_worst(correlation * value)}")
    return left, right, correlation


def _dtype(value: float | complex) -> torch.dtype:
    return torch.complex128 if isinstance(value, complex) else torch.float64


def _worst(value: Tensor) -> str:
    flat = value.detach().reshape(-1)
    return f"{flat[flat.abs().argmax()].item():.6g}" if len(flat) else "nothing"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
