"""A gated neuron whose gate does not move: h_t = λ h_{t-1} + (1 - λ) x_t with λ = σ(b)."""

import torch
from jaxtyping import Float
from torch import Tensor

from floss.memory.arguments import numbers, require
from floss.memory.neuron import sensitivity_moment, state_moment


def gated_moments(
    bias: Float[Tensor, "*batch"], variances: Float[Tensor, "m"], correlations: Float[Tensor, "m"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """E h² and E (∂h/∂b)² of a GRU's or LSTM's cell with a constant forget gate λ = σ(b), coupled to its input gate.

        G(a, b) = (1 - a) (1 - b) Σ_i R_i F(a, b, ρ_i)
        E h² = G(λ, λ),     E (∂h/∂b)² = ∂²G/∂a∂b (λ, λ) (λ (1 - λ))²

    The input has R(Δ) = Σ_i R_i ρ_i^|Δ|. Both stay bounded as λ → 1: a gate normalises its input, and its bias moves λ
    the less, the closer it is to one.

    Args:
        bias: b; the time constant is 1 / (1 - λ) = 1 + e^b steps.
        variances: R_i.
        correlations: ρ_i, from 0 to 1.

    Returns:
        E h² and E (∂h/∂b)², of the shape of `bias`.

    Raises:
        ValueError: variances and correlations differ in number, a correlation is not between 0 and 1, or a bias is not
            finite.

    Source: App. C of Zucchet & Orvieto 2024 (whose notebook adds two terms that do not belong there).
    """
    bias = numbers("bias", bias, real=True)
    variances, correlations = (
        numbers("variances", variances, real=True),
        numbers("correlations", correlations, real=True),
    )
    if variances.shape != correlations.shape or variances.ndim != 1:
        shapes = f"{list(variances.shape)} and {list(correlations.shape)}"
        raise ValueError(f"variances, correlations: must be two lists of one length, not of shapes {shapes}")
    require(torch.isfinite(bias), "bias: must be finite", bias)
    lam = torch.sigmoid(bias)[..., None]
    remainder = torch.sigmoid(-bias)[..., None]  # 1 - λ without cancellation
    f = state_moment(lam, lam, correlations)
    s = sensitivity_moment(lam, lam, correlations)
    # ∂F/∂a at a = b = λ: half the derivative of F(λ, λ), since F is symmetric.
    slope = _slope(lam, correlations)
    mixed = remainder**2 * s - 2.0 * remainder * slope + f
    state = (remainder**2 * f * variances).sum(-1)
    sensitivity = (mixed * variances).sum(-1) * (lam * remainder)[..., 0] ** 2
    return state, sensitivity


def _slope(lam: Tensor, rho: Tensor) -> Tensor:
    """∂F/∂a (λ, λ, ρ) = [λ (1 - ρ²) / (1 - ρ² λ²) + ρ (1 - λ²) / (1 - ρλ)] F / (1 - λ²)."""
    r = lam**2
    own = lam * (1.0 - rho**2) / (1.0 - rho**2 * r) + rho * (1.0 - r) / (1.0 - rho * lam)
    return own * state_moment(lam, lam, rho) / (1.0 - r)
