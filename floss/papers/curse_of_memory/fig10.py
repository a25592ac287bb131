"""Fig. 10: the eigenvalues' part of the Hessian, for eigenvalues in a ring with less and less of the circle.

The paper claims: the more the eigenvalues crowd near 1, the less is the Hessian diagonal.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.hessian_jobs import ANGLES
from floss.papers.curse_of_memory.plots import hessian_panel, matrix_of, symlog
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A to C: Hessians over (Re λ, Im λ) for θ₀ = π/100, π/10, π; beside them the share off the diagonal."""
    example, draws = (findings["ring"].tables[name] for name in ("example", "draws"))
    with house_style():
        figure, line = plt.subplots(1, 4, figsize=(11, 2.9), width_ratios=(1, 1, 1, 1))
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
        return figure


# --- claims ---


def _rows(findings: Findings, rho: float, theta: str, column: str) -> Sample:
    draws = findings["ring"].tables["draws"]
    rows = draws[(draws["rho"] == rho) & (draws["theta0"] == theta)].sort_values("seed")
    return middle(np.log10(rows[column]) if column == "largest" else rows[column], each=0)


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
]
