"""Figures 3, 4, 8 and 12 against the epoch, from hand-made tables."""

import statistics
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
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
from floss.papers.gradient_flossing.fig08 import SHOWN

PHASES = {None: "", 0: ", right after an episode", 90: ", 90 epochs after an episode"}
"""Of networks that are flossed throughout, the whole training is shown at two epochs of every hundred."""


def phase_of(row: dict[str, Any]) -> int | None:
    return row["epoch"] % 100 if row["flossing"] == "throughout" else None


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
    wanted_singles = []
    for flossing, phase in {(row["flossing"], phase_of(row)) for row in training}:
        if phase not in PHASES:
            continue
        shown = points(line(axes, f"{in_words(flossing)} (n = {n}){PHASES[phase]}"))
        rows = [row for row in training if (row["flossing"], phase_of(row)) == (flossing, phase)]
        assert [x for x, _ in shown] == sorted({row["epoch"] for row in rows})
        for epoch, value in shown:
            own = [row[measure] for row in rows if row["epoch"] == epoch]
            assert len(own) == n
            assert value == pytest.approx(max(middle(own), floor), abs=0)
        wanted_singles += [max(row[measure], floor) for row in rows]
    thin = [one for one in axes.lines if one.get_linewidth() == 0.5]
    singles = sorted(y for one in thin for _, y in points(one))
    assert singles == pytest.approx(sorted(wanted_singles), abs=0)


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
    whole, end = example("fig12")[1][:2]

    def marks(axes: Axes) -> list[list[int]]:
        lines = [one for one in axes.lines if one.get_marker() == "v" and len(np.asarray(one.get_xdata()))]
        return [list(np.asarray(one.get_xdata())) for one in lines]

    assert marks(whole) == [[*range(0, 401, 100)]]  # those of every hundredth epoch would be a line
    assert marks(end) == [[*range(0, 501, 100)], [*range(0, 401, 100)]]


def test_the_first_epochs_of_a_long_training():
    short = example("fig08")[1][0]
    assert short.get_xlim()[1] == pytest.approx(500 * 1.03)
    assert short.get_xlabel() == "training epoch"
    long = {"gradient": finding(networks(flossing=("none", "early"), seeds=2), learns, (0, 100, 5000, 9999))}
    for axes in drawn("fig08", long).axes:
        assert axes.get_xscale() == "linear"
        assert axes.get_xlim()[1] == SHOWN
        assert axes.get_xlabel() == f"training epoch (the first {SHOWN} of 10000)"


def test_the_end_of_training():
    every = networks(flossing=("throughout",), seeds=2)
    long = {"gradient": finding(every, learns, (0, 5000, 9450, 9499, 9599, 9700, 9999))}
    axes = drawn("fig12", long).axes[1]
    assert [x for x, _ in points(line(axes, "flossed throughout training (n = 2)"))] == [9499, 9599, 9700, 9999]
    (marks,) = (one for one in axes.lines if one.get_marker() == "v" and len(np.asarray(one.get_xdata())))
    assert list(np.asarray(marks.get_xdata())) == [9500, 9600, 9700, 9800, 9900]
