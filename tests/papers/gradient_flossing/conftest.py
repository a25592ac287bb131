"""Figures that a test has drawn, and not saved, are closed after it: what is left open belongs to a test alone."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close all figures after a test."""
    yield
    plt.close("all")
