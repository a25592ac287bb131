"""Figures 1, 2, 6, 15, 16, Table 1 and Appendix D: the same bytes twice; Figure 15."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import math
from pathlib import Path

import numpy as np
import pytest
from grids import covered
from matplotlib import pyplot as plt
from papers.gradient_flossing.made_up_findings import ALL, drawn, usual, written

from floss.figures.style import house_style, save
from floss.papers.gradient_flossing import fig15, one_step

NAMED = {module.__name__.rpartition(".")[2]: module for module in ALL}


@pytest.mark.parametrize("name", covered(NAMED, ["overlap"]))
def test_a_figure_is_the_same_when_drawn_again(name, tmp_path):
    """Those of smoke scale are, all of them, in test_reproduce.py."""
    module = NAMED[name]

    def pictures(name: str) -> list[bytes]:
        with house_style():
            paths = save(module.draw(ALL[module]()), tmp_path / name)
        return [Path(path).read_bytes() for path in paths]

    png, svg = pictures("once")
    assert png.startswith(b"\x89PNG\r\n")
    assert svg.rstrip().endswith(b"</svg>")
    assert pictures("again") == [png, svg]
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", NAMED)
def test_a_figure_is_drawn(name):
    """Laid out, without a warning."""
    with house_style():
        drawn(NAMED[name], ALL[NAMED[name]]()).draw_without_rendering()


def test_areas_are_those_of_the_parallelogram_and_of_the_rectangle():
    # Base 3 and height 2; R = [[3, 1], [0, 2]] whichever way the vectors point.
    for turn in (0.0, 0.3, 2.0, 4.0):
        q = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        assert one_step.areas(q @ np.array([[3.0, 1.0], [0.0, 2.0]])) == pytest.approx((6.0, 6.0), rel=1e-14)
    assert one_step.areas(np.array([[1.0, 0.0], [0.0, -2.0], [2.0, 1.0]])) == pytest.approx((math.sqrt(21),) * 2)
    assert one_step.areas(np.array([[1.0, 2.0], [2.0, 4.0]])) == pytest.approx((0.0, 0.0), abs=1e-7)


def test_fig15_draws_shapes_of_the_areas_that_it_writes():
    figure = usual(fig15)

    def area(corners: np.ndarray) -> float:
        x, y = corners[:4].T
        return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2

    shapes = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "Polygon" and not patch.get_hatch()]
    areas = {round(area(np.asarray(patch.get_xy())), 6) for patch in shapes}
    determinant = round(float(np.linalg.det(one_step.JACOBIAN)), 6)
    assert areas == {1.0, determinant}  # the square, the parallelogram and the rectangle
    assert written(figure).count(f"area {determinant:.2f}") == 2
    for name in ("R_{11}", "R_{12}", "R_{22}", "q_{s+1}^1", "q_{s+1}^2"):
        assert name in written(figure)
