"""Fig. 4: the Hessian at the optimum of a dense linear network, and of a complex diagonal one with the same function.

The paper claims: their spectra are alike, and the sensitive directions of the diagonal one are aligned with parameters.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory import optima
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A: dense; B: complex diagonal."""
    with house_style():
        figure = plt.figure(figsize=(10.8, 5.2))
        optima.draw_optima(figure, findings, ("dense", "diagonal"))
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
]
