"""Fig. 15: one step of the QR iteration with two tangent vectors, drawn from a fixed Jacobian and no data."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from floss.figures.finding import Findings
from floss.figures.spread import HALO
from floss.figures.style import COLOURS, house_style

JACOBIAN = np.array([[1.9, 0.9], [0.15, 1.35]])
"""D_s; it has no meaning beyond the drawing."""

_TURN = np.deg2rad(8)
_NEW, _OLD, _FIRST, _SECOND = COLOURS[1], "0.55", COLOURS[0], COLOURS[2]
_LETTERS = {"ha": "center", "va": "center", "bbox": HALO, "zorder": 5}


def areas(matrix: np.ndarray) -> tuple[float, float]:
    """Areas of the parallelogram spanned by the two columns [n, 2], and of the rectangle R_11 × R_22 of its QR."""
    a, b = matrix.T
    _, r = _qr(matrix)
    return float(np.sqrt((a @ a) * (b @ b) - (a @ b) ** 2)), float(r[0, 0] * r[1, 1])


def draw(findings: Findings) -> Figure:  # noqa: ARG001
    """A: orthonormal vectors; B: what the Jacobian makes of them; C: the rectangle of equal area that QR finds."""
    before = np.array([[np.cos(_TURN), -np.sin(_TURN)], [np.sin(_TURN), np.cos(_TURN)]])
    mapped = JACOBIAN @ before
    q, r = _qr(mapped)
    parallelogram, rectangle = areas(mapped)
    with house_style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 3.1), sharex=True, sharey=True)
        _shape(left, before, _OLD, "")
        _vectors(left, before, (r"$q_s^1$", r"$q_s^2$"))
        left.set_title("A  orthonormal vectors $Q_s$\n     area 1")
        _shape(middle, mapped, _OLD, "")
        _vectors(middle, mapped, (r"$\tilde q_{s+1}^1$", r"$\tilde q_{s+1}^2$"))
        middle.set_title(f"B  $\\tilde Q_{{s+1}} = D_s Q_s$\n     area {parallelogram:.2f}")
        _shape(right, mapped, _OLD, "")
        _shape(right, q * np.diagonal(r), _NEW, "//")
        _vectors(right, q, (r"$q_{s+1}^1$", r"$q_{s+1}^2$"))
        _lengths(right, q, r)
        right.set_title(f"C  $\\tilde Q_{{s+1}} = Q_{{s+1}} R$\n     area of the rectangle {rectangle:.2f}")
        for axes in (left, middle, right):
            axes.set_aspect("equal")
            axes.set_axis_off()
        return figure


def _qr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q and R with a positive diagonal of R."""
    q, r = np.linalg.qr(matrix)
    sign = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q * sign, r * sign[:, None]


def _shape(axes: Axes, edges: np.ndarray, colour: str, hatch: str) -> None:
    """The parallelogram whose edges are the two columns, from the origin."""
    a, b = edges.T
    corners = np.array([0 * a, a, a + b, b])
    axes.add_patch(Polygon(corners, facecolor=colour, alpha=0.25, edgecolor="none"))
    axes.add_patch(Polygon(corners, fill=False, edgecolor=colour, hatch=hatch, linewidth=1, alpha=0.8))
    axes.update_datalim(corners)
    axes.autoscale_view()


def _vectors(axes: Axes, edges: np.ndarray, names: tuple[str, str]) -> None:
    """The columns as arrows, the first solid, the second dashed, with their names beside them."""
    for edge, name, colour, dashes in zip(edges.T, names, (_FIRST, _SECOND), ("-", "--"), strict=True):
        look = {"arrowstyle": "-|>,head_width=0.25", "color": colour, "linewidth": 2, "linestyle": dashes}
        axes.annotate("", edge, (0, 0), arrowprops={**look, "shrinkA": 0, "shrinkB": 0}, zorder=4)
        axes.text(*(0.6 * edge), name, color=colour, **_LETTERS)


def _lengths(axes: Axes, q: np.ndarray, r: np.ndarray) -> None:
    """R_11 and R_12 along the first new vector, R_22 along the second."""
    first, second = q.T
    spans = (
        ("$R_{11}$", 0 * first, r[0, 0] * first, -0.22 * second),
        ("$R_{12}$", r[1, 1] * second, r[1, 1] * second + r[0, 1] * first, 0.22 * second),
        ("$R_{22}$", 0 * first, r[1, 1] * second, -0.22 * first),
    )
    for name, start, end, aside in spans:
        look = {"arrowstyle": "<->", "color": "0.2", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", start + aside, end + aside, arrowprops=look)
        place = (start + end) / 2 + 1.6 * aside
        axes.text(*place, name, fontsize=9, **_LETTERS)
        axes.update_datalim([place + aside])
    axes.autoscale_view()
