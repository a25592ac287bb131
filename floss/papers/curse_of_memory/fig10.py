"""Fig. 10: the eigenvalues' part of the Hessian, for eigenvalues in less and less of a circle, and losses.

The paper claims: the more the eigenvalues crowd near 1, the less is the Hessian diagonal, and the more does
the LRU gain over a complex diagonal network; a dense one is far worse throughout.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# pyright: reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.hessian_jobs import ANGLES
from floss.papers.curse_of_memory.plots import hessian_panel, matrix_of, symlog
from floss.papers.curse_of_memory.students import decades, losses_panel, ratio, tuned
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A to C: Hessians over (Re λ, Im λ) for θ₀ = π/100, π/10, π; below the share off the diagonal. D: losses."""
    example, draws = (findings["ring"].tables[name] for name in ("example", "draws"))
    with house_style():
        figure = plt.figure(figsize=(9.6, 6.0))
        above, below = figure.subfigures(2, 1, height_ratios=(1, 1.05))
        line = [*above.subplots(1, 3), *below.subplots(1, 2, width_ratios=(1, 1.6))]
        for place, theta in enumerate(ANGLES):
            matrix = matrix_of(example[example["theta0"] == theta])
            half = len(matrix) // 2
            norm = symlog(float(np.abs(matrix).max()))
            image = hessian_panel(line[place], matrix, [("Re λ", 0, half), ("Im λ", half, 2 * half)], norm)
            figure.colorbar(image, ax=line[place], shrink=0.7, ticks=[norm.vmin, 0, norm.vmax])
            line[place].set_title(f"{'ABC'[place]}  θ₀ = {theta}, ρ = 0.99")
        for place, rho in enumerate((0.99, 0.0)):
            rows = [draws[(draws["rho"] == rho) & (draws["theta0"] == theta)]["off_diagonal"] for theta in ANGLES]
            values = np.array([np.quantile(each, [0.1, 0.5, 0.9]) for each in rows]).clip(1e-6)
            x = np.arange(3) + 0.12 * (2 * place - 1)
            errors = np.abs(values[:, [0, 2]] - values[:, [1]]).T
            look = {"color": COLOURS[place], "marker": MARKERS[place], "label": f"ρ = {rho:g}"}
            line[3].errorbar(x, values[:, 1], errors, linestyle="", **look)
        line[3].set_xticks(range(3), list(ANGLES))
        line[3].set_xlabel("largest angle θ₀")
        line[3].set_yscale("log")
        line[3].set_title("share off the diagonal")
        line[3].legend(title=f"{draws['seed'].nunique()} draws: median, 10 to 90 %", title_fontsize=7)
        _losses(line[4], findings)
        return figure


def _losses(axes: Axes, findings: Findings) -> None:
    groups = []
    for run, label in (("dense", "dense"), ("diagonal", "complex diagonal"), ("lru", "LRU")):
        results = {theta / np.pi: tuned(rows) for theta, rows in findings[run].summary.groupby("task.theta")}
        groups.append((label, list(results), list(results.values())))
    losses_panel(axes, groups)
    axes.set_xscale("log")
    axes.set_xlabel("largest angle θ₀/π of the teacher, ν₀ = 0.99")
    axes.set_title("D  losses; open: the best rate is at an edge of those tried")
    axes.legend()


# --- claims ---


def _trained(findings: Findings, run: str, narrow: bool) -> pd.DataFrame:
    """Networks that learn from the teacher with the least largest angle, or with the largest."""
    rows = findings[run].summary
    angle = rows["task.theta"]
    return rows[angle == (angle.min() if narrow else angle.max())]


def _gap(findings: Findings, worse: str, better: str = "lru", narrow: bool = True) -> Sample:
    return ratio(*(_trained(findings, run, narrow) for run in (worse, better)))


def _widens(findings: Findings) -> Sample:
    """Decades between complex diagonal network and LRU with the least angle, minus those with the largest, per seed."""
    gaps, networks = [], 0
    for narrow in (True, False):
        worse, better = (tuned(_trained(findings, run, narrow)) for run in ("diagonal", "lru"))
        gaps.append(decades(worse.losses, better.losses))
        networks += worse.networks + better.networks
    sample = middle(gaps[0] - gaps[1])
    return Sample(sample.rows, sample.statistic, networks)


def _rows(findings: Findings, rho: float, theta: str, column: str) -> Sample:
    draws = findings["ring"].tables["draws"]
    rows = draws[(draws["rho"] == rho) & (draws["theta0"] == theta)].sort_values("seed")
    return middle(np.log10(rows[column]) if column == "largest" else rows[column], each=0)


