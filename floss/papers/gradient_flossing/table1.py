"""Table 1: how the cost of training and flossing grows with the sizes, and the share of time that flossing takes.

The paper claims: the orders of the costs, and that flossing takes a small share of the time.
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
from matplotlib.ticker import PercentFormatter

from floss.figures.growth import ORDERS, SIZES, Growth, growth
from floss.figures.panels import episodes
from floss.figures.schedules import in_words
from floss.figures.style import COLOURS, MARKERS, house_style, look
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings

PAPERS_SHARE = 37 / 1717
"""Of Engelken 2023, Appendix F: one episode of 500 epochs took 37 s, 10 000 epochs of training 1680 s."""

_LOOPS = {"train": "training", "floss": "flossing"}
_NAMES = {"n": "units", "k": "exponents", "batch": "batch", "t": "steps"}
_ENGINES = ("torch", "native")
_FLOSSED = ("pre", "during")


def costs(summary: pd.DataFrame) -> np.ndarray:
    """Flossing episodes, seconds of flossing and seconds of training without it, of each network [networks, 3]."""
    rows = summary.dropna(subset=["seconds", "floss_seconds"])
    number = [len(episodes(*row)) for row in zip(rows["flossing"], rows["epochs"], strict=True)]
    return np.stack([number, rows["floss_seconds"], rows["seconds"] - rows["floss_seconds"]], axis=1)


def flossing_share(rows: np.ndarray, number: int) -> float:
    """Share of the time of a training with some episodes that goes into these.

    Seconds in summary.csv are averages over the ensemble in which a network was computed, whatever its own schedule. So
    an episode takes f = Σ floss_seconds / Σ episodes, training alone t = mean(seconds - floss_seconds), and the share
    of e episodes is e f / (e f + t). NaN if nothing was flossed.

    Args:
        rows: `costs` of networks [networks, 3].
        number: episodes e.
    """
    count, flossing, training = rows.sum(axis=0)
    if not count:
        return float("nan")
    flossing, training = number * flossing / count, training / len(rows)
    return float(flossing / (flossing + training))


def draw(findings: Findings) -> Figure:
    """A: the measured exponents beside those of the paper's orders; B: the share of time of two schedules."""
    fits = [fit for fit in growth(findings["cost"].tables["bench"]) if fit.loop in _LOOPS and fit.size in _NAMES]
    with house_style():
        figure, axes = plt.subplot_mosaic(
            [["A", "numbers"], ["B", "B"]], figsize=(7.6, 5.2), height_ratios=(3, 1), width_ratios=(1.3, 1)
        )
        _exponents(axes["A"], axes["numbers"], fits)
        _shares(axes["B"], findings["share"].summary)
        return figure


