"""Fig. 15: one step of the QR iteration with two tangent vectors, drawn from a fixed Jacobian.

The paper claims: one QR step keeps the area.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportCallIssue=false

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from floss.figures.spread import HALO
from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

_FIRST, _SECOND, _RECTANGLE, _GREY = COLOURS[0], COLOURS[2], COLOURS[1], "0.5"
_TOP = 2.1
"""Height of the titles."""


def draw(findings: Findings) -> Figure:
    """A: orthonormal vectors; B: what the Jacobian makes of them; C: the rectangle of equal area that QR finds."""
    vectors = findings["step"].tables["vectors"]
    before, mapped, q, r = (_matrix(vectors, name) for name in ("Q_s", "D_s Q_s", "Q_s+1", "R"))
    parallelogram, rectangle = (abs(m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]) for m in (mapped, r))
    left, centre, right = (_point(x, 0.0) for x in (0.15, 2.5, 6.5))
    with house_style():
        figure, axes = plt.subplots(figsize=(7.6, 2.5))
        _title(axes, left, "A  orthonormal: $Q_s$", "area 1")
        _fill(axes, left + _corners(before))
        _vectors(axes, left, before, (r"$q_s^1$", r"$q_s^2$"))
        _arrow(axes, left + _point(1.25, 0.6), left + _point(2.15, 0.6), color="0.2", arrowstyle="-|>", linewidth=1.2)
        _text(axes, left + _point(1.7, 0.8), "$D_s$")

        _title(axes, centre, r"B  mapped: $\tilde Q_{s+1} = D_s Q_s$", f"area {parallelogram:.2f}")
        _fill(axes, centre + _corners(mapped))
        _vectors(axes, centre, mapped, (r"$\tilde q_{s+1}^1$", r"$\tilde q_{s+1}^2$"))
        _arrow(axes, centre + _point(2.5, 0.6), centre + _point(3.4, 0.6), color="0.2", arrowstyle="-|>", linewidth=1.2)
        _text(axes, centre + _point(2.95, 0.8), "QR")

        _title(axes, right, r"C  $\tilde Q_{s+1} = Q_{s+1} R$", f"rectangle $R_{{11}} R_{{22}}$: area {rectangle:.2f}")
        _fill(axes, right + _corners(mapped))
        _rectangle(axes, right, q, r)
        _vectors(axes, right, q, (r"$q_{s+1}^1$", r"$q_{s+1}^2$"))
        _lengths(axes, right, q, r)
        axes.set_aspect("equal")
        axes.set_xlim(0, 9.4)
        axes.set_ylim(-0.55, _TOP + 0.35)
        axes.set_axis_off()
        return figure


def _matrix(vectors: pd.DataFrame, name: str) -> np.ndarray:
    """A matrix of vectors.csv, whose rows are columns."""
    rows = vectors[vectors["matrix"] == name].sort_values("column")
    return rows[["x", "y"]].to_numpy(dtype=float).T


def _corners(edges: np.ndarray) -> np.ndarray:
    """Of the parallelogram whose edges are the two columns."""
    a, b = edges.T
    return np.array([0 * a, a, a + b, b])


def _fill(axes: Axes, corners: np.ndarray) -> None:
    axes.add_patch(Polygon(corners, facecolor=_GREY, alpha=0.25, edgecolor="none"))
    axes.add_patch(Polygon(corners, fill=False, edgecolor=_GREY))


def _rectangle(axes: Axes, origin: np.ndarray, q: np.ndarray, r: np.ndarray) -> None:
    """Its outline, and the two equal triangles by which it differs from the parallelogram."""
    corners = _corners(q * np.diagonal(r))
    slanted = q[:, 0] * r[0, 1] + q[:, 1] * r[1, 1]
    for start in (corners[0], corners[1]):
        triangle = origin + start + np.array([0 * slanted, slanted, corners[3]])
        axes.add_patch(Polygon(triangle, fill=False, edgecolor=_GREY, hatch="////", linewidth=0))
    axes.add_patch(Polygon(origin + corners, fill=False, edgecolor=_RECTANGLE, linewidth=2.2))
    _text(axes, origin + _point(1.1, -0.47), "hatched: two equal triangles", fontsize=7.5, color="0.3")


def _vectors(axes: Axes, origin: np.ndarray, edges: np.ndarray, names: tuple[str, str]) -> None:
    """The columns as arrows, the first solid, the second dashed, with their names inside the shape."""
    others = edges.T[::-1]
    for edge, other, name, colour, dashes in zip(edges.T, others, names, (_FIRST, _SECOND), ("-", "--"), strict=True):
        _arrow(axes, origin, origin + edge, color=colour, arrowstyle="-|>", linewidth=2, linestyle=dashes)
        aside = 0.24 * other / np.hypot(*other)
        _text(axes, origin + 0.6 * edge + aside, name, color=colour)


def _lengths(axes: Axes, origin: np.ndarray, q: np.ndarray, r: np.ndarray) -> None:
    """R_11 below the rectangle, R_22 left of it, R_12 above it."""
    first, second = q.T
    top = r[1, 1] * second
    for name, start, end, aside in (
        ("$R_{11}$", 0 * first, r[0, 0] * first, -0.2 * second),
        ("$R_{12}$", top, top + r[0, 1] * first, 0.15 * second),
        ("$R_{22}$", 0 * first, top, -0.2 * first),
    ):
        _arrow(axes, origin + start + aside, origin + end + aside, color="0.2", arrowstyle="<->", linewidth=0.8)
        _text(axes, origin + (start + end) / 2 + aside, name)


def _point(x: float, y: float) -> np.ndarray:
    return np.array([x, y])


def _title(axes: Axes, origin: np.ndarray, name: str, area: str) -> None:
    axes.text(origin[0] - 0.1, _TOP, f"{name}\n     {area}", va="center", fontsize=9.5)


def _text(axes: Axes, place: np.ndarray, text: str, **look: Any) -> None:
    axes.text(place[0], place[1], text, ha="center", va="center", bbox=HALO, zorder=5, **look)


def _arrow(axes: Axes, start: np.ndarray, end: np.ndarray, **look: Any) -> None:
    axes.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops={"shrinkA": 0, "shrinkB": 0, **look}, zorder=4)


# --- claims ---


def _differences(findings: Findings) -> Sample:
    return middle(findings["step"].tables["maps"]["difference"], each=0)


CLAIMS = [
    Claim(
        name="fig15.area_kept",
        figure="fig15",
        place="App. J, Fig. 15",
        sentence="The parallelogram that an orthonormal pair is mapped to has the area R₁₁ R₂₂ of the rectangle.",
        statistic="|R₁₁ R₂₂ / |det| - 1|, median over 100 random 2 x 2 maps",
        criterion=Criterion(below=1e-12),
        sample=_differences,
    ),
]
