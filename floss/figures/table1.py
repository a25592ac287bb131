"""Table 1: how the cost of training and flossing grows with the sizes, and the share of the time that flossing takes."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.finding import Findings
from floss.figures.growth import ORDERS, Growth, growth
from floss.figures.panels import episodes
from floss.figures.style import COLOURS, MARKERS, house_style

PAPERS_SHARE = 37 / 1717
"""Of Engelken 2023, Appendix F: one episode of 500 epochs in Fig. 3 took 37 s, the training 1680 s."""

_LOOPS = {"train": "training", "floss": "flossing"}
_SIZES = {"n": "units N", "k": "exponents k", "batch": "batch b", "t": "steps T"}
_ENGINES = ("torch", "native")


def flossing_share(summary: pd.DataFrame, schedule: str = "during") -> float:
    """Share of the time of a training with a schedule that goes into flossing.

    Seconds in summary.csv are averages over the ensemble in which a network was computed, whatever its own schedule. So
    an episode takes f = Σ floss_seconds / Σ episodes, training alone t = mean(seconds - floss_seconds), and the share of
    a schedule with e episodes is e f / (e f + t). NaN if nothing was flossed.
    """
    rows = summary.dropna(subset=["seconds", "floss_seconds"])
    number = sum(len(episodes(*row)) for row in zip(rows["flossing"], rows["epochs"], strict=True))
    if not number:
        return float("nan")
    flossing = len(episodes(schedule, int(rows["epochs"].max()))) * rows["floss_seconds"].sum() / number
    training = (rows["seconds"] - rows["floss_seconds"]).mean()
    return float(flossing / (flossing + training))


def draw(findings: Findings) -> Figure:
    """Left the measured exponents beside those of the paper's orders, right the share of time of each schedule."""
    fits = [fit for fit in growth(findings["cost"].tables["bench"]) if fit.loop in _LOOPS and fit.size in _SIZES]
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.8), width_ratios=(2, 1))
        _exponents(left, fits)
        _shares(right, findings["share"].summary)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure


def _exponents(axes: Axes, fits: list[Growth]) -> None:
    """One row for each loop and size: the engines' exponents, and what the same fit gives for the orders."""
    rows = list(dict.fromkeys((fit.loop, fit.size) for fit in fits))
    engines = [engine for engine in _ENGINES if engine in {fit.engine for fit in fits}]
    for place, engine in enumerate(engines):
        own = [fit for fit in fits if fit.engine == engine]
        heights = [rows.index((fit.loop, fit.size)) + 0.22 * (place - (len(engines) - 1) / 2) for fit in own]
        measured = [fit.exponent for fit in own]
        look = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": "", "markersize": 5}
        axes.errorbar(measured, heights, xerr=[fit.error for fit in own], label=f"measured: {engine}", **look)
        for x, y in zip(measured, heights, strict=True):
            note = {"xytext": (-0.02, y), "textcoords": ("axes fraction", "data"), "ha": "right", "va": "center"}
            del note
            axes.text(x, y, f"{x:.2f}", fontsize=7)
    for row, key in enumerate(rows):
        expected = next(fit.orders for fit in fits if (fit.loop, fit.size) == key)
        axes.plot(expected, row, "D", color="black", fillstyle="none", markersize=9)
