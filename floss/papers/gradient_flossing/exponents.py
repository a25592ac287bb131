"""What the claims about flossed exponents measure: targets reached, the falling loss, and spectra (Fig. 1)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import numpy as np
import pandas as pd

from floss.papers import samples
from floss.papers.claim import Sample
from floss.papers.finding import Findings

NEAR = 0.05
"""Nats per step within which an exponent is at its target."""


def reaches(table: pd.DataFrame, *, epochs: int = 100) -> pd.Series:
    """Whether the first exponent came near its target within so many epochs, by network and target."""
    early = table[table["epoch"] < epochs]
    near = (early["lambda_1"] - early["target"]).abs() < NEAR
    return near.groupby([early["seed"], early["target"]]).any()


def all_reached(findings: Findings, run: str, epochs: int = 100) -> Sample:
    """How many networks reach all of their targets: those of one seed are the same network at first, and one unit."""
    table = findings[run].tables["flossing"]
    reached = reaches(table[table["target"] <= 0], epochs=epochs).unstack("target", fill_value=False)
    return samples.count(reached.all(axis=1), each=reached.shape[1])


def positive(findings: Findings, run: str) -> Sample:
    """How many networks with a positive target ever have a clearly positive exponent."""
    table = findings[run].tables["flossing"]
    table = table[(table["target"] > 0) & (table["epoch"] < 100)]
    return samples.count((table["lambda_1"] > NEAR).groupby(table["seed"]).any())


def loss_ratio(findings: Findings, run: str) -> Sample:
    """The loss at the last epoch over that at the first: the median over networks, and the largest of all k."""
    table = findings[run].tables["flossing"].sort_values("epoch")
    by = table.groupby(["seed", "k"])["floss_loss"]
    ratio = (by.last() / by.first()).unstack("k").dropna()
    return samples.sample(ratio, lambda rows: np.median(rows, axis=0).max())


def _spectrum(findings: Findings, run: str, k: int, when: str) -> pd.DataFrame:
    """λ_i by seed and i, after flossing k exponents or before any."""
    table = findings[run].tables["spectrum"]
    table = table[(table["flossing"] == when) & ((when == "before") | (table["k"] == k))]
    return table.pivot(index="seed", columns="i", values="lambda").dropna()


def mean_size(findings: Findings, run: str, k: int, when: str = "after") -> Sample:
    """The mean of |λ_i| over networks and i ≤ k."""
    spectra = _spectrum(findings, run, k, when)
    flossed = spectra.loc[:, spectra.columns <= k].abs()
    return Sample(flossed.to_numpy(), np.mean, len(flossed))


def _contrast(spectra: pd.DataFrame) -> pd.Series:
    """Standard deviation of λ_i over i > 16, relative to that over i ≤ 16, by seed."""
    flossed = spectra.columns <= 16
    return spectra.loc[:, ~flossed].std(axis=1) / spectra.loc[:, flossed].std(axis=1)


def contrast_gained(findings: Findings, run: str, k: int = 16) -> Sample:
    """By how much flossing k exponents raises the contrast between the first 16 exponents and the others."""
    after, before = (_contrast(_spectrum(findings, run, k, when)) for when in ("after", "before"))
    return samples.middle((after / before).dropna())
