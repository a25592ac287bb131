"""Fig. 7: how many exponents must be flossed in five early episodes, and before training only, for how long a delay.

The paper claims: as Fig. 5, and flossing before training alone is never enough.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from floss.figures.panels import CHANCE, sweep_panel
from floss.figures.schedules import in_words
from floss.figures.style import house_style
from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import SOLVED, accuracies
from floss.papers.gradient_flossing.plane import (
    HARDEST,
    MOST,
    TREND,
    claims,
    hardest_solved,
    needs_more,
    of,
    plane,
    reach,
    solves_with_any,
)


def draw(findings: Findings) -> Figure:
    """Final accuracy with early episodes against the delay (A), k (B) and both (C, median); flossed before only (D)."""
    early, pre = findings["early"].summary, findings["pre"].summary
    with house_style():
        figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.4, 8))
        sweep_panel(a, early, "d", f"A  {in_words('early')}")
        sweep_panel(b, early, "k", "B  the same networks, against k")
        cells = _plane(c, early)
        below = c.inset_axes((0, -0.28, 1, 0.05))
        figure.colorbar(cells, cax=below, orientation="horizontal", label="median final test accuracy (%)")
        sweep_panel(d, pre, "k", f"D  {in_words('pre')} only")
        return figure


def _plane(axes: Axes, summary: pd.DataFrame) -> ScalarMappable:
    """The median of each cell by colour and as a number, in percent; cells without networks are grey."""
    table = summary.pivot_table(index="k", columns="d", values="final_accuracy", aggfunc="median").mul(100)
    delays, numbers = (sorted(summary[name].unique()) for name in ("d", "k"))
    values = table.reindex(index=numbers, columns=delays).to_numpy()
    axes.set_facecolor("0.85")
    cells = axes.pcolormesh(edges(delays), edges(numbers), values, cmap="cividis", vmin=100 * CHANCE, vmax=100)
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        text, colour = ("-", "black") if np.isnan(value) else (f"{value:.0f}", "white" if value < 75 else "black")
        axes.text(delays[column], numbers[row], text, color=colour, ha="center", va="center", fontsize=7)
    axes.set_xticks(delays, delays)
    axes.set_yticks(numbers, numbers)
    axes.set_xlabel("delay d (steps)")
    axes.set_ylabel("number k of flossed exponents")
    axes.set_title("C  the same networks: median (%)")
    return cells


def edges(places: Sequence[int]) -> np.ndarray:
    """Where the cells of some places meet, half-way between them; the outer ones are as wide as their inner halves."""
    middle = np.array(places, dtype=float)
    if len(middle) == 1:
        return np.array([middle[0] - 0.5, middle[0] + 0.5])
    between = (middle[1:] + middle[:-1]) / 2
    return np.concatenate([[2 * middle[0] - between[0]], between, [2 * middle[-1] - between[-1]]])


# --- claims ---


def _any_solves(findings: Findings) -> Sample:
    return samples.count(solves_with_any(plane(findings, "pre"), HARDEST))


def _replaced(findings: Findings) -> Sample:
    """Share of networks that solve, early minus pre, at the longest delay that early episodes solve, both with all k.

    Of the numbers and delays that both have, and of the seeds of which all networks are there.
    """
    tables = [accuracies(findings[run].summary, by=("d", "k")) for run in ("early", "pre")]
    columns = tables[0].columns.intersection(tables[1].columns).sort_values()
    delays, numbers = (np.array(columns.get_level_values(name).unique()) for name in ("d", "k"))
    pairs = [table.reindex(columns=columns) for table in tables]
    rows = np.stack([table.loc[pairs[0].index.intersection(pairs[1].index)] for table in pairs], axis=1)
    rows = rows.reshape(len(rows), 2, len(delays), len(numbers))

    def statistic(rows: np.ndarray) -> float:
        place = hardest_solved(rows[:, 0, :, -1:], numbers[-1:])
        if place is None or np.isnan(rows[:, :, place, -1]).any():
            return np.nan
        early, pre = (rows[:, :, place, -1] > SOLVED).mean(axis=0)
        return early - pre

    return Sample(rows, statistic, 2 * len(rows))


CLAIMS = [
    *claims("fig07", "early", "App. B.2, Fig. 7A-C", "five early episodes"),
    Claim(
        name="fig07.plane",
        figure="fig07",
        place="Sec. 7.1, Fig. 7C",
        sentence="Over the plane of delay and number of flossed exponents, the median network learns longer delays the"
        " more exponents are flossed (five early episodes).",
        statistic="Spearman's rank correlation with k of the longest delay up to which the median network has a final"
        f" accuracy above {SOLVED:.0%} for every one; 0 if it is the same for all k, early",
        criterion=Criterion(above=TREND),
        sample=partial(of, run="early", measure=reach),
    ),
    needs_more("fig07.pre_more_exponents_needed", "pre", "App. B.2, Fig. 7D", "flossing before training only, pre"),
    Claim(
        name="fig07.pre_never_solves",
        figure="fig07",
        place="Sec. 7.1, App. B.2, Fig. 7D",
        sentence="Flossed before training only, networks never solve the hardest task, even with k = N.",
        statistic=f"seeds of which a network with any number of flossed exponents, k = N = 80 included, has a final"
        f" accuracy above {SOLVED:.0%} over d = {HARDEST}, the longest delay of the paper's grid, pre (exact interval)",
        criterion=Criterion(below=0.2),
        sample=_any_solves,
    ),
    Claim(
        name="fig07.pre_no_substitute",
        figure="fig07",
        place="Sec. 7.1, App. B.2, Fig. 7D",
        sentence="Flossing during training cannot be replaced by flossing more exponents before training.",
        statistic=f"share of networks with a final accuracy above {SOLVED:.0%}, early minus pre, both with the most"
        f" flossed exponents that both have, at the longest delay that more than {MOST:.0%} of the networks with early"
        " episodes solve",
        criterion=Criterion(above=0.0),
        sample=_replaced,
    ),
]