def _exponents(axes: Axes, numbers: Axes, fits: list[Growth]) -> None:
    """One row for each loop and size: the engines' exponents, and what the same fit gives for the orders."""
    rows = list(dict.fromkeys((fit.loop, fit.size) for fit in fits))
    engines = [engine for engine in _ENGINES if any(fit.engine == engine for fit in fits)]
    looks: list[dict[str, Any]] = [
        {"color": colour, "marker": marker, "markersize": 5, "linestyle": ""}
        for colour, marker, _ in zip(COLOURS, MARKERS, engines, strict=False)
    ]
    looks.append({"color": "black", "marker": "D", "markersize": 10, "linestyle": "", "fillstyle": "none"})
    for fit in fits:
        if fit.engine in engines:
            place, row = engines.index(fit.engine), rows.index((fit.loop, fit.size))
            height = row + 0.24 * (place - (len(engines) - 1) / 2)
            axes.errorbar(fit.exponent, height, xerr=fit.error, **looks[place])
            numbers.text(place, row, f"{fit.exponent:.2f} ± {fit.error:.2f}", ha="center", va="center", fontsize=8)
    for row, key in enumerate(rows):
        orders = next(fit.orders for fit in fits if (fit.loop, fit.size) == key)
        axes.plot(orders, row, **looks[-1])
        numbers.text(len(engines), row, f"{orders:.2f}", ha="center", va="center", fontsize=8)
    for place, (name, style) in enumerate(zip([*engines, "expected"], looks, strict=True)):
        numbers.plot(place - 0.42, -1, **{**style, "markersize": 5})
        numbers.text(place - 0.32, -1, name, va="center", fontweight="bold", fontsize=8)
    numbers.set_xlim(-0.5, len(engines) + 0.5)
    numbers.set_axis_off()
    axes.set_yticks(range(len(rows)), [f"{_LOOPS[loop]}: {_NAMES[size]} ${SIZES[size]}$" for loop, size in rows])
    for each in (axes, numbers):
        each.set_ylim(len(rows) - 0.5, -1.3)
    axes.grid(axis="x", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("exponent p of cost ∝ size$^p$, ± standard error")
    axes.set_title("A  Growth of the cost of an epoch")
    orders = f"training ({ORDERS['train']}) T, flossing ({ORDERS['floss']}) T"
    expected = f"expected: orders of the paper over the same sizes,\n{orders}"
    numbers.text(0.5, -0.05, expected, transform=numbers.transAxes, ha="center", va="top", fontsize=8)


def _shares(axes: Axes, summary: pd.DataFrame) -> None:
    """One bar for each schedule, and the paper's number as a line."""
    epochs, rows = int(summary["epochs"].max()), costs(summary)
    counts = [len(episodes(schedule, epochs)) for schedule in _FLOSSED]
    shares = [flossing_share(rows, count) for count in counts]
    for row, (schedule, share) in enumerate(zip(_FLOSSED, shares, strict=True)):
        colour, _, _ = look(schedule, _FLOSSED)
        measured = share == share
        axes.barh(
            row, share if measured else 0.0, color=colour, height=0.6, hatch="//" if row else "", edgecolor="white"
        )
        text = f" {share:.1%}" if measured else " nothing was flossed"
        axes.text(share if measured else 0.0, row, text.replace("%", " %"), va="center", fontsize=8)
    axes.axvline(PAPERS_SHARE, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        f" paper: {PAPERS_SHARE:.1%}, one episode".replace("%", " %"),
        (PAPERS_SHARE, 1.0),
        xycoords=("data", "axes fraction"),
        va="bottom",
        fontsize=8,
    )
    axes.set_xlim(0, 1.3 * max([PAPERS_SHARE, *(share for share in shares if share == share)]))
    names = [f"{in_words(name)}:\n{n} episode{'s' * (n != 1)}" for name, n in zip(_FLOSSED, counts, strict=True)]
    axes.set_yticks(range(len(_FLOSSED)), names)
    axes.set_ylim(len(_FLOSSED) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of the time that goes into flossing")
    axes.set_title(f"B  Trainings of {epochs} epochs (n = {len(summary)} networks)", pad=18)


# --- claims ---


def _excess(findings: Findings, loop: str) -> Sample:
    """Fitted exponents beside those of the orders over the same sizes, of both engines and all sizes."""
    fits = [fit for fit in growth(findings["cost"].tables["bench"]) if fit.loop == loop and fit.size in _SIZES[loop]]
    return Sample(np.array([fit.exponent - fit.orders for fit in fits]), np.max, 0)


def _share_of_flossing(findings: Findings) -> Sample:
    """Share of flossing in a training with the schedule `during`."""
    summary = findings["share"].summary
    rows, number = costs(summary), len(episodes("during", int(summary["epochs"].max())))
    return Sample(rows, partial(flossing_share, number=number), len(rows))


_SIZES = {"train": ("n", "t", "batch"), "floss": ("n", "t", "k")}
_FASTER = "Overheads that do not grow make an exponent smaller than its order, which is no contradiction."

CLAIMS = [
    Claim(
        name="table1.training_order",
        figure="table1",
        place="Table 1",
        sentence="A step of training costs no more than the order N² b.",
        statistic="fitted exponent of an epoch's time minus that of N² B T, the largest over engines and over N, T, B",
        criterion=Criterion(below=0.25),
        sample=partial(_excess, loop="train"),
        tried=_FASTER,
    ),
    Claim(
        name="table1.flossing_order",
        figure="table1",
        place="Table 1",
        sentence="A step of flossing costs no more than the orders N² k and N k².",
        statistic="fitted exponent of an epoch's time minus that of (N² k + N k²) T_f, the largest over engines and"
        " over N, T_f, k",
        criterion=Criterion(below=0.25),
        sample=partial(_excess, loop="floss"),
        tried=_FASTER,
    ),
    Claim(
        name="table1.share_of_flossing",
        figure="table1",
        place="App. F",
        sentence="Flossing takes a small share of the time of training, about 2 %.",
        statistic="2 f / (2 f + t), f: all flossing seconds over all episodes, t: mean seconds of training without"
        " flossing, temporal XOR, all schedules",
        criterion=Criterion(below=0.05),
        sample=_share_of_flossing,
        tried="Both loops are faster here than in the paper (37 s and 1680 s), training by more; T_f is d + 20.",
    ),
]
