"""Fig. 4: the Hessian at the optimum of a dense linear network, and of a complex diagonal one with the same function.

The paper claims: their spectra are alike, and the sensitive directions of the diagonal one are aligned with parameters,
so that Adam gives the entries of a dense recurrence tiny learning rates, and eigenvalues of a diagonal one large ones.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory import optima
from floss.papers.curse_of_memory.rates import decades, median_rate, negative_share, rates_panel
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A: dense; B: complex diagonal. C, D: their effective learning rates after training."""
    with house_style():
        figure = plt.figure(figsize=(10.8, 8.0))
        above, below = figure.subfigures(2, 1, height_ratios=(5.2, 2.8))
        optima.draw_optima(above, findings, ("dense", "diagonal"))
        panels = below.subplots(1, 2)
        rates_panel(panels[0], findings, "dense", COLOURS[0], "C  dense, trained (above: share of negative rates)")
        rates_panel(panels[1], findings, "diagonal", COLOURS[1], "D  complex diagonal, trained")
        return figure


# --- claims ---


def _difference(findings: Findings, than: str = "diagonal") -> Sample:
    """Participation ratio of the dense student minus that of another, per function."""
    dense, other = (optima.by_seed(findings, s, "participation").sort_index() for s in ("dense", than))
    return middle(dense - other, each=0)


def _same_size(findings: Findings) -> Sample:
    """How many decades the largest eigenvalues of the two students are apart, per function."""
    dense, diagonal = (np.log10(optima.by_seed(findings, s, "largest").sort_index()) for s in ("dense", "diagonal"))
    return middle((dense - diagonal).abs(), each=0)


_TRAINED = "log₁₀ of the median over its positive effective learning rates after training at 10⁻³, median over networks"
_FIRST = "Those of 149 functions with other random numbers."

