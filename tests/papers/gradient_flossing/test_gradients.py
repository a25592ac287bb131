"""Figures 8 to 11, from hand-made tables: gradients, and where networks leave chance."""

import statistics
from typing import Any

import numpy as np
import pytest
from papers.gradient_flossing import made_up_training
from papers.gradient_flossing.made_up_training import (
    LONG,
    Network,
    drawn,
    example,
    finding,
    learns,
    line,
    networks,
    points,
    rows_of,
    title,
)

from floss.figures.panels import FLOOR
from floss.papers.gradient_flossing import fig10, fig11


def departures(training: list[dict[str, Any]]) -> dict[int, int]:
    """By seed, the first epoch of flossed networks from which on the accuracy is above 60 %, by looking at each."""
    found = {}
    for seed in {row["seed"] for row in training}:
        own = sorted((r["epoch"], r["accuracy"]) for r in training if r["seed"] == seed and r["flossing"] != "none")
        good = [epoch for i, (epoch, _) in enumerate(own) if all(value > 0.6 for _, value in own[i:])]
        if good:
            found[seed] = min(good)
    return found


def test_norms_of_zero_are_drawn_at_the_lower_edge():
    axes = example("fig08")[1][0]
    assert axes.get_yscale() == "log"
    lowest = min(y for one in axes.lines if one.get_linewidth() == 0.5 for _, y in points(one))
    assert axes.get_ylim()[0] < lowest == FLOOR
    assert axes.get_yticks()[0] == FLOOR
    assert axes.get_yticklabels()[0].get_text().startswith("≤")


def test_fig08_the_first_seed_is_thick():
    given, panels = example("fig08")
    axes = panels[1]
    thick = [
        points(one) for one in axes.lines if (one.get_linewidth(), one.get_marker()) == (1.5, "None") and points(one)
    ]
    rows = rows_of(given["gradient"].training)
    for shown, flossing in zip(thick, ("none", "early"), strict=True):
        own = [(r["epoch"], r["accuracy"]) for r in rows if (r["seed"], r["flossing"]) == (0, flossing)]
        assert np.asarray(shown) == pytest.approx(np.asarray(sorted(own)))


@pytest.mark.parametrize(("panel", "measure"), [(2, "grad_norm_h0"), (3, "accuracy")])
def test_fig08_marks_where_networks_leave_chance(panel, measure):
    given, panels = example("fig08")
    axes = panels[panel]
    rows = rows_of(given["gradient"].training)
    expected = [
        (row["epoch"], row[measure])
        for row in rows
        if row["flossing"] == "early" and departures(rows).get(row["seed"]) == row["epoch"]
    ]
    assert len(expected) == 4
    marks = [place for one in axes.lines if one.get_marker() not in ("None", "v") for place in points(one)]
    assert np.asarray(sorted(marks)) == pytest.approx(np.asarray(sorted(expected)))


def test_fig08_peaks_are_cut_and_said():
    def peaked(network: Network, epoch: int) -> dict[str, float]:
        flossed = network["flossing"] != "none"
        return {**learns(network, epoch), "grad_norm_h0": (25.0 if epoch == 100 else 0.2) if flossed else 0.0}

    picture = drawn("fig08", {"gradient": finding(networks(flossing=("none", "early")), peaked, LONG)})
    assert picture.axes[2].get_ylim()[1] == pytest.approx(0.22)
    assert "peaks reach 25" in picture.axes[2].get_ylabel()


def last(event):
    """The last row of a network at which something holds."""
    return lambda own: ([row["epoch"] for row in own if event(row)] or [None])[-1]


@pytest.mark.parametrize(("panel", "origin", "measure"), [
    (0, last(lambda row: row["accuracy"] <= 0.5), "grad_norm_h0"),
    (1, last(lambda row: row["grad_norm_h0"] < 1e-3), "accuracy"),
])  # fmt: skip
def test_fig09_is_aligned(panel, origin, measure):
    given, panels = example("fig09")
    axes = panels[panel]
    rows = rows_of(given["gradient"].training)
    leaving = departures(rows)
    assert sorted(leaving) == [0, 1, 2, 3]
    expected = []
    for seed in sorted(leaving):
        own = sorted((row for row in rows if row["seed"] == seed), key=lambda row: row["epoch"])
        when = origin(own)
        if when is not None:
            expected.append([(row["epoch"] - when, row[measure]) for row in own])
    shown = [points(one) for one in axes.lines if one.get_linewidth() == 0.8 and len(np.asarray(one.get_xdata())) > 2]
    assert len(shown) == len(expected)
    for one, other in zip(shown, expected, strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other))
    assert f"({len(expected)} of 5 networks)" in title(axes)
    for x, y in points(line(axes, "median (of at least half of them)")):
        values = [value for own in expected for since, value in own if since == x]
        assert len(values) >= len(expected) / 2
        assert y == pytest.approx(statistics.median(values))


def test_fig09_networks_differ_in_more_than_colour():
    every = networks(flossing=("early",), seeds=20)
    picture = drawn("fig09", {"gradient": finding(every, lambda one, e: learns({**one, "seed": 0}, e), LONG)})
    looks = {(one.get_color(), one.get_marker()) for one in picture.axes[0].lines if one.get_linewidth() == 0.8}
    assert len(looks - {("0.6", "None")}) == 20


@pytest.mark.parametrize(("leaves", "first", "last"), [
    ({0: 300, 1: 150, 2: 150, 3: 420, 4: 10_000}, (1, 150), (3, 420)),
    ({0: 10_000, 1: 10_000, 2: 10_000}, (0, None), (1, None)),
    ({0: 10_000, 1: 10_000, 2: 200}, (2, 200), (0, None)),
    ({0: 10_000}, (0, None), (0, None)),
])  # fmt: skip
def test_the_two_networks_of_figs_10_and_11(monkeypatch, leaves, first, last):
    monkeypatch.setattr(made_up_training, "LEAVES", leaves)

    def course(network: Network, epoch: int) -> dict[str, float]:
        return {
            **learns(network, epoch),
            "accuracy": learns(network, epoch)["accuracy"] + 0.02 * (network["flossing"] != "none"),
        }

    given = {"gradient": finding(networks(flossing=("none", "early"), seeds=len(leaves)), course, LONG)}
    for module, (seed, epoch) in ((fig10, first), (fig11, last)):
        upper, lower = module.draw(given).axes
        said = "does not leave chance" if epoch is None else f"leaves chance at epoch {epoch}"
        assert title(upper).endswith(f"seed {seed} (flossed, it {said})")
        rows = [row for row in rows_of(given["gradient"].training) if row["seed"] == seed]
        for column, name in (("sv_1", "σ₁"), ("sv_20", "σ₂₀"), ("sv_40", "σ₄₀")):
            own = [(r["epoch"], r[column]) for r in rows if r["flossing"] == "early"]
            shown = [(x, y) for x, y in points(line(upper, f"flossed in five early episodes: {name}")) if y == y]
            assert shown == [(x, y) for x, y in own if y > 0]
        shown = [points(one) for one in lower.lines if one.get_linewidth() == 1.5]
        for curve, flossing in zip(shown, ("none", "early"), strict=True):
            assert curve == [(r["epoch"], r["accuracy"]) for r in rows if r["flossing"] == flossing]
