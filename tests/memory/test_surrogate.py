"""Surrogate embeddings: their autocorrelation, what their sequences share, and the fit."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false

import re

import pytest
import torch

from floss.memory import SURROGATES, fit_autocorrelation, measured_autocorrelation, surrogate_embeddings
from floss.memory.surrogate import EMBEDDINGS, Autocorrelation

SEEDS = torch.arange(2)


def slow_twin(x: torch.Tensor, lag: int) -> float:
    steps = x.shape[1]
    terms = [float((x[:, t] * x[:, t + lag]).mean()) for t in range(steps - lag)]
    return sum(terms) / len(terms)


def test_the_measured_autocorrelation_is_its_sum():
    x = surrogate_embeddings(SEEDS, 2, 13, 3)[0] + 0.3
    R = measured_autocorrelation(x, 13)
    assert R.tolist() == pytest.approx([slow_twin(x, lag) for lag in range(13)], rel=1e-12)


@pytest.mark.parametrize("kind", SURROGATES)
def test_the_autocorrelation_is_the_law(kind):
    """A fast law, so that the error is small: 4 sequences of 500 features, 200 steps."""
    law = Autocorrelation(0.3, 0.2, 0.8)
    x = surrogate_embeddings(torch.tensor([5]), 4, 200, 500, kind=kind, law=law)[0]
    expected = law.at(torch.arange(20.0).double())
    if kind == "white":
        expected = 0.5 * (torch.arange(20) == 0)
    # 400 000 numbers with a correlation time of about ten steps; four times fewer where sequences share the slow part.
    torch.testing.assert_close(measured_autocorrelation(x, 20), expected.double(), rtol=0, atol=6e-3)


def test_sequences_share_what_they_should():
    x = {kind: surrogate_embeddings(SEEDS, 2, 100, 400, kind=kind) for kind in SURROGATES}
    together = {kind: float((each[:, 0] * each[:, 1]).mean()) for kind, each in x.items()}
    assert together["shared"] == pytest.approx(EMBEDDINGS.slow, abs=0.01)
    assert abs(together["independent"]) < 0.01
    assert abs(together["white"]) < 0.01


def test_numbers_depend_on_their_own_seed_and_place_alone():
    both = surrogate_embeddings(SEEDS, 3, 7, 5)
    assert torch.equal(both[1:], surrogate_embeddings(SEEDS[1:], 3, 7, 5))
    assert torch.equal(both[:, :2], surrogate_embeddings(SEEDS, 2, 7, 5))
    assert not torch.equal(both[0], both[1])
    assert surrogate_embeddings(SEEDS, 1, 2, 3, dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("law", [EMBEDDINGS, Autocorrelation(0.0, 1.0, 0.5), Autocorrelation(0.1, 0.2, 0.99)])
def test_the_fit_finds_its_own_law(law):
    found = fit_autocorrelation(law.at(torch.arange(400.0).double()))
    assert (found.white, found.slow, found.decay) == pytest.approx((law.white, law.slow, law.decay), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("later", "parts"), [(-0.2, (1.0, 0.0)), (3.0, (0.0, 1.0))])
def test_both_parts_of_a_fit_are_variances(later, parts):
    """Anticorrelated sequences, and an autocorrelation above the variance, which no sequence has."""
    found = fit_autocorrelation(torch.tensor([1.0, *[later] * 20]))
    assert (found.white, found.slow) == parts
    assert surrogate_embeddings(SEEDS, 1, 5, 2, law=found).isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: surrogate_embeddings(SEEDS, 1, 2, 3, kind="pink"), "kind=pink: must be one of independent, shared"),
        (lambda: surrogate_embeddings(SEEDS, 0, 2, 3), "surrogate_embeddings: sequences=0 must be at least 1"),
        (lambda: measured_autocorrelation(torch.zeros(3, 2), 1), "measured_autocorrelation: x must have the axes"),
        (lambda: measured_autocorrelation(torch.zeros(1, 3, 2), 4), "measured_autocorrelation: lags=4 must be from 1"),
        (lambda: fit_autocorrelation(torch.zeros(3)), "fit_autocorrelation: autocorrelation must have R(0)"),
        (lambda: fit_autocorrelation(-torch.ones(5)), "fit_autocorrelation: R(0) = -1 must be a variance"),
        (
            lambda: surrogate_embeddings(SEEDS, 1, 2, 3, law=Autocorrelation(1.0, -0.1, 0.5)),
            "surrogate_embeddings: law=Autocorrelation(white=1.0, slow=-0.1, decay=0.5): white and slow must be",
        ),
        (
            lambda: surrogate_embeddings(SEEDS, 1, 2, 3, law=Autocorrelation(float("nan"), 0.1, 0.5)),
            "surrogate_embeddings: law=",
        ),
    ],
)
def test_what_cannot_be_asked(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()
