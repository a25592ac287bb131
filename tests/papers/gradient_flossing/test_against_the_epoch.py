"""Figures 3, 4, 8 and 12 against the epoch, from hand-made tables."""

import statistics

import numpy as np
import pytest
from papers.gradient_flossing.made_up_training import (
    drawn,
    example,
    finding,
    findings,
    learns,
    line,
    networks,
    points,
    rows_of,
    title,
)

from floss.figures.panels import FLOOR, episodes
from floss.figures.schedules import in_words


@pytest.mark.parametrize(("figure", "panel", "measure", "middle"), [
    ("fig03", 1, "loss", statistics.median),
    ("fig04", 0, "accuracy", statistics.fmean),
    ("fig12", 0, "accuracy", statistics.median),
    ("fig12", 2, "loss", statistics.median),
    ("fig12", 4, "grad_norm_h0", statistics.median),
])  # fmt: skip
def test_centre_and_single_networks_against_the_epoch(figure, panel, measure, middle):
    given, panels = example(figure)
    axes = panels[panel]
    wanted = {"fig03": ("xor", 40), "fig04": ("temporal", 70), "fig12": ("gradient", 70)}[figure]
    training = [row for row in rows_of(given[wanted[0]].training) if row["d"] == wanted[1]]
    n = len({row["seed"] for row in training})
    floor = FLOOR if measure == "grad_norm_h0" else 0
    for flossing in {row["flossing"] for row in training}:
        shown = points(line(axes, f"{in_words(flossing)} (n = {n})"))
        assert [x for x, _ in shown] == sorted({row["epoch"] for row in training})
        for epoch, value in shown:
            own = [row[measure] for row in training if (row["epoch"], row["flossing"]) == (epoch, flossing)]
            assert len(own) == n
            assert value == pytest.approx(max(middle(own), floor), abs=0)
    thin = [one for one in axes.lines if one.get_linewidth() == 0.5]
    singles = sorted(y for one in thin for _, y in points(one))
    assert singles == pytest.approx(sorted(max(row[measure], floor) for row in training), abs=0)


def test_the_wanted_delay_or_the_largest():
    panels = drawn("fig04", findings("fig04", d=(20, 70, 80))).axes
    assert title(panels[0]) == "A  binary temporal XOR, d = 70"
    panels = drawn("fig04", findings("fig04", d=(10, 30))).axes
    assert title(panels[1]) == "B  spatial XOR, d = 30"


@pytest.mark.parametrize(("schedule", "starts"), [
    ("none", ()),
    ("pre", (0,)),
    ("during", (0, 500)),
    ("early", (0, 100, 200, 300, 400)),
    ("throughout", (0, 100, 200, 300, 400, 500, 600)),
    ("at-7", ()),
])  # fmt: skip
def test_episodes_are_those_of_the_schedules(schedule, starts):
    assert episodes(schedule, 601) == starts
    assert episodes(schedule, 1) == starts[:1]


def test_episodes_are_marked():
    axes = example("fig12")[1][0]
    marks = [one for one in axes.lines if one.get_marker() == "v" and len(np.asarray(one.get_xdata()))]
    assert [list(np.asarray(one.get_xdata())) for one in marks] == [[*range(0, 501, 100)], [*range(0, 401, 100)]]


def test_long_axes_are_logarithmic_from_500():
    assert example("fig08")[1][0].get_xscale() == "linear"
    long = {"gradient": finding(networks(flossing=("none", "early"), seeds=2), learns, (0, 100, 5000, 9999))}
    for axes in drawn("fig08", long).axes:
        assert axes.get_xscale() == "symlog"
        assert "logarithmic from 500" in axes.get_xlabel()
        place = axes.transData.transform([(x, 0.5) for x in (0, 250, 500, 9999)])[:, 0]
        assert place[1] - place[0] == pytest.approx(place[2] - place[1], rel=1e-6)
        assert place[3] - place[2] == pytest.approx(place[2] - place[0], rel=1e-6)


def test_the_end_of_training():
    every = networks(flossing=("throughout",), seeds=2)
    long = {"gradient": finding(every, learns, (0, 5000, 9450, 9499, 9599, 9700, 9999))}
    axes = drawn("fig12", long).axes[1]
    assert [x for x, _ in points(line(axes, "flossed throughout training (n = 2)"))] == [9499, 9599, 9700, 9999]
    (marks,) = (one for one in axes.lines if one.get_marker() == "v" and len(np.asarray(one.get_xdata())))
    assert list(np.asarray(marks.get_xdata())) == [9500, 9600, 9700, 9800, 9900]
