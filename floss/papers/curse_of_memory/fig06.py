"""Fig. 6: normalised loss and its curvature along the magnitude and the angle, in three parametrisations.

The paper claims: the exponential parametrisation tames the magnitude, and an optimal one would tame both.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from floss.figures.panels import legend_below
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.plots import PARAMETRISATIONS, families
from floss.papers.finding import Findings
from floss.papers.samples import formula

ANGLE = np.pi / 100
"""Of the teacher."""
_UNITS = {
    ("polar", "nu"): (1.0, "ν"),
    ("exp", "nu"): (1.0, "ω_ν"),
    ("optimal", "nu"): (1.0, "ω_ν"),
    ("polar", "theta"): (np.pi, "θ / π"),
    ("exp", "theta"): (np.log(10), "log₁₀ θ = ω_θ / log 10"),
    ("optimal", "theta"): (np.pi, "ω_θ / π"),
}

_TICKS = {
    ("polar", "nu"): (-100, -1, 0, 1, 100, 1e4),
    ("exp", "nu"): (-0.1, 0, 0.1),
    ("optimal", "nu"): (-0.1, 0, 0.1, 1),
    ("polar", "theta"): (-1000, -10, -0.1, 0, 0.1, 10, 1000),
    ("exp", "theta"): (-1, -0.1, 0, 0.1, 1),
    ("optimal", "theta"): (-0.1, 0, 0.1, 1),
}
"""Of the curvature."""


def draw(findings: Findings) -> Figure:
    """A row for each parametrisation: loss and curvature along ν, loss and curvature along θ."""
    table = findings["parametrised"].tables["curves"]
    with house_style():
        figure, grid = plt.subplots(3, 4, figsize=(8.8, 5.8))
        for (name, words), line in zip(PARAMETRISATIONS.items(), grid, strict=True):
            for place, (variable, of) in enumerate((v, o) for v in ("nu", "theta") for o in ("loss", "curvature")):
                axes = line[place]
                unit, label = _UNITS[name, variable]
                rows = table[(table["parametrisation"] == name) & (table["variable"] == variable)]
                families(axes, rows.assign(x=rows["w"] / unit), "teacher", "x", of, "λ* = {:g}", "plasma")
                axes.set_xlabel(label.replace("ω_ν", "$\\omega_\\nu$").replace("ω_θ", "$\\omega_\\theta$"))
                if of == "loss":
                    axes.set_ylim(-0.05, 1.05 if variable == "nu" else None)
                else:
                    axes.set_yscale("symlog", linthresh=1e-2)
                    axes.set_yticks(_TICKS[name, variable])
                    axes.yaxis.set_minor_locator(NullLocator())
                    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            line[0].set_ylabel(f"{words}\nloss")
        columns = ("A  Loss, magnitude", "B  Curvature, magnitude", "C  Loss, angle", "D  Curvature, angle")
        for axes, title in zip(grid[0], columns, strict=True):
            axes.set_title(title)
        legend_below(figure, grid[0], ncols=7, title="magnitude of the teacher's eigenvalue")
        return figure


# --- claims ---


def optimum(findings: Findings, name: str) -> pd.DataFrame:
    """Where the optimum of a parametrisation is, and the curvatures there."""
    table = findings["parametrised"].tables["optimum"]
    return table[table["parametrisation"] == name].sort_values("teacher")


def _polar(findings: Findings) -> Sample:
    table = optimum(findings, "polar")
    r = table["teacher"] ** 2
    off = (table["curvature_nu"] * (1 - r) ** 2 - 1, table["curvature_theta"] * (1 - r) ** 2 / (r * (1 + r)) - 1)
    return formula(np.abs(np.concatenate(off)), np.max)


def _exp_magnitude(findings: Findings, name: str = "exp") -> Sample:
    return formula(optimum(findings, name)["curvature_nu"], np.max)


def _exp_angle(findings: Findings) -> Sample:
    """Growth of the curvature in the angle's parameter from the first to the last teacher, relative to polar."""
    grown = [optimum(findings, name)["curvature_theta"].to_numpy() for name in ("exp", "polar")]
    exp, polar = (values[-1] / values[0] for values in grown)
    return formula([exp / polar], np.max)


def _optimal(findings: Findings, name: str = "optimal") -> Sample:
    table = optimum(findings, name)
    return formula(np.abs(np.concatenate((table["curvature_nu"] - 1, table["curvature_theta"] - 1))), np.max)


def _sech(findings: Findings, name: str = "optimal") -> Sample:
    table = findings["parametrised"].tables["curves"]
    rows = table[(table["parametrisation"] == name) & (table["variable"] == "nu")]
    centres = optimum(findings, name).set_index("teacher")["w_nu"]
    expected = 1 - 1 / np.cosh(rows["w"].to_numpy() - centres[rows["teacher"]].to_numpy())
    return formula(np.abs(rows["loss"].to_numpy() - expected), np.max)


CLAIMS = [
    Claim(
        name="fig06.polar",
        figure="fig06",
        place="App. B, Fig. 6",
        sentence="Normalised, the curvature at the optimum is 1 / (1 - ν²)² in the magnitude and"
        " ν² (1 + ν²) / (1 - ν²)² in the angle: both explode as ν goes to 1.",
        statistic="largest |curvature / formula - 1| over both and seven λ*",
        criterion=Criterion(below=1e-6),
        sample=_polar,
    ),
    Claim(
        name="fig06.exp_tames_magnitude",
        figure="fig06",
        place="Sec. 3.3, App. B, Fig. 6",
        sentence="With ν = exp(-exp ω) the curvature in ω does not exceed 1/4, whatever λ* is.",
        statistic="largest curvature at the optimum over seven λ*",
        criterion=Criterion(above=0.2, below=0.25),
        sample=_exp_magnitude,
        control=partial(_exp_magnitude, name="polar"),
        control_says="the curvature in ν itself",
    ),
    Claim(
        name="fig06.exp_leaves_angle",
        figure="fig06",
        place="Sec. 3.3, App. B, Fig. 6",
        sentence="With θ = exp ω the curvature in the angle's parameter explodes as that in the angle does.",
        statistic="curvature in ω_θ at λ* = 0.99 relative to that at 0.36, divided by the same of θ",
        criterion=Criterion(above=0.99, below=1.01),
        sample=_exp_angle,
    ),
    Claim(
        name="fig06.optimal",
        figure="fig06",
        place="App. B, Fig. 6",
        sentence="In the optimal parametrisation both curvatures are 1 for every λ*.",
        statistic="largest |curvature - 1| over both and seven λ*",
        criterion=Criterion(below=1e-6),
        sample=_optimal,
        control=partial(_optimal, name="exp"),
        control_says="the exponential parametrisation",
    ),
    Claim(
        name="fig06.same_shape",
        figure="fig06",
        place="App. B, Fig. 6",
        sentence="Along the magnitude of the optimal parametrisation the loss is 1 - sech(ω - ω*), one shape for every"
        " λ*.",
        statistic="largest |L - (1 - sech(ω_ν - ω_ν*))| over the curves of seven λ*",
        criterion=Criterion(below=1e-8),
        sample=_sech,
        control=partial(_sech, name="exp"),
        control_says="the exponential parametrisation",
    ),
]
