"""Fig. 9: the Hessian at the optimum of an LRU and of an S4-like network with the same function.

The paper claims: what is sharp in the LRU is the angle, in S4 the step size, and Adam gives these small rates. The
Hessian is exactly at the optimum, where the authors' S4 is slightly beside it (a loss of 1.8e-6, from a softplus that
was inverted in float32).
"""

# The annotations of matplotlib do not know how many subfigures there are.
# pyright: reportGeneralTypeIssues=false

from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion
from floss.papers.curse_of_memory import optima
from floss.papers.curse_of_memory.rates import decades, median_rate, rates_panel
from floss.papers.curse_of_memory.rates_jobs import CODE
from floss.papers.finding import Findings


def draw(findings: Findings) -> Figure:
    """A: LRU; B: S4-like, with a step size of 0.01. C, D: their effective learning rates after training, S4's twice."""
    with house_style():
        figure = plt.figure(figsize=(10.8, 8.0))
        above, below = figure.subfigures(2, 1, height_ratios=(5.2, 2.8))
        optima.draw_optima(above, findings, ("lru", "s4"))
        panels = below.subplots(1, 3)
        rates_panel(panels[0], findings, "lru", COLOURS[0], "C  LRU, trained (above: negative)")
        rates_panel(panels[1], findings, CODE, COLOURS[1], "D  S4, initial values of the code")
        rates_panel(panels[2], findings, "s4", COLOURS[1], "    S4, initial values of the text")
        return figure


# --- claims ---

_DECADES = "log₁₀ of the median effective learning rate of {} over that of {}, median over networks"
_FIRST = "Those of 149 functions with other random numbers, for the LRU."

CLAIMS = [
    Claim(
        name="fig09.lru_angle",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="In the LRU it is the angle alone that stays sharp.",
        statistic="share of ω_θ in the trace of the Hessian, median over functions",
        criterion=Criterion(above=0.99),
        sample=partial(optima.share, student="lru", group="θ"),
        control=partial(optima.share, student="lru", group="C"),
        control_says="C",
        after_data=_FIRST,
    ),
    Claim(
        name="fig09.lru_magnitude",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="The magnitude does not: its parametrisation has tamed it.",
        statistic="share of ω_ν in the trace of the Hessian, median over functions",
        criterion=Criterion(below=1e-3),
        sample=partial(optima.share, student="lru", group="ν"),
        control=partial(optima.share, student="lru", group="θ"),
        control_says="ω_θ",
        after_data=_FIRST,
    ),
    Claim(
        name="fig09.s4_step",
        figure="fig09",
        place="App. D, Fig. 9B",
        sentence="In S4 it is the step size Δ.",
        statistic="share of ω_Δ in the trace of the Hessian, median over functions",
        criterion=Criterion(above=0.9),
        sample=partial(optima.share, student="s4", group="Δ"),
        control=partial(optima.share, student="s4", group="Im a"),
        control_says="Im a",
        after_data=_FIRST,
    ),
    Claim(
        name="fig09.few_directions",
        figure="fig09",
        place="App. D, Fig. 9A, B",
        sentence="Both have the rank of the function, 9, with 29 parameters.",
        statistic="functions for which both Hessians, scaled to a unit diagonal, have 9 eigenvalues above 10⁻¹¹ of the"
        " largest",
        criterion=Criterion(above=0.9),
        sample=partial(optima.of_rank, students=("lru", "s4")),
        control=partial(optima.of_rank, students=("unpaired",)),
        control_says="a complex diagonal student whose eigenvalues are no conjugate pairs, which has rank 17",
        after_data=_FIRST,
    ),
    Claim(
        name="fig09.aligned",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="The leading eigenvectors of the LRU are concentrated on few parameters, beside those of a dense"
        " network.",
        statistic="functions for which the participation ratio 1 / Σv⁴, mean of the four leading eigenvectors, is"
        " larger for the dense student than for the LRU",
        criterion=Criterion(above=0.85),
        sample=partial(optima.spreads_more, student="dense", than="lru"),
        control=partial(optima.spreads_more, student="lru", than="lru", shift=1),
        control_says="the LRU beside that of another function",
        after_data=_FIRST,
    ),
    Claim(
        name="fig09.lru_angle_rates",
        figure="fig09",
        place="App. D, Fig. 9C",
        sentence="Adam gives the angles of the LRU rates that are more than a decade below those of its magnitudes.",
        statistic=_DECADES.format("ω_ν", "ω_θ"),
        criterion=Criterion(above=1.0),
        sample=partial(decades, student="lru", group="ν", than={"lru": "θ"}),
        control=partial(decades, student="lru", group="ν", than={"lru": "γ"}),
        control_says="ω_ν over ω_γ",
    ),
    Claim(
        name="fig09.lru_rest",
        figure="fig09",
        place="App. D, Fig. 9C",
        sentence="The magnitudes of the LRU feel next to no gradient: their rates are nearly √10 of the learning rate.",
        statistic="log₁₀ of the median over the positive effective learning rates of ω_ν after training at 10⁻³, median"
        " over networks",
        criterion=Criterion(above=-2.8, below=-2.49),
        sample=partial(median_rate, student="lru", group="ν"),
        control=partial(median_rate, student="lru", group="θ"),
        control_says="ω_θ",
    ),
    Claim(
        name="fig09.s4_rates",
        figure="fig09",
        place="App. D, Fig. 9D",
        sentence="In S4 step sizes have rates that are more than a decade below those of the input weights.",
        statistic=_DECADES.format("B", "ω_Δ") + ", initial values of the authors' code",
        criterion=Criterion(above=1.0),
        sample=partial(decades, student=CODE, group="B", than={CODE: "Δ"}),
        control=partial(decades, student=CODE, group="B", than={CODE: "C"}),
        control_says="B over C",
        tried="With these initial values, as we read the code, all eigenvalues are nearly real and inputs small: next"
        " to nothing is learnt (losses of 0.4 to 39), and nearly all gradients are negligible.",
    ),
    Claim(
        name="fig09.s4_rates_of_the_text",
        figure="fig09",
        place="App. D, Fig. 9D, with the initial values of the text",
        sentence="So it is with the initial values that the text describes, Δ = 1.",
        statistic=_DECADES.format("B", "ω_Δ") + ", initial values of the text",
        criterion=Criterion(above=1.0),
        sample=partial(decades, student="s4", group="B", than={"s4": "Δ"}),
        control=partial(decades, student="s4", group="B", than={"s4": "C"}),
        control_says="B over C",
        tried="They are smaller, by a factor of 2 to 4, as are those of Re a.",
    ),
]