CLAIMS = [
    Claim(
        name="fig04.dense_explodes",
        figure="fig04",
        place="Sec. 4.2, Fig. 4A",
        sentence="The largest eigenvalue of the dense student's Hessian is between 10⁶ and 10⁷.",
        statistic="log₁₀ of the largest eigenvalue of the Hessian, median over functions",
        criterion=Criterion(above=5.7, below=7.3),
        sample=partial(optima.largest, student="dense"),
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.diagonal_explodes",
        figure="fig04",
        place="Sec. 4.2, Fig. 4B",
        sentence="That of the complex diagonal student is between 10⁶ and 10⁷ too: it explodes as well.",
        statistic="log₁₀ of the largest eigenvalue of the Hessian, median over functions",
        criterion=Criterion(above=5.7, below=7.3),
        sample=partial(optima.largest, student="diagonal"),
        tried="The paper does not say how large readout and input weights are. With C of variance 1 instead of 1/n the"
        " median is 10^6.05, within the criterion, and that of the dense student 10^7.4, which is not.",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.similar_spectra",
        figure="fig04",
        place="Sec. 4.2, Fig. 4",
        sentence="Both Hessians have similar spectra.",
        statistic="|log₁₀ of the largest eigenvalue of the dense student / that of the diagonal one|, median over"
        " functions",
        criterion=Criterion(below=1.0),
        sample=_same_size,
        tried="The dense student's is larger where the eigenvectors of A are far from orthogonal, as random ones are:"
        " ∂λ/∂A grows with their condition number. One function in which they are alike is easily found.",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.few_directions",
        figure="fig04",
        place="Sec. 4.2, Fig. 4A, B",
        sentence="Both spectra drop to zero after nine values, for n = 4 hidden units.",
        statistic="functions for which both Hessians, scaled to a unit diagonal, have 9 eigenvalues above 10⁻¹¹ of the"
        " largest",
        criterion=Criterion(above=0.9),
        sample=partial(optima.of_rank, students=("dense", "diagonal")),
        control=partial(optima.of_rank, students=("unpaired",)),
        control_says="a complex diagonal student whose eigenvalues are no conjugate pairs, which has rank 17",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.aligned",
        figure="fig04",
        place="Sec. 4.2, Fig. 4A, B",
        sentence="The leading eigenvectors of the dense student are spread over parameters, those of the diagonal one"
        " concentrated on few.",
        statistic="functions for which the participation ratio 1 / Σv⁴, mean of the four leading eigenvectors, is"
        " larger for the dense student",
        criterion=Criterion(above=0.85),
        sample=partial(optima.spreads_more, student="dense", than="diagonal"),
        control=partial(optima.spreads_more, student="diagonal", than="diagonal", shift=1),
        control_says="the diagonal student beside that of another function",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.aligned_by",
        figure="fig04",
        place="Sec. 4.2, Fig. 4A, B",
        sentence="The difference is more than one parameter.",
        statistic="participation ratio of the dense student minus that of the diagonal one, median over functions",
        criterion=Criterion(above=1.0),
        sample=_difference,
        control=partial(_difference, than="dense"),
        control_says="the dense student beside itself",
        ours=True,
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.recurrent_dense",
        figure="fig04",
        place="Sec. 4.2, Fig. 4A",
        sentence="What is sharp in the dense student is its recurrent matrix A.",
        statistic="share of A in the trace of the Hessian, median over functions",
        criterion=Criterion(above=0.99),
        sample=partial(optima.share, student="dense", group="A"),
        control=partial(optima.share, student="dense", group="B"),
        control_says="B",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.recurrent_diagonal",
        figure="fig04",
        place="Sec. 4.2, Fig. 4B",
        sentence="What is sharp in the complex diagonal student are its eigenvalues λ.",
        statistic="share of λ in the trace of the Hessian, median over functions",
        criterion=Criterion(above=0.99),
        sample=partial(optima.share, student="diagonal", group="λ"),
        control=partial(optima.share, student="diagonal", group="C"),
        control_says="C",
        after_data=_FIRST,
    ),
    Claim(
        name="fig04.dense_rates_fall",
        figure="fig04",
        place="Sec. 4.2, Fig. 4C",
        sentence="Adam gives the entries of a dense recurrent matrix tiny learning rates: their median is within a"
        " decade of 2 × 10⁻⁷.",
        statistic=f"{_TRAINED}, of A",
        criterion=Criterion(above=-7.7, below=-5.7),
        sample=partial(median_rate, student="dense", group="A"),
        control=partial(median_rate, student="dense", group="D"),
        control_says="D",
        tried="At the constant rate dense networks fall back again and again: the final losses of eight seeds are 0.4"
        " to 98, and the rates tell how strong the last bursts were. 2 × 10⁻⁷, of one network, means gradients of about"
        " 500. A has the smallest rates of all groups in seven of the eight networks.",
    ),
    Claim(
        name="fig04.dense_momentum",
        figure="fig04",
        place="Sec. 4.2, Fig. 4C, the authors' data",
        sentence="Nearly half of the entries of a dense recurrent matrix have momentum the other way: their rates are"
        " negative, and not drawn.",
        statistic="share of A's effective learning rates that are negative, median over networks",
        criterion=Criterion(above=0.4, below=0.5),
        sample=partial(negative_share, student="dense", group="A"),
        control=partial(negative_share, student="diagonal", group="λ"),
        control_says="λ of the complex diagonal student",
        tried="It differs between networks, from 0.2 to 0.4.",
    ),
    Claim(
        name="fig04.diagonal_rates_stay",
        figure="fig04",
        place="Sec. 4.2, Fig. 4D",
        sentence="The eigenvalues of a complex diagonal network keep rates of the size of the learning rate, 2 × 10⁻³.",
        statistic=f"{_TRAINED}, of λ",
        criterion=Criterion(above=-3.2, below=-2.49),
        sample=partial(median_rate, student="diagonal", group="λ"),
        control=partial(median_rate, student="dense", group="A"),
        control_says="A of the dense student",
    ),
    Claim(
        name="fig04.rates_apart",
        figure="fig04",
        place="Sec. 4.2, Fig. 4C, D",
        sentence="So Adam can use larger learning rates in a diagonal recurrence, by orders of magnitude.",
        statistic="log₁₀ of the median effective learning rate of λ over that of A, median over seeds",
        criterion=Criterion(above=2.0),
        sample=partial(decades, student="diagonal", group="λ", than={"dense": "A"}),
        control=partial(decades, student="diagonal", group="B", than={"diagonal": "C"}),
        control_says="B over C of the diagonal student",
    ),
]
