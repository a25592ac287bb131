"""Gaussian sequences with the autocorrelation of word embeddings, which stand in for them where the data cannot be had.

The paper embeds English Wikipedia with the embedding layer of BERT. What its theory needs of these data is their
autocorrelation alone, R(Δ) = E[x_t x_{t+Δ}], averaged over features and not centred, to which it fits white noise and
one exponential.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.arguments import real_tensor, whole_number
from floss.random import Stream, normal


@dataclass(frozen=True)
class Autocorrelation:
    """R(Δ) = white δ_{Δ0} + slow decay^Δ."""

    white: float
    slow: float
    decay: float

    def at(self, lags: Float[Tensor, "*lags"]) -> Float[Tensor, "*lags"]:
        """R at some lags Δ ≥ 0."""
        return self.white * (lags == 0) + self.slow * self.decay**lags


EMBEDDINGS = Autocorrelation(0.332, 0.0430564, 0.9970053)
"""The paper's fit to BERT embeddings of English Wikipedia (App. C), printed there as 0.044 · 0.997^Δ."""
SURROGATES = ("independent", "shared", "white")
"""Features are independent of each other in all three. `independent`: so are sequences. `shared`: the slow part is the
same for all sequences of a batch; it stands for what real embeddings have in common, their mean and their padding.
`white`: no slow part, white noise of the same variance."""


def surrogate_embeddings(
    seeds: Int64[Tensor, "R"],
    sequences: int,
    steps: int,
    features: int,
    *,
    kind: str = "independent",
    law: Autocorrelation = EMBEDDINGS,
    dtype: torch.dtype = torch.float64,
) -> Float[Tensor, "R sequences steps features"]:
    """Stationary Gaussian sequences with the autocorrelation of word embeddings.

        x_t = √white ε_t + z_t,     z_t = decay z_{t-1} + √(slow (1 - decay²)) η_t,     z_0 ~ N(0, slow)

    Args:
        seeds: one for each batch; its numbers depend on nothing else.
        sequences: number of sequences in a batch.
        steps: T, their length.
        features: number of features.
        kind: a name from `SURROGATES`.
        law: the autocorrelation.
        dtype: of the result; computed in float64.

    Returns:
        x [R, sequences, steps, features], in the units of the embeddings.

    Raises:
        ValueError: an unknown kind, a number that is not at least 1, or a law that is none of white noise and an
            exponential that decays.

    Source: App. C of Zucchet & Orvieto 2024 for the fit; the sequences are ours.
    """
    if kind not in SURROGATES:
        raise ValueError(f"kind={kind}: must be one of {', '.join(SURROGATES)}")
    sizes = {"sequences": sequences, "steps": steps, "features": features}
    sequences, steps, features = (whole_number("surrogate_embeddings", *size, 1) for size in sizes.items())
    if not (law.white >= 0.0 and law.slow >= 0.0 and 0.0 <= law.decay <= 1.0 and math.isfinite(law.white + law.slow)):
        raise ValueError(f"surrogate_embeddings: law={law}: white and slow must be at least 0, decay from 0 to 1")
    white = _noise(seeds, sequences, steps, features, part=0)
    if kind == "white":
        return (math.sqrt(law.white + law.slow) * white).to(dtype)
    z = math.sqrt(law.slow) * _noise(seeds, 1 if kind == "shared" else sequences, steps, features, part=1)
    gain = math.sqrt(1.0 - law.decay**2)
    for t in range(1, steps):
        z[:, :, t] = law.decay * z[:, :, t - 1] + gain * z[:, :, t]
    return (math.sqrt(law.white) * white + z).to(dtype)


def _noise(seeds: Tensor, sequences: int, steps: int, features: int, part: int) -> Tensor:
    """Standard normal [R, sequences, steps, features]; a sequence's numbers do not depend on how many there are."""
    each = [
        normal(seeds, Stream.EVALUATION, steps * features, epoch=number, part=part, dtype=torch.float64)
        for number in range(sequences)
    ]
    return torch.stack(each, dim=1).unflatten(-1, (steps, features))


def measured_autocorrelation(x: Float[Tensor, "sequences steps features"], lags: int) -> Float[Tensor, "lags"]:
    """R(0) … R(lags - 1): Σ_t x_t x_{t+Δ} / (T - Δ), averaged over sequences and features, and not centred.

    Args:
        x: sequences of features; for embeddings of one's own, [sequence, token, feature].
        lags: how many, at most T.

    Returns:
        R [lags], float64.

    Raises:
        ValueError: x has another number of axes, or there are more lags than steps.

    Source: App. C of Zucchet & Orvieto 2024.
    """
    x = real_tensor("measured_autocorrelation", "x", x, "[sequences, steps, features]")
    if x.ndim != 3:
        raise ValueError(f"measured_autocorrelation: x must have the axes [sequences, steps, features], got {x.ndim}")
    steps = x.shape[1]
    if not 1 <= lags <= steps:
        raise ValueError(f"measured_autocorrelation: lags={lags} must be from 1 to {steps}, the number of steps")
    # Σ_t x_t x_{t+Δ} by FFT, with zeros behind so that nothing wraps around.
    spectrum = torch.fft.rfft(x.double(), n=2 * steps, dim=1)
    products = torch.fft.irfft((spectrum.abs() ** 2).mean((0, 2)), n=2 * steps)[:lags]
    return products / (steps - torch.arange(lags, dtype=torch.float64, device=x.device))


def fit_autocorrelation(autocorrelation: Float[Tensor, "lags"]) -> Autocorrelation:
    """White noise and one exponential, by least squares over Δ ≥ 1; what R(0) has beyond the exponential is white.

    Both are variances: the exponential's weight is from 0 to R(0), whatever fits better.

    Args:
        autocorrelation: R(0), R(1), …, at least four of them.

    Returns:
        The fit; `decay` is from 0 to 1.

    Raises:
        ValueError: there are fewer than four lags, or R(0) is negative.

    Source: App. C of Zucchet & Orvieto 2024.
    """
    R = real_tensor("fit_autocorrelation", "autocorrelation", autocorrelation, "[lags]").double()
    if R.ndim != 1 or len(R) < 4:
        raise ValueError("fit_autocorrelation: autocorrelation must have R(0), R(1), R(2), R(3) and further lags")
    variance = float(R[0])
    if variance < 0.0:
        raise ValueError(f"fit_autocorrelation: R(0) = {variance:g} must be a variance, at least 0")
    lags = torch.arange(1, len(R), dtype=torch.float64, device=R.device)

    def best(decay: float) -> tuple[float, float]:
        """Error and weight of an exponential."""
        powers = decay**lags
        slow = min(max(float((powers * R[1:]).sum() / (powers**2).sum()), 0.0), variance)
        return float(((R[1:] - slow * powers) ** 2).sum()), slow

    # In the logarithm of the time constant: a coarse scan, then golden sections between its neighbours.
    places = torch.linspace(math.log(0.1), math.log(1e3 * len(R)), 200).tolist()
    decay_of = lambda place: math.exp(-math.exp(-place))  # noqa: E731
    i = min(range(len(places)), key=lambda i: best(decay_of(places[i]))[0])
    low, high = places[max(i - 1, 0)], places[min(i + 1, len(places) - 1)]
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(80):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if best(decay_of(left))[0] < best(decay_of(right))[0]:
            high = right
        else:
            low = left
    decay = decay_of((low + high) / 2.0)
    slow = best(decay)[1]
    return Autocorrelation(variance - slow, slow, decay)