_DECADES = (
    "log₁₀ of the final loss of {} over that of the LRU, each at the learning rate that is best for the other"
    " seeds, {}, median over seeds"
)
_FIRST = "Those of 300 draws with other random numbers."
_SHARES = {"π/100": (0.45, 0.7, "most"), "π/10": (0.03, 0.16, "some"), "π": (-1.0, 0.01, "none")}
_LARGEST = {"π/100": 1e8, "π/10": 6e6, "π": 8e4}
_WORDS = {"most": "is far from diagonal", "some": "has some of it off the diagonal", "none": "is diagonal"}

CLAIMS = [
    *(
        Claim(
            name=f"fig10.{word}",
            figure="fig10",
            place=f"App. D, Fig. 10{'ABC'[list(ANGLES).index(theta)]}",
            sentence=f"With eigenvalues within θ₀ = {theta} of the real axis the Hessian {_WORDS[word]}.",
            statistic="share of the squared entries off the diagonal, median over draws, ρ = 0.99",
            criterion=Criterion(above=low, below=high),
            sample=partial(_rows, rho=0.99, theta=theta, column="off_diagonal"),
            control=partial(_rows, rho=0.99, theta="π" if theta != "π" else "π/100", column="off_diagonal"),
            control_says="θ₀ = π" if theta != "π" else "θ₀ = π/100",
            after_data=_FIRST,
        )
        for theta, (low, high, word) in _SHARES.items()
    ),
    *(
        Claim(
            name=f"fig10.largest_{_SHARES[theta][2]}",
            figure="fig10",
            place=f"App. D, Fig. 10{'ABC'[list(ANGLES).index(theta)]}",
            sentence=f"The largest entry is about {shown} for θ₀ = {theta}.",
            statistic="log₁₀ of the largest entry, median over draws, ρ = 0.99",
            criterion=Criterion(
                above=round(np.log10(_LARGEST[theta]) - 0.3, 2), below=round(np.log10(_LARGEST[theta]) + 0.3, 2)
            ),
            sample=partial(_rows, rho=0.99, theta=theta, column="largest"),
            control=partial(_rows, rho=0.0, theta=theta, column="largest"),
            control_says="white input, ρ = 0",
            after_data=_FIRST,
        )
        for theta, shown in (("π/100", "10⁸"), ("π/10", "6 × 10⁶"), ("π", "8 × 10⁴"))
    ),
    Claim(
        name="fig10.white_input",
        figure="fig10",
        place="App. D, Fig. 10A",
        sentence="The input of Fig. 10 is white, so that the largest entry for θ₀ = π/100 is 10⁸ with ρ = 0.",
        statistic="log₁₀ of the largest entry, median over draws, ρ = 0, θ₀ = π/100",
        criterion=Criterion(above=7.7, below=8.3),
        sample=partial(_rows, rho=0.0, theta="π/100", column="largest"),
        tried="With ρ = 0.99, as in the authors' code, it is: the figure has correlated input where the text has white"
        " noise. What the text says of the diagonal holds for both.",
        after_data=_FIRST,
    ),
    Claim(
        name="fig10.lru_gains",
        figure="fig10",
        place="App. D, Fig. 10D",
        sentence="Where eigenvalues crowd near 1 the LRU is better than a complex diagonal network by more than a"
        " decade.",
        statistic=_DECADES.format("the complex diagonal student", "θ₀ = π/100"),
        criterion=Criterion(above=1.0),
        sample=partial(_gap, worse="diagonal"),
        control=partial(_gap, worse="diagonal", narrow=False),
        control_says="θ₀ = π",
    ),
    Claim(
        name="fig10.gap_widens",
        figure="fig10",
        place="App. D, Fig. 10D",
        sentence="This gap is wider than with eigenvalues all over the circle.",
        statistic="log₁₀ of the final loss of the complex diagonal student over that of the LRU, θ₀ = π/100 minus"
        " θ₀ = π, median over seeds",
        criterion=Criterion(above=0.5),
        sample=_widens,
    ),
    Claim(
        name="fig10.dense_is_far_worse",
        figure="fig10",
        place="App. D, Fig. 10D",
        sentence="The dense network is worse than the LRU by three orders of magnitude, there too.",
        statistic=_DECADES.format("the dense student", "θ₀ = π/100"),
        criterion=Criterion(above=3.0),
        sample=partial(_gap, worse="dense"),
        control=partial(_gap, worse="diagonal", narrow=False),
        control_says="the complex diagonal student, θ₀ = π",
    ),
]
