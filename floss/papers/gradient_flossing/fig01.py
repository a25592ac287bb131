"""Fig. 1: flossing the first exponent to a target (B), several exponents to zero (C), and the spectrum after it (D).

Panel A of the paper is a sketch without data, and is left out.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.analysed import count, looks, variants, with_variant
from floss.figures.spread import HALO, curves, quartiles, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.finding import Finding, Findings

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
