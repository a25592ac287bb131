"""What the paper claims of Fig. 1: flossing moves Lyapunov exponents to a target, but not to a positive one."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import numpy as np
import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import mean_of, sample

NEAR = 0.05
"""Nats per step within which an exponent is at its target."""


def reaches(table: pd.DataFrame, *, epochs: int = 100) -> pd.Series:
    """Whether the first exponent came near its target within so many epochs, by network and target."""
    early = table[table["epoch"] < epochs]
    near = (early["lambda_1"] - early["target"]).abs() < NEAR
    return near.groupby([early["seed"], early["target"]]).any()


def _reached(findings: Findings, run: str) -> Sample:
    table = findings[run].tables["flossing"]
    return _share_by_seed(reaches(table[table["target"] <= 0]))


def _positive(findings: Findings, run: str) -> Sample:
    table = findings[run].tables["flossing"]
    table = table[(table["target"] > 0) & (table["epoch"] < 100)]
    return _share_by_seed((table["lambda_1"] > NEAR).groupby([table["seed"], table["target"]]).any())


def _share_by_seed(true: pd.Series) -> Sample:
    return mean_of(true.unstack("target", fill_value=False))


def _falls(findings: Findings) -> Sample:
    table = findings["numbers"].tables["flossing"].sort_values("epoch")
    by = table.groupby(["seed", "k"])["floss_loss"]
    ratio = (by.last() / by.first()).unstack("k").dropna()
    return sample(ratio, lambda rows: np.median(rows, axis=0).max())


def _after(findings: Findings, k: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """λ_i of the flossed exponents and of the others, by seed."""
    table = findings["numbers"].tables["spectrum"]
    table = table[(table["flossing"] == "after") & (table["k"] == k)]
    wide = table.pivot(index="seed", columns="i", values="lambda").dropna()
    return wide.loc[:, wide.columns <= k], wide.loc[:, wide.columns > k]


def _near_zero(findings: Findings) -> Sample:
    flossed, _ = _after(findings, 16)
    return Sample(flossed.abs().to_numpy(), np.mean, len(flossed))


def _rest(findings: Findings) -> Sample:
    flossed, others = _after(findings, 16)
    spread = np.stack([flossed.std(axis=1), others.std(axis=1)], axis=1)
    return Sample(spread, lambda rows: np.median(rows[:, 1]) / np.median(rows[:, 0]), len(spread))


CLAIMS = [
    Claim(
        name="fig01.targets_reached",
        figure="fig01",
        place="Sec. 4, Fig. 1B",
        sentence="The first exponent reaches each of the targets -1, -0.5 and 0 in fewer than 100 flossing epochs.",
        statistic=f"share of networks and targets ≤ 0 with |λ₁ - target| < {NEAR:g} at any epoch from 0 to 99, learning"
        " rate 0.001",
        criterion=Criterion(above=0.9),
        sample=partial(_reached, run="targets"),
        tried="A learning rate of 0.01, which the next claim is about; the paper does not state that of this figure.",
    ),
    Claim(
        name="fig01.targets_reached_faster",
        figure="fig01",
        place="Sec. 4, Fig. 1B",
        sentence="The first exponent reaches each of the targets -1, -0.5 and 0 in fewer than 100 flossing epochs.",
        statistic=f"share of networks and targets ≤ 0 with |λ₁ - target| < {NEAR:g} at any epoch from 0 to 99, learning"
        " rate 0.01",
        criterion=Criterion(above=0.9),
        sample=partial(_reached, run="targets_faster"),
    ),
    Claim(
        name="fig01.positive_not_reached",
        figure="fig01",
        place="Sec. 4",
        sentence="A positive target does not lead to a positive exponent.",
        statistic=f"share of networks with target 0.5 and λ₁ > {NEAR:g} at any epoch from 0 to 99, learning rate 0.01",
        criterion=Criterion(below=0.1),
        sample=partial(_positive, run="targets_faster"),
    ),
    Claim(
        name="fig01.loss_falls",
        figure="fig01",
        place="Fig. 1C",
        sentence="The mean square of the flossed exponents falls toward zero, for 1, 16 and 32 of them.",
        statistic="median over networks of (loss at the last epoch / at the first); the largest of the three k",
        criterion=Criterion(below=0.1),
        sample=_falls,
    ),
    Claim(
        name="fig01.first_k_near_zero",
        figure="fig01",
        place="Fig. 1D",
        sentence="After flossing 16 of 32 exponents, these are close to zero.",
        statistic="mean over networks and i ≤ 16 of |λ_i| after flossing 16, along inputs that were not flossed on",
        criterion=Criterion(below=0.1),
        sample=_near_zero,
        tried="Nothing longer than 500 epochs, after which the loss of 16 exponents still falls (panel C); the paper"
        " does not state its number of epochs or learning rate.",
    ),
    Claim(
        name="fig01.the_rest_varies",
        figure="fig01",
        place="Fig. 1D",
        sentence="The exponents that were not flossed vary.",
        statistic="median over networks of the standard deviation over i > 16 of λ_i after flossing 16, relative to"
        " that over i ≤ 16",
        criterion=Criterion(above=2.0),
        sample=_rest,
    ),
]
