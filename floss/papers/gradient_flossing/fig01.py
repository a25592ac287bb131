"""Fig. 1: flossing the first exponent to a target (B), several exponents to zero (C), and the spectrum after it (D).

Panel A of the paper is a sketch without data, and is left out.

The paper claims: flossing moves Lyapunov exponents to a target, but not to a positive one.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.analysed import count, looks, variants, with_variant
from floss.figures.spread import HALO, curves, quartiles, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Finding, Findings
from floss.papers.samples import mean_of, sample

_BEFORE = "before flossing"
_GREY = "0.5"


def draw(findings: Findings) -> Figure:
    """B: λ₁ and its targets against the flossing epoch; C: λ², for several k; D: all exponents after flossing.

    B is there twice, since the paper does not state the learning rate: once with that of the reference protocol.
    """
    numbers = findings["numbers"].tables
    with house_style():
        figure, axes = plt.subplot_mosaic("Bb;CD", figsize=(7.6, 7))
        _first_exponent(axes["B"], findings["targets"], "B  One exponent, learning rate 0.001")
        _first_exponent(axes["b"], findings["targets_faster"], "B′  One exponent, learning rate 0.01")
        axes["b"].sharey(axes["B"])
        _squares(axes["C"], with_variant(numbers["flossing"]))
        _spectra(axes["D"], with_variant(numbers["spectrum"]))
        return figure


def _first_exponent(axes: Axes, finding: Finding, title: str) -> None:
    """B. A positive target has a line of its own, apart from those that a stable network can have."""
    table = with_variant(finding.tables["flossing"])
    for place, target in enumerate(sorted(table["target"].unique())):
        colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        course = curves(table[table["target"] == target], "epoch", "lambda_1")
        singles(axes, course, colour, dashes, f"target {_minus(target)} ({count(course)})")
        positive = target > 0
        axes.axhline(
            target, color=colour, linestyle=":" if positive else "--", linewidth=2 if positive else 1, zorder=0
        )
        axes.annotate(
            f"target {_minus(target)}" + (": positive" if positive else ""),
            (1.0, target),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=7.5,
            color=colour,
            bbox=HALO,
        )
    axes.set_title(title)
    axes.set_xlabel("flossing epoch")
    axes.set_ylabel("λ₁ (nats per step)")
    _legend(axes, "median thick, networks thin", loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _squares(axes: Axes, table: pd.DataFrame) -> None:
    """C."""
    styles = looks(variants(table))
    for label in variants(table):
        rows = table[table["variant"] == label]
        course = curves(rows, "epoch", "floss_loss")
        quartiles(axes, course, styles[label][0], styles[label][2], f"{label} ({count(course)})")
    axes.set_title("C  Several exponents, to zero")
    axes.set_xlabel("flossing epoch")
    axes.set_ylabel(r"mean of $\lambda_i^2$, i ≤ k (nats² per step²)")
    _legend(axes, "median, quartiles", loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _spectra(axes: Axes, table: pd.DataFrame) -> None:
    """D. The number of flossed exponents is marked on each curve."""
    styles = looks(variants(table))
    for label in variants(table):
        colour, marker, dashes = (_GREY, "", "-") if label == _BEFORE else styles[label]
        rows = table[table["variant"] == label]
        spectra = curves(rows, "i", "lambda")
        singles(axes, spectra, colour, dashes, f"{label} ({count(spectra)})")
        flossed = spectra.median(axis=1).loc[lambda median, k=rows["k"].iloc[0]: median.index == k]
        axes.plot(flossed.index, flossed, color=colour, marker=marker, markersize=7, markeredgecolor="black")
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_title("D  All exponents (marked: i = k)")
    axes.set_xlabel("i")
    axes.set_ylabel(r"$\lambda_i$ (nats per step)")
    _legend(axes, "median thick, networks thin", loc="lower left")


def _legend(axes: Axes, title: str, **place: Any) -> None:
    """Nothing where nothing was drawn."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title=title, title_fontsize=8, **place)


def _minus(value: float) -> str:
    return f"{value:g}".replace("-", "−")


# --- claims ---


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
        after_data="it came with the figure, when the run at 0.001 and the first picture at 0.01 were known.",
    ),
    Claim(
        name="fig01.positive_not_reached",
        figure="fig01",
        place="Sec. 4",
        sentence="A positive target does not lead to a positive exponent.",
        statistic=f"share of networks with target 0.5 and λ₁ > {NEAR:g} at any epoch from 0 to 99, learning rate 0.01",
        criterion=Criterion(below=0.1),
        sample=partial(_positive, run="targets_faster"),
        after_data="the learning rate of 0.01, in place of 0.001, came when the run at 0.001 was known.",
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
