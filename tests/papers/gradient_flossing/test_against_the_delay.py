"""Figures 3 to 5, 7 and 13 against the delay, from hand-made tables."""

import math
import statistics
from collections.abc import Iterable

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from papers.gradient_flossing.made_up_training import (
    NAN,
    SCHEDULES,
    drawn,
    example,
    exponents,
    finding,
    line,
    networks,
    points,
    rows_of,
)

from floss.figures.schedules import in_words
from floss.papers.gradient_flossing import fig07


def dots(axes: Axes) -> list[float]:
    """Values of single networks that are drawn as dots."""
    return [y for one in axes.lines if one.get_marker() == "." for _, y in points(one)]


def percentile(values: Iterable[float], p: float) -> float:
    """Between the two values beside the place p (n - 1) of the sorted list."""
    ordered = sorted(values)
    place = p * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (place - math.floor(place)) * (high - low)


def edges(axes: Axes, band: int, x: float) -> tuple[float, float]:
    """Lower and upper edge of a shaded band at a place."""
    vertices = axes.collections[band].get_paths()[0].vertices
    at = [float(y) for place, y in np.asarray(vertices) if place == x]
    return min(at), max(at)


def legend(picture: Figure) -> list[str]:
    boxes = [*picture.legends, *(one for axes in picture.axes if (one := axes.get_legend()) is not None)]
    return [text.get_text() for box in boxes for text in box.get_texts()]


# --- against the delay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", ["fig03", "fig04"])
@pytest.mark.parametrize("column", [0, 1])
def test_end_of_training_against_the_delay(figure, column):
    given, panels = example(figure)
    axes = panels[2 + column]
    name, measure = list(given)[column], "final_loss" if figure == "fig03" else "final_accuracy"
    summary = given[name].summary
    for band, flossing in enumerate(dict.fromkeys(summary["flossing"])):
        for d, mean in points(line(axes, f"{in_words(flossing)} (n = 3)")):
            own = [row[measure] for row in rows_of(summary) if row["flossing"] == flossing and row["d"] == d]
            assert len(own) == 3
            assert mean == pytest.approx(statistics.fmean(own))
            assert edges(axes, band, d) == pytest.approx((percentile(own, 0.2), percentile(own, 0.8)))
    assert sorted(dots(axes)) == pytest.approx(sorted(summary[measure]))


@pytest.mark.parametrize(("column", "chance"), [(0, 1 / 12), (1, 1 / 18)])
def test_loss_of_answering_with_the_mean(column, chance):
    """The variance of the target, by a mean over a fine grid of inputs."""
    x = (np.arange(400) + 0.5) / 400
    target = x if column == 0 else np.abs(x[:, None] - x)
    assert target.var() == pytest.approx(chance, rel=1e-4)
    _, panels = example("fig03")
    for axes in (panels[column], panels[2 + column]):
        assert axes.get_yscale() == "log"
        assert set(np.asarray(line(axes, "chance (variance of the target)").get_ydata())) == {chance}


def test_networks_without_an_end_are_not_counted():
    given = {
        name: finding(
            networks(task, (20, 40), SCHEDULES),
            final=lambda one: NAN if (one["task"], one["d"], one["seed"]) == ("spatial_xor", 20, 2) else 0.9,
        )
        for name, task in (("temporal", "xor"), ("spatial", "spatial_xor"))
    }
    picture = drawn("fig04", given)
    assert [text for text in legend(picture) if "never" in text] == ["never flossed (n = 2-3)"]


