"""Fig. 2: the same neuron with normalised input, and its sensitivity to the parameter ω of λ = exp(-exp ω).

The paper claims: normalisation bounds the state, reparametrisation the sensitivity.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.panels import legend_below
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion
from floss.papers.curse_of_memory.fig01 import deviations, slopes
from floss.papers.curse_of_memory.plots import families
from floss.papers.finding import Findings

BELOW_ONE = (0.0, 0.9, 0.99, 0.999)
"""Correlations with a limit."""


def draw(findings: Findings) -> Figure:
    """A: γ² E h²; B: E (∂h/∂ω)², both against memory."""
    table, plain = (findings[run].tables["moments"] for run in ("moments", "plain"))
    with house_style():
        figure, (a, b) = plt.subplots(1, 2, figsize=(7.6, 3.6))
        families(a, table, "rho", "nines", "state", "ρ = {:g}")
        without = plain[plain["rho"] == 1]
        a.plot(without["nines"], without["state"], color="0.65", linewidth=2.5, zorder=0, label="without γ, ρ = 1")
        a.set_ylabel("E h² with normalised input")
        a.set_title("A  The state")
        families(b, table[table["nines"] > 0], "rho", "nines", "sensitivity", "ρ = {:g}")
        b.set_ylabel("E (∂h/∂ω)², λ = exp(−exp ω)")
        b.set_title("B  Sensitivity to ω")
        b.set_ylim(bottom=1e-2)
        for axes in (a, b):
            axes.set_yscale("log")
            axes.set_xlabel("memory, −log₁₀(1 − λ)")
        legend_below(figure, (a, b), ncols=6)
        return figure


# --- claims ---

CLAIMS = [
    Claim(
        name="fig02.state_limits",
        figure="fig02",
        place="Sec. 3.3, Fig. 2A",
        sentence="With normalised input the variance of the state stays bounded: its limits are (1 + ρ) / (1 - ρ), that"
        " is 1, 19, 199 and 1999.",
        statistic="|γ² E h² at λ = 0.9999 / limit - 1|, the largest of ρ = 0, 0.9, 0.99, 0.999",
        criterion=Criterion(below=0.1),
        sample=partial(deviations, expected={(rho, "state"): (1 + rho) / (1 - rho) for rho in BELOW_ONE}),
    ),
    Claim(
        name="fig02.state_constant_input",
        figure="fig02",
        place="Sec. 3.3, Fig. 2A",
        sentence="Of a constant input it grows as (1 + λ) / (1 - λ) only, slower than without normalisation.",
        statistic="distance of the slope of log γ² E h² over -log (1 - λ) from 1, ρ = 1, λ from 0.999 to 0.9999",
        criterion=Criterion(below=0.01),
        sample=partial(slopes, expected={(1.0, "state"): 1}),
    ),
    Claim(
        name="fig02.sensitivity_limits",
        figure="fig02",
        place="Sec. 3.3, Fig. 2B",
        sentence="With λ = exp(-exp ω) besides, the sensitivity to ω stays bounded: its limits are 0.5, 9.5, 99.5 and"
        " 999.5.",
        statistic="|E (∂h/∂ω)² at λ = 0.9999 / limit - 1|, the largest of ρ = 0, 0.9, 0.99, 0.999",
        criterion=Criterion(below=0.1),
        sample=partial(deviations, expected={(rho, "sensitivity"): (1 + rho) / (1 - rho) / 2 for rho in BELOW_ONE}),
    ),
    Claim(
        name="fig02.sensitivity_constant_input",
        figure="fig02",
        place="Sec. 3.3, Fig. 2B",
        sentence="Of a constant input the sensitivity to ω grows as 2 / (1 - λ), where that to λ grows as (1 - λ)⁻⁴.",
        statistic="|E (∂h/∂ω)² at λ = 0.9999 / (2 / (1 - λ)) - 1|, ρ = 1",
        criterion=Criterion(below=0.01),
        sample=partial(deviations, expected={(1.0, "sensitivity"): 2e4}),
    ),
]
