"""Fig. 1: a neuron's sensitivity to its recurrent weight, and the losses of learning it.

The paper claims: the sensitivity grows as a power of 1 / (1 - λ), whatever the state does, and the loss becomes sharp.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import legend_below
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.plots import families
from floss.papers.finding import Findings
from floss.papers.samples import formula

NEAR = 0.9
"""Teachers from here on are close enough to 1 for what is said of the limit."""


def draw(findings: Findings) -> Figure:
    """A: E (∂h/∂λ)² against memory; B: loss against λ; C: loss against the angle to the teacher."""
    table = findings["moments"].tables["moments"]
    landscapes = findings["landscapes"].tables
    with house_style():
        figure, (a, b, c) = plt.subplots(1, 3, figsize=(9.6, 3.6))
        families(a, table, "rho", "nines", "sensitivity", "ρ = {:g}")
        state = table[table["rho"] == 1]
        a.plot(state["nines"], state["state"], color="0.65", linewidth=2.5, zorder=0, label="E h², ρ = 1")
        a.set_yscale("log")
        a.set_xlabel("memory, −log₁₀(1 − λ)")
        a.set_ylabel("E (∂h/∂λ)², in units of E x²")
        a.set_title("A  Sensitivity to λ")
        families(b, landscapes["magnitude"], "teacher", "lam", "loss", "λ* = {:g}", "plasma")
        b.set_yscale("log")
        b.set_ylim(1e-3, 1e3)
        b.set_xlabel("λ")
        b.set_ylabel("loss, ½ E |h − h*|²")
        b.set_title("B  Learning the magnitude, ρ = 0")
        families(c, landscapes["angle"], "teacher", "angle", "loss", "λ* = {:g}", "plasma")
        c.set_yscale("log")
        c.set_ylim(1e-3, 1e3)
        c.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
        c.set_xlabel("θ − θ*, at |λ| = λ*")
        c.set_title("C  Learning the angle, ρ = 0")
        a.legend(loc="upper left", fontsize=7, handlelength=2.8)
        legend_below(figure, (b,), ncols=7)
        return figure


# --- claims ---


def at(table: pd.DataFrame, rho: float, nines: float, column: str) -> float:
    """A moment at the λ that is closest to 1 - 10^-nines."""
    rows = table[table["rho"] == rho]
    return float(rows.loc[(rows["nines"] - nines).abs().idxmin(), column])


def deviations(findings: Findings, expected: dict[tuple[float, str], float]) -> Sample:
    """|value / expected - 1| of moments at λ = 0.9999."""
    table = findings["moments"].tables["moments"]
    return formula([abs(at(table, rho, 4, of) / value - 1) for (rho, of), value in expected.items()], np.max)


def slopes(findings: Findings, expected: dict[tuple[float, str], float]) -> Sample:
    """How far the slope of log E over -log(1 - λ) from λ = 0.999 to 0.9999 is from what is expected."""
    table = findings["moments"].tables["moments"]
    rows = [
        abs(np.log10(at(table, rho, 4, of) / at(table, rho, 3, of)) - slope) for (rho, of), slope in expected.items()
    ]
    return formula(rows, np.max)


def _exponential(findings: Findings) -> Sample:
    """Growth rate of log E per step of memory τ = 1 / (1 - λ), τ from 10³ to 10⁴ relative to τ from 10 to 100."""
    table = findings["moments"].tables["moments"]
    logs = {nines: np.log(at(table, 0, nines, "sensitivity")) for nines in (1, 2, 3, 4)}
    return formula([(logs[4] - logs[3]) / 9000 / ((logs[2] - logs[1]) / 90)], np.max)


def _optimum(findings: Findings) -> pd.DataFrame:
    return findings["landscapes"].tables["optimum"].sort_values("teacher")


def _basin(findings: Findings) -> Sample:
    table = _optimum(findings)
    table = table[table["teacher"] > NEAR]
    return formula((table["half_width"] / (2 * (1 - table["teacher"])) - 1).abs(), np.max)


def _grows(findings: Findings, column: str, expected: float) -> Sample:
    values = _optimum(findings)[column].to_numpy(dtype=float)
    return formula([abs(values[-1] / values[0] / expected - 1)], np.max)


CLAIMS = [
    Claim(
        name="fig01.values",
        figure="fig01",
        place="Sec. 3.1, Fig. 1A",
        sentence="At λ = 0.9999 the sensitivity is 2.5 × 10¹¹ for white input and 10¹⁶ for a constant one, while the"
        " variance of the state is 10⁸ at most.",
        statistic="largest |value / expected - 1| of E (∂h/∂λ)² with ρ = 0 and 1, and of E h² with ρ = 1",
        criterion=Criterion(below=0.01),
        sample=partial(
            deviations, expected={(0.0, "sensitivity"): 2.5e11, (1.0, "sensitivity"): 1e16, (1.0, "state"): 1e8}
        ),
    ),
    Claim(
        name="fig01.powers",
        figure="fig01",
        place="Sec. 3.1, Fig. 1A",
        sentence="The sensitivity grows as (1 - λ)⁻³ for uncorrelated input, and as (1 - λ)⁻⁴ for a constant one.",
        statistic="largest distance of the slope of log E (∂h/∂λ)² over -log (1 - λ), λ from 0.999 to 0.9999, from 3"
        " (ρ = 0 and 0.9) and 4 (ρ = 1)",
        criterion=Criterion(below=0.02),
        sample=partial(slopes, expected={(0.0, "sensitivity"): 3, (0.9, "sensitivity"): 3, (1.0, "sensitivity"): 4}),
        control=partial(slopes, expected={(0.0, "state"): 3, (1.0, "state"): 4}),
        control_says="the slope of log E h², ρ = 0 and 1, from the same powers",
    ),
    Claim(
        name="fig01.exponential",
        figure="fig01",
        place="a summary of the paper",
        sentence="The difficulty of learning grows exponentially with the memory length of the network.",
        statistic="growth rate of log E (∂h/∂λ)² per step of memory 1 / (1 - λ), from 10³ to 10⁴ steps, relative to"
        " that from 10 to 100 steps, ρ = 0; 1 if it were exponential",
        criterion=Criterion(above=0.5, below=2.0),
        sample=_exponential,
        tried="It is a power law: the exponents are 3 and 4 (fig01.powers). The curvature of the loss at its optimum"
        " has the exponents 3 and 2, without and with normalised inputs.",
    ),
    Claim(
        name="fig01.basin",
        figure="fig01",
        place="Sec. 3.2, Fig. 1C",
        sentence="The basin around the teacher's angle becomes narrow: its half-width is 2 (1 - λ*).",
        statistic="|half-width at half height / (2 (1 - λ*)) - 1|, the largest of λ* = 0.92, 0.96, 0.98, 0.99",
        criterion=Criterion(below=0.05),
        sample=_basin,
    ),
    Claim(
        name="fig01.far_loss",
        figure="fig01",
        place="Sec. 3.2, Fig. 1C",
        sentence="The loss at the angle π grows from 0.26 to 49.7, for λ* from 0.36 to 0.99.",
        statistic="|L(λ* = 0.99) / L(λ* = 0.36) / (49.7 / 0.26) - 1|",
        criterion=Criterion(below=0.02),
        sample=partial(_grows, column="loss_at_pi", expected=49.7 / 0.26),
    ),
    Claim(
        name="fig01.sharp",
        figure="fig01",
        place="Sec. 3.2, Fig. 1B",
        sentence="The curvature of the loss in the magnitude grows by 1.5 × 10⁵, for λ* from 0.36 to 0.99.",
        statistic="|∂²L/∂|λ|² (0.99) / ∂²L/∂|λ|² (0.36) / 1.5 × 10⁵ - 1|",
        criterion=Criterion(below=0.05),
        sample=partial(_grows, column="curvature_nu", expected=1.5e5),
        control=partial(_grows, column="curvature_theta", expected=1.5e5),
        control_says="the curvature in the angle, which grows by 1.1 × 10⁶",
    ),
]
