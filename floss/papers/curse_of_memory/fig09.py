"""Fig. 9: the Hessian at the optimum of an LRU and of an S4-like network with the same function.

The paper claims: what is sharp in the LRU is the angle, in S4 the step size. The Hessian is exactly at the optimum,
where the authors' S4 is slightly beside it (a loss of 1.8e-6, from a softplus that was inverted in float32).
"""

from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion
from floss.papers.curse_of_memory import optima
from floss.papers.finding import Findings


def draw(findings: Findings) -> Figure:
    """A: LRU; B: S4-like, with a step size of 0.01."""
    with house_style():
        figure = plt.figure(figsize=(10.8, 5.2))
        optima.draw_optima(figure, findings, ("lru", "s4"))
        return figure


# --- claims ---

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
]
