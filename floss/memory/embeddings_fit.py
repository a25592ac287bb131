"""White noise and one slow exponential, fitted to word embeddings of one's own, with standard errors."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.arguments import real_tensor
from floss.memory.surrogate import Autocorrelation, fit_autocorrelation, measured_autocorrelation

LEAST_TOKENS = 8
"""Of a sequence: the fit needs R(Δ) at four lags, and takes those up to half of a sequence."""
PARTS = 20
"""Parts of the sequences that the standard errors come from, at most: each costs a fit."""


@dataclass(frozen=True)
class EmbeddingsFit:
    """The autocorrelation of some embeddings, and the law that fits it."""

    law: Autocorrelation
    """R(Δ) = white δ_{Δ0} + slow decay^Δ."""
    error: Autocorrelation
    """Standard errors of the three numbers, over sequences; NaN where there is one sequence alone."""
    autocorrelation: Float[Tensor, "lags"]
    """R(0), R(1), …, that was fitted, in squared units of the embeddings."""
    parts: Float[Tensor, "parts lags"]
    """The same of each part of the sequences."""


def fit_embeddings(x: Float[Tensor, "sequences tokens features"]) -> EmbeddingsFit:
    """Measure the autocorrelation of embeddings, and fit white noise and one exponential to it.

        R(Δ) = E[x_t x_{t+Δ}] ≈ white δ_{Δ0} + slow decay^Δ,     Δ = 0 … tokens // 2

    R is averaged over sequences and features; as in the paper nothing is centred and nothing is scaled. The fit is
    that of `fit_autocorrelation`. Standard errors are those of the jackknife over sequences, which alone are taken to
    be independent (over 20 parts of equal size where there are more sequences than that):

        error² = (G - 1)/G Σ_g (θ_g - mean θ)²,     θ_g: the fit without part g

    Args:
        x: float32 or float64 [sequence, token, feature], of at least 8 tokens, in whatever units.

    Returns:
        The fit, its errors, and what was fitted; `white` and `slow` in squared units of x, `decay` per token.

    Raises:
        ValueError: x has another dtype or number of axes, too few tokens, numbers that are not finite, or a feature
            that is the same number everywhere.

    Source: App. C and Fig. 12 of Zucchet & Orvieto 2024 for R and its fit; the errors are ours.
    """
    x = real_tensor("fit_embeddings", "x", x, "[sequences, tokens, features]")
    if fault := embeddings_fault(x):
        raise ValueError(f"fit_embeddings: x must {fault}")
    lags = x.shape[1] // 2 + 1
    each = torch.stack([measured_autocorrelation(sequence[None], lags) for sequence in x])  # one at a time, for memory
    whole, parts = each.mean(0), each.tensor_split(min(len(each), PARTS))
    law = fit_autocorrelation(whole)
    if len(parts) == 1:
        error = Autocorrelation(math.nan, math.nan, math.nan)
    else:
        without = [fit_autocorrelation((each.sum(0) - part.sum(0)) / (len(each) - len(part))) for part in parts]
        fits = torch.tensor([[fit.white, fit.slow, fit.decay] for fit in without], dtype=torch.float64)
        error = Autocorrelation(*((len(parts) - 1) * fits.var(0, correction=0)).sqrt().tolist())
    return EmbeddingsFit(law, error, whole, torch.stack([part.mean(0) for part in parts]))


def embeddings_fault(x: Any, least_tokens: int = LEAST_TOKENS) -> str:
    """What an array of embeddings must do and does not, in words that follow `must`; empty where nothing is wrong.

    Args:
        x: a tensor of any dtype and shape.
        least_tokens: how long a sequence must be.
    """
    shape = list(x.shape)
    if not x.is_floating_point():
        return f"have floating-point numbers, got {str(x.dtype).removeprefix('torch.')}"
    if x.ndim != 3:
        return f"have the axes [sequence, token, feature], got the shape {shape}"
    if 0 in shape:
        return f"have at least one sequence, token and feature, got the shape {shape}"
    if x.shape[1] < least_tokens:
        return f"have sequences of at least {least_tokens} tokens, got {x.shape[1]}"
    if not bool(x.isfinite().all()):
        sequence, token, feature = (~x.isfinite()).nonzero()[0].tolist()
        value = x[sequence, token, feature].item()
        return f"have finite numbers, got {value} in sequence {sequence}, token {token}, feature {feature}"
    constant = x.amax((0, 1)) == x.amin((0, 1))
    if bool(constant.any()):
        feature = int(constant.nonzero()[0])
        return f"have features that vary, got {x[0, 0, feature].item():g} everywhere in feature {feature}"
    return ""
