"""The fit to embeddings of one's own: it finds the law that made them, and its errors are as large as they say."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false

import math
import re

import pytest
import torch

from floss.memory import Autocorrelation, fit_embeddings, measured_autocorrelation, surrogate_embeddings

LAW = Autocorrelation(0.3, 0.1, 0.9)
REPETITIONS = 10


def numbers(law: Autocorrelation) -> list[float]:
    return [law.white, law.slow, law.decay]


def test_it_finds_white_noise_and_ar1_within_its_standard_errors():
    """Many arrays of a known law: errors are what they say, so deviations are 1 of them, root mean square."""
    every = surrogate_embeddings(torch.arange(REPETITIONS), 9, 100, 16, law=LAW)
    fits = [fit_embeddings(x) for x in every]
    off = torch.tensor([numbers(fit.law) for fit in fits]) - torch.tensor(numbers(LAW))
    in_errors = off / torch.tensor([numbers(fit.error) for fit in fits])
    # Ten ratios with Student's t of 8 degrees of freedom: three standard errors of their mean square, and the largest.
    assert ((in_errors**2).mean(0).sqrt() < 1.8).all()
    assert ((in_errors**2).mean(0).sqrt() > 0.5).all()
    assert (in_errors.abs() < 5).all()
    one = fit_embeddings(every.flatten(0, 1).float())  # 90 sequences, in 20 parts
    assert one.parts.shape == (20, 51)
    off = torch.tensor(numbers(one.law)) - torch.tensor(numbers(LAW))
    assert (off.abs() < 3 * torch.tensor(numbers(one.error))).all()
    assert off.abs().max() < 0.01


def test_what_was_fitted_is_the_measured_autocorrelation():
    x = surrogate_embeddings(torch.tensor([1]), 3, 21, 4, law=LAW)[0]
    fit = fit_embeddings(x.numpy())
    torch.testing.assert_close(fit.autocorrelation, measured_autocorrelation(x, 11), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(fit.parts[1], measured_autocorrelation(x[1:2], 11), rtol=1e-12, atol=1e-15)
    alone = fit_embeddings(x[:1])
    assert all(math.isnan(value) for value in numbers(alone.error))
    assert alone.law.white + alone.law.slow == pytest.approx(float(alone.autocorrelation[0]))


X = surrogate_embeddings(torch.tensor([0]), 2, 8, 3)[0]
HOLE = X.clone()
HOLE[1, 2, 0] = math.nan
FLAT = X.clone()
FLAT[:, :, 2] = 0.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[0], "x must have the axes [sequence, token, feature], got the shape [8, 3]"),
        (X[:, :7], "x must have sequences of at least 8 tokens, got 7"),
        (X[:0], "x must have at least one sequence, token and feature, got the shape [0, 8, 3]"),
        (HOLE, "x must have finite numbers, got nan in sequence 1, token 2, feature 0"),
        (FLAT, "x must have features that vary, got 0.5 everywhere in feature 2"),
        (X.long(), "x must be float32 or float64 of shape [sequences, tokens, features]"),
    ],
)
def test_what_is_no_array_of_embeddings(x, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'fit_embeddings: {message}')}"):
        fit_embeddings(x)
