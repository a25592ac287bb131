"""Initial parameters of many networks, and how far a sample may be from its distribution."""

import math

import torch
from problems import DOUBLE

from floss.networks import CELLS

SIGMAS = 5.0
"""Tolerance of moments in standard errors."""
R, N, S = 300, 20, 3


def draw(arch, *, g=0.9, count=R, dtype=DOUBLE, relaxation=0, **options):
    gains = torch.full((count,), g, dtype=dtype)
    return CELLS[arch].initial_parameters(
        torch.arange(count), gains, n=N, inputs=S, batch=1, dtype=dtype, relaxation=relaxation, **options
    )


def assert_uniform(sample: torch.Tensor, low: float, high: float) -> None:
    """Kolmogorov-Smirnov at 5·10⁻⁵, and no number outside."""
    x = ((sample.flatten() - low) / (high - low)).sort().values
    assert float(x[0]) >= 0.0
    assert float(x[-1]) < 1.0
    rank = torch.arange(len(x) + 1, dtype=DOUBLE) / len(x)
    distance = torch.maximum((rank[1:] - x).abs().max(), (x - rank[:-1]).abs().max())
    assert float(distance) < math.sqrt(-0.5 * math.log(0.5 * 5e-5) / len(x))


def assert_normal(sample: torch.Tensor, mean: float, deviation: float) -> None:
    """First, second and fourth moment."""
    x = (sample.flatten() - mean) / deviation
    error = SIGMAS / len(x) ** 0.5
    assert abs(float(x.mean())) < error
    assert abs(float(x.square().mean()) - 1.0) < error * 2.0**0.5
    assert abs(float(x.square().square().mean()) - 3.0) < error * 96.0**0.5