@pytest.mark.parametrize(("figure", "run", "panel", "x"), [
    ("fig05", "during", 0, "d"),
    ("fig05", "during", 1, "k"),
    ("fig07", "early", 0, "d"),
    ("fig07", "early", 1, "k"),
    ("fig07", "pre", 3, "k"),
])  # fmt: skip
def test_against_the_delay_and_the_number_of_exponents(figure, run, panel, x):
    given, panels = example(figure)
    axes = panels[panel]
    rows = rows_of(given[run].summary)
    other = "k" if x == "d" else "d"
    values = sorted({row[other] for row in rows})
    assert len(values) == 3
    for band, value in enumerate(values):
        shown = points(line(axes, f"{other} = {value}"))
        assert [place for place, _ in shown] == sorted({row[x] for row in rows})
        for place, mean in shown:
            own = [row["final_accuracy"] for row in rows if row[other] == value and row[x] == place]
            assert mean == pytest.approx(statistics.fmean(own))
            assert edges(axes, band, place) == pytest.approx((percentile(own, 0.25), percentile(own, 0.75)))
    assert sorted(dots(axes)) == pytest.approx(sorted(row["final_accuracy"] for row in rows))


def test_lines_differ_in_more_than_colour():
    axes = example("fig05")[1][0]
    shown = [line(axes, f"k = {k}") for k in (10, 75, 80)]
    assert len({str(one.get_marker()) for one in shown}) == len({to_rgba(one.get_color()) for one in shown}) == 3


def test_median_of_each_delay_and_number():
    every = [one for one in networks("xor", (20, 70), ("early",), (10, 80)) if (one["d"], one["k"]) != (70, 10)]
    early = finding(every)
    axes = drawn("fig07", {"early": early, "pre": early}).axes[2]
    (mesh,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    corners = np.asarray(mesh.get_coordinates())
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    values = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan).reshape(2, 2)
    written = {text.get_position(): text.get_text() for text in axes.texts}
    for row, k in enumerate((10, 80)):
        for column, d in enumerate((20, 70)):
            (left, low), (right, high) = corners[row, column], corners[row + 1, column + 1]
            assert left < d < right
            assert low < k < high
            own = [one["final_accuracy"] for one in rows_of(early.summary) if (one["d"], one["k"]) == (d, k)]
            if own:
                assert values[row, column] == pytest.approx(100 * statistics.median(own))
                assert written[d, k] == f"{100 * statistics.median(own):.0f}"
            else:
                assert written[d, k] == "-"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["20", "70"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["10", "80"]


# --- exponents after training ---------------------------------------------------------------------------------------


def test_fig13_the_last_known_exponents():
    accuracy = {0: 0.99, 1: 0.7, 2: NAN}
    every = networks("spatial_xor", (20, 40), ("none", "during"))
    given = {"spatial": finding(every, exponents, (0, 5, 10, 15), lambda one: accuracy[int(str(one["seed"]))])}
    picture = drawn("fig13", given)
    for place, axes in enumerate(picture.axes[:4]):
        schedule, factor = ("none", "during")[place % 2], (1, 2)[place // 2]
        expected = [
            (one["d"], one["seed"], exponents(one, 10)["lambda_1"] * factor)
            for one in every
            if one["flossing"] == schedule
        ]
        kinds = [one for one in axes.collections if isinstance(one, PathCollection)]
        assert len(kinds) == 3
        for kind, seed in zip(kinds, (0, 1, 2), strict=True):  # successful, not successful, diverged
            shown = sorted((float(x), float(y)) for x, y in np.asarray(kind.get_offsets()))
            own = sorted((int(str(d)) + (seed - 1) * 0.6 * 20 / 3, y) for d, s, y in expected if s == seed)
            assert np.asarray(shown) == pytest.approx(np.asarray(own))
        colours = [np.asarray(kind.get_facecolor())[0] for kind in kinds]
        expected_colours = [plt.get_cmap("cividis")(0.98), plt.get_cmap("cividis")(0.4), to_rgba("0.8")]
        assert np.asarray(colours) == pytest.approx(np.asarray(expected_colours))
        for d, y in points(line(axes, "−0.2 exp(−0.03 d)")):
            assert y == pytest.approx(-0.2 * math.exp(-0.03 * d))
    assert {"accuracy > 95 %", "accuracy ≤ 95 %", "stopped early (diverged)"} <= set(legend(picture))


def test_cells_of_the_plane_are_as_wide_as_their_steps():
    assert fig07.edges([10, 20, 40]).tolist() == [5, 15, 30, 50]
    assert fig07.edges([70]).tolist() == [69.5, 70.5]
