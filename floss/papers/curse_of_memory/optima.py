"""What Figs 4 and 9 share: Hessians of two students at the optimum, and their numbers over many random functions."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from floss.figures.style import COLOURS, MARKERS
from floss.papers.claim import Sample
from floss.papers.curse_of_memory.plots import STUDENTS, blocks, hessian_panel, matrix_of, spectrum_panel, symlog
from floss.papers.finding import Findings
from floss.papers.samples import count, middle

RANK = 9
"""2n + 1 degrees of freedom of a real linear function with n = 4 hidden units."""


def draw_optima(figure: Figure | SubFigure, findings: Findings, students: tuple[str, str]) -> None:
    """A row for each student: Hessian, leading eigenvectors, spectrum, and the trace over many functions."""
    tables, many = findings["optimum"].tables, findings["optima"].tables
    grid = figure.subplots(2, 4, width_ratios=(1.25, 1, 1, 1))
    norm = symlog(max(tables["matrix"][tables["matrix"]["student"] == s]["value"].abs().max() for s in students))
    for place, (student, line) in enumerate(zip(students, grid, strict=True)):
        own = {name: table[table["student"] == student] for name, table in tables.items()}
        bounds = blocks(own["groups"])
        image = hessian_panel(line[0], matrix_of(own["matrix"]), bounds, norm)
        line[0].set_title(f"{'AB'[place]}  {STUDENTS[student]}: Hessian")
        figure.colorbar(image, ax=line[0], shrink=0.75, ticks=_ticks(norm))
        vectors = own["vectors"].pivot(index="row", columns="i", values="value").abs().to_numpy(dtype=float)
        line[1].imshow(vectors, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for _, _, end in bounds[:-1]:
            line[1].axhline(end - 0.5, color="0.4", linewidth=0.5)
        line[1].set_yticks([(first + end - 1) / 2 for _, first, end in bounds], [b[0] for b in bounds], fontsize=7)
        line[1].set_xticks([0, vectors.shape[1] - 1], ["1", str(vectors.shape[1])])
        line[1].set_xlabel("leading eigenvectors, |v|")
        look = {"color": COLOURS[place], "marker": MARKERS[place]}
        spectrum_panel(line[2], own["eigenvalues"], RANK, **look)
        line[2].set_title(f"rank {RANK} of {len(own['eigenvalues'])}")
        _shares(line[3], many["shares"], student, COLOURS[place])


def _ticks(norm: Any) -> list[float]:
    """Zero, and both ends of the colours."""
    return [norm.vmin, 0, norm.vmax]


def _shares(axes: Any, shares: pd.DataFrame, student: str, colour: str) -> None:
    """Part of the trace of every group of parameters, a dot for each function, and the median."""
    own = shares[shares["student"] == student]
    groups = list(own["group"].drop_duplicates())
    for x, group in enumerate(groups):
        values = np.maximum(own[own["group"] == group]["share"].to_numpy(dtype=float), 1e-13)
        aside = np.linspace(-0.25, 0.25, len(values))
        axes.plot(x + aside, values, ".", color=colour, alpha=0.35, markersize=2.5, rasterized=True)
        axes.plot([x - 0.35, x + 0.35], [np.median(values)] * 2, color="black", linewidth=1.5)
    axes.set_xticks(range(len(groups)), groups, fontsize=7)
    axes.set_yscale("log")
    axes.set_ylim(1e-13, 3)
    axes.set_ylabel("share of the trace")
    axes.set_title(f"{own['seed'].nunique()} functions", fontsize=9)


# --- claims ---


def by_seed(findings: Findings, student: str, column: str) -> pd.Series:
    """A number of a student's Hessian for each function."""
    draws = findings["optima"].tables["draws"]
    return draws[draws["student"] == student].set_index("seed")[column]


def share(findings: Findings, student: str, group: str) -> Sample:
    """Median part of the trace that a group of parameters holds."""
    table = findings["optima"].tables["shares"]
    return middle(table[(table["student"] == student) & (table["group"] == group)]["share"], each=0)


def of_rank(findings: Findings, students: tuple[str, ...]) -> Sample:
    """Of how many functions the Hessians of all these students have 2n + 1 eigenvalues that are not zero."""
    return count(np.all([by_seed(findings, s, "rank").to_numpy() == RANK for s in students], axis=0), each=0)


def largest(findings: Findings, student: str) -> Sample:
    """Median log10 of the largest eigenvalue."""
    return middle(np.log10(by_seed(findings, student, "largest")), each=0)


def spreads_more(findings: Findings, student: str, than: str, shift: int = 0) -> Sample:
    """Of how many functions a student's leading eigenvectors take part in more parameters than another's.

    With a shift, the other's of another function.
    """
    first, second = (by_seed(findings, s, "participation").sort_index().to_numpy() for s in (student, than))
    return count(first > np.roll(second, shift), each=0)
