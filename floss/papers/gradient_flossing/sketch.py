"""Panel A of Fig. 1: gradients through time are a product of Jacobians, which vanishes, explodes or does neither."""

import itertools

import numpy as np
from matplotlib.axes import Axes

from floss.figures.spread import HALO
from floss.figures.style import COLOURS


def sketch(axes: Axes) -> None:
    """States go forward and errors backward through the same Jacobians; what their product does to an error."""
    names, places = (r"\tau", r"\tau+1", r"\tau+2", "", "t-1", "t"), np.linspace(0.03, 0.5, 6)
    for place, name in zip(places, names, strict=True):
        text = rf"$\mathbf{{h}}_{{{name}}}$" if name else "…"
        axes.text(place, 0.62, text, ha="center", va="center", fontsize=10)
    for start, end in itertools.pairwise(places):
        ends = (start + 0.026, end - 0.026)
        axes.annotate("", (ends[1], 0.7), (ends[0], 0.7), arrowprops={"arrowstyle": "->", "color": "black"})
        axes.annotate("", (ends[0], 0.54), (ends[1], 0.54), arrowprops={"arrowstyle": "->", "color": COLOURS[1]})
        axes.text(sum(ends) / 2, 0.43, "D", color=COLOURS[1], ha="center", va="center", fontsize=9)
    axes.text(places.mean(), 0.84, "states, forward", ha="center", fontsize=8)
    product = r"errors, backward: $\mathbf{T}_t(\mathbf{h}_\tau)=\prod_{s=\tau}^{t-1}\mathbf{D}_s$,"
    axes.text(places.mean(), 0.2, product, color=COLOURS[1], ha="center", fontsize=9)
    jacobian = r"$\mathbf{D}_s=\partial\mathbf{h}_{s+1}/\partial\mathbf{h}_s$"
    axes.text(places.mean(), 0.03, jacobian, color=COLOURS[1], ha="center", fontsize=9)
    inset = axes.inset_axes((0.62, 0.2, 0.36, 0.72))
    steps = np.arange(0, 31)
    for exponent, words, dashes in (
        (0.1, "λ > 0: explodes", ":"),
        (0.0, "λ = 0", "-"),
        (-0.1, "λ < 0: vanishes", "--"),
    ):
        inset.plot(steps, np.exp(exponent * steps), color=COLOURS[1] if exponent else "black", linestyle=dashes)
        inset.annotate(
            words,
            (30, np.exp(exponent * 30)),
            (-3, 6 * (exponent <= 0) - 9 * (exponent > 0)),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            bbox=HALO,
        )
    inset.set_yscale("log")
    inset.set_xlabel("steps back, t − τ")
    inset.set_ylabel("size of an error")
    inset.set_xticks([])
    inset.set_yticks([], minor=True)
    inset.set_yticks([])
    axes.set_title("A  Gradients through time (sketch)")
    axes.axis("off")
