"""Fig. 6: flossing the first exponent of LSTM networks (A, B) and of ReLU networks (C, D).

The paper claims: flossing works for LSTM and ReLU networks.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Mapping
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from floss.figures.analysed import count, with_variant
from floss.figures.spread import HALO, curves, quartiles, singles
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.fig01 import reaches
from floss.papers.samples import middle

_LSTM = {"lstm": "learning rate 0.001", "lstm_faster": "learning rate 0.003"}
_RELU = {
    "relu_unstable": "mean of W 0.1, learning rate 0.001",
    "relu_centred": "mean of W 0, learning rate 0.01",
    "relu": "mean of W −0.1, as the paper",
}
"""What differs between the runs of conf/experiment/fig06.yaml."""


def draw(findings: Findings) -> Figure:
    """One row for each architecture: left λ₁ against the flossing epoch, right λ₁²."""
    with house_style():
        figure = plt.figure(figsize=(7.6, 6.9))
        rows: Any = figure.subfigures(2, 1)
        for row, letters, name, runs in ((rows[0], "AB", "LSTM", _LSTM), (rows[1], "CD", "ReLU", _RELU)):
            tables = {label: findings[run].tables["flossing"] for run, label in runs.items()}
            _row(row, letters, name, tables)
        return figure


def _row(figure: SubFigure, letters: str, name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    left, right = figure.subplots(1, 2)
    for place, (label, table) in enumerate(tables.items()):
        colour, dashes = COLOURS[place], DASHES[place]
        course = curves(with_variant(table), "epoch", "lambda_1")
        singles(left, course, colour, dashes, f"{label} ({count(course)})")
        quartiles(right, course**2, colour, dashes)
    left.axhline(0.0, color="0.4", linestyle="--", linewidth=1, zorder=0)
    silent = [text for label, table in tables.items() if (text := _silent(label, table))]
    _say(left, silent)
    n = next(iter(tables.values()))["n"].iloc[0]
    left.set_title(f"{letters[0]}  {name}, N = {n}: first exponent, target 0")
    left.set_ylabel("λ₁ (nats per step)")
    right.set_title(f"{letters[1]}  {name}: median, quartiles")
    right.set_ylabel("λ₁² (nats² per step²)")
    for axes in (left, right):
        axes.set_xlabel("flossing epoch")
    handles, labels = left.get_legend_handles_labels()
    title = "left: median thick, single networks thin"
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=title, title_fontsize=8)


def _silent(label: str, table: pd.DataFrame) -> str:
    """Says how many networks have an exponent of -inf, if any has: no unit responds, so nothing can be drawn."""
    lost = table[table["lambda_1"] == -np.inf]
    first = lost.groupby("seed").agg(epoch=("epoch", "min"))["epoch"].tolist()
    if not first:
        return ""
    since = "from the first epoch on" if not any(first) else f"from epoch {min(first)} on, or later"
    return f"{label}:\nλ₁ = −∞ in {len(first)} of {table['seed'].nunique()} networks {since}:\nno unit responds"


def _say(axes: Axes, texts: list[str]) -> None:
    if texts:
        axes.text(
            0.98, 0.04, "\n".join(texts), transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, bbox=HALO
        )


# --- claims ---


def _arrive(findings: Findings, run: str) -> Sample:
    tables = findings[run].tables
    reached = reaches(tables["flossing"]).droplevel("target")
    # A network that diverges in its first epoch has no row there, and does not arrive.
    return samples.count(reached.reindex(tables["spectrum"]["seed"].unique(), fill_value=False))


def _first_and_last(findings: Findings, run: str) -> pd.DataFrame:
    course = findings[run].tables["flossing"].sort_values("epoch").groupby("seed")["lambda_1"]
    return pd.DataFrame({"first": course.first(), "last": course.last()})


def _stabilised(findings: Findings) -> Sample:
    ends = _first_and_last(findings, "relu_unstable")
    return middle(ends["last"][ends["first"] > 0])


_RELU_TRIED = (
    "With W ~ N(-0.1, g²/N) no unit responds and the exponents are minus infinity, so there is nothing to floss. The"
    " same networks with mean 0 (stable) and 0.1 (unstable at first), and a learning rate of 0.01 with mean 0, are in"
    " the figure."
)

CLAIMS = [
    Claim(
        name="fig06.lstm_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6A",
        sentence="The first exponent of LSTM networks converges to zero in fewer than 100 flossing epochs.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.001",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="lstm"),
        tried="A learning rate of 0.003, which the next claim is about.",
    ),
    Claim(
        name="fig06.lstm_reaches_zero_faster",
        figure="fig06",
        place="App. B.1, Fig. 6A",
        sentence="The first exponent of LSTM networks converges to zero in fewer than 100 flossing epochs.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.003",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="lstm_faster"),
    ),
    Claim(
        name="fig06.relu_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="The first exponent of ReLU networks with weights of mean -0.1 converges to zero as fast.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.001, W of mean -0.1",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="relu"),
        tried=_RELU_TRIED,
    ),
    Claim(
        name="fig06.relu_centred_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="The first exponent of ReLU networks (here with weights of mean 0) converges to zero.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.01, W of mean 0",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="relu_centred"),
    ),
    Claim(
        name="fig06.unstable_relu_stabilised",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="ReLU networks that are unstable at first (here with weights of mean 0.1) are stabilised.",
        statistic="median λ₁ at the last epoch, of networks whose λ₁ is positive at the first, W of mean 0.1",
        criterion=Criterion(below=0.05),
        sample=_stabilised,
    ),
]
