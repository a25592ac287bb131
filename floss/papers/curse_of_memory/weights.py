"""Initial weights that Figs 5, 13 and 15 share."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.random import Stream, uniform

_WITHIN = math.erf(math.sqrt(2.0))
"""Probability that a normal number is within two standard deviations."""
_DEVIATION = math.sqrt(1.0 - 2.0 * math.sqrt(2.0 / math.pi) * math.exp(-2.0) / _WITHIN)
"""Standard deviation of a normal number that is."""


def lecun(seeds: Int64[Tensor, "R"], outputs: int, inputs: int, part: int) -> Float[Tensor, "R {outputs} {inputs}"]:
    """Weights of variance 1 / inputs: normal numbers within two standard deviations, scaled (LeCun et al. 1998)."""
    u = uniform(seeds, Stream.WEIGHTS, outputs * inputs, part=part, dtype=torch.float64) + 2.0**-25
    numbers = math.sqrt(2.0) / _DEVIATION * torch.erfinv((2.0 * u - 1.0) * _WITHIN)
    return (numbers / math.sqrt(inputs)).reshape(len(seeds), outputs, inputs)
