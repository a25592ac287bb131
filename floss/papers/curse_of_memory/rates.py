"""What Figs 4C, D and 9C, D share: effective learning rates of Adam in groups of parameters, after training."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from floss.papers.claim import Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

RATE = 1e-3
"""The learning rate of training."""
LEAST, LARGEST = 1e-9, 1e-2
"""Ends of the axis."""


def rates_panel(axes: Axes, findings: Findings, student: str, colour: Any, title: str) -> None:
    """Distribution of the positive rates in each group of the network of seed 0, above it how many are negative.

    A dot for each entry, a line for the median; dotted the learning rate, and √10 of it where no gradient is felt.
    """
    entries = findings["rates"].tables["entries"]
    own = entries[entries["student"] == student]
    groups = list(own["group"].drop_duplicates())
    for x, group in enumerate(groups):
        values = own[own["group"] == group]["rate"].to_numpy(dtype=float)
        positive = np.sort(values[values > 0])
        aside = 0.28 * np.sin(2.4 * np.arange(len(positive)))
        look = {"color": colour, "alpha": 0.35, "markersize": 2.5, "rasterized": len(positive) > 200}
        axes.plot(x + aside, positive.clip(LEAST), ".", **look)
        if len(positive):
            axes.plot([x - 0.38, x + 0.38], [np.median(positive)] * 2, color="black", linewidth=1.5)
        negative = f"{np.mean(values < 0):.0%}"
        axes.text(x, LARGEST * 1.15, negative, ha="center", va="bottom", fontsize=6.5, color="0.35")
    for rate in (RATE, RATE * np.sqrt(10)):
        axes.axhline(rate, color="0.6", linestyle=":", linewidth=0.9, zorder=0)
    axes.set_yscale("log")
    axes.set_ylim(LEAST, LARGEST)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel("effective learning rate")
    axes.set_title(title, pad=16)


# --- claims ---


def _groups(findings: Findings, student: str, group: str) -> pd.DataFrame:
    rows = findings["rates"].tables["groups"]
    return rows[(rows["student"] == student) & (rows["group"] == group)].set_index("seed").sort_index()


def median_rate(findings: Findings, student: str, group: str) -> Sample:
    """log₁₀ of the median positive rate of a group, median over networks."""
    return middle(_groups(findings, student, group)["median"])


def negative_share(findings: Findings, student: str, group: str) -> Sample:
    """Share of a group's rates that are negative, median over networks."""
    rows = _groups(findings, student, group)
    return middle(rows["negative"] / rows["entries"])


def decades(findings: Findings, student: str, group: str, than: Mapping[str, str]) -> Sample:
    """log₁₀ of a group's median rate over that of another, of the same student or of another with the same seed."""
    ((other, others_group),) = than.items()
    rows = _groups(findings, student, group)["median"] - _groups(findings, other, others_group)["median"]
    return middle(rows, each=1 if other == student else 2)
