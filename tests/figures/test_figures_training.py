"""Figures 3 to 5 and 7 to 14, from hand-made tables: what is drawn is what they say, and the same bytes twice."""

import functools
import importlib
import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from floss.figures.panels import FLOOR, episodes
from floss.figures.style import save
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing import fig10, fig11, fig14

NAN = math.nan
Network = dict[str, object]
Course = Callable[[Network, int], dict[str, float]]
"""What a network measures at an epoch; nothing where it has stopped."""


def networks(
    task: str = "xor", d: Iterable[int] = (70,), flossing: Iterable[str] = ("none",), k: Iterable[int] = (75,), seeds=3
) -> list[Network]:
    return [
        {"task": task, "d": one, "flossing": f, "k": number, "seed": seed}
        for one in d
        for f in flossing
        for number in k
        for seed in range(seeds)
    ]


def quality(network: Network) -> float:
    """Another number between 0 and 1 for each network."""
    d, k, seed, f = (network[name] for name in ("d", "k", "seed", "flossing"))
    return (7 * int(str(d)) + 3 * int(str(k)) + 11 * int(str(seed)) + 5 * len(str(f))) ** 2 % 97 / 97


def steady(network: Network, epoch: int) -> dict[str, float]:
    q = quality(network)
    return {"loss": 0.1 + q / (epoch + 1), "accuracy": 0.5 + q / 2, "grad_norm_h0": q * 1e-3}


def finding(
    every: list[Network],
    course: Course = steady,
    epochs: Iterable[int] = (0, 5, 10),
    final: Callable[[Network], float] = lambda one: 0.5 + quality(one) / 2,
) -> Finding:
    """A finding of these networks; the final loss is 1 less the accuracy, and nothing is there where that is NaN."""
    summary, metrics = [], []
    for place, one in enumerate(every):
        own = {
            **one,
            "arch": "vanilla",
            "init": "gaussian",
            "g": 1.0,
            "t_ons": 1,
            "network": f"{place * 7919 % 1000:04d}",
        }
        value = final(one)
        binary = "xor_" not in str(one["task"]) and one["task"] != "copy"
        summary.append({**own, "final_loss": 1.001 - value, "final_accuracy": value if binary else NAN})
        metrics.append({**own, "epoch": 0, "phase": "floss", "loss": 77.0, "accuracy": 0.77, "lambda_1": -7.7})
        for epoch in epochs:
            if measured := course(one, epoch):
                metrics.append({**own, "epoch": epoch, "phase": "train", **measured})
    text = pd.DataFrame(metrics).to_csv(index=False)
    return Finding("run", "smoke", "floss train", pd.DataFrame(summary), (text,))


def learns(network: Network, epoch: int) -> dict[str, float]:
    """Flossed networks leave chance, each at its epoch; their gradient is large 20 epochs before, the others' is 0."""
    seed, flossed = int(str(network["seed"])), network["flossing"] != "none"
    since = epoch - LEAVES[seed] if flossed else -1000
    wobble = 0.01 * ((epoch // 10 + seed) % 3 - 1)
    return {
        "loss": 0.7 - 0.001 * max(since, 0) - 0.01 * seed,
        "accuracy": (0.61 + 0.0005 * since if since >= 0 else 0.53 if since >= -20 else 0.49) + wobble,
        "grad_norm_h0": 10.0 ** (-2 - seed) if since >= -20 else 1e-9 if flossed else 0.0,
        "sv_1": 1.0 + seed,
        "sv_20": 0.1 * (1 + seed),
        "sv_40": 0.0 if epoch == 0 else 1e-3,
        "lambda_1": -0.1,
        "lambda_10": -0.2,
    }


LEAVES = {0: 300, 1: 150, 2: 150, 3: 420, 4: 10_000}
"""Epochs when the networks of `learns` leave chance, by seed; the last never does."""
LONG = range(0, 501, 10)
GRADIENT = {
    "fig08": ("none", "early"),
    "fig09": ("early",),
    "fig10": ("none", "early"),
    "fig11": ("none", "early"),
    "fig12": ("none", "early", "throughout"),
}
OWN = tuple(f"fig{i:02d}" for i in (3, 4, 5, 7, 8, 9, 10, 12, 13))
"""Figures with code of their own."""
SCHEDULES = ("none", "pre", "during")


def exponents(network: Network, epoch: int) -> dict[str, float]:
    """Known at every other logged epoch; λ₁₀ is twice λ₁."""
    lam = -0.01 * (1 + quality(network)) * (1 + epoch) if epoch % 10 == 0 else NAN
    return {**steady(network, epoch), "lambda_1": lam, "lambda_10": 2 * lam}


def findings(figure: str, d: tuple[int, ...] = (20, 40, 70), seeds: int = 3) -> Findings:
    """What a figure is drawn from."""
    if figure == "fig03":
        return {
            name: finding(networks(task, d, ("none", "pre"), seeds=seeds))
            for name, task in (("copy", "copy"), ("xor", "xor_continuous"))
        }
    if figure in ("fig04", "fig14"):
        spatial = networks("spatial_xor", d, SCHEDULES, seeds=seeds)
        return {"temporal": finding(networks("xor", d, SCHEDULES, seeds=seeds)), "spatial": finding(spatial)}
    if figure in ("fig05", "fig07"):
        names = ("during",) if figure == "fig05" else ("early", "pre")
        return {name: finding(networks("xor", d, (name,), (10, 75, 80), seeds)) for name in names}
    if figure == "fig13":
        spatial = networks("spatial_xor", d, ("none", "during"), seeds=seeds)
        return {"spatial": finding(spatial, exponents, (0, 5, 10, 15))}
    return {"gradient": finding(networks(flossing=GRADIENT[figure], seeds=5), learns, LONG)}


def drawn(figure: str, given: Findings) -> Figure:
    picture = importlib.import_module(f"floss.papers.gradient_flossing.{figure}").draw(given)
    assert isinstance(picture, Figure)
    plt.close(picture)
    return picture


@functools.cache
def example(figure: str) -> tuple[Findings, list[Axes]]:
    """What a figure is drawn from, and its panels; to look at only."""
    given = findings(figure)
    return given, drawn(figure, given).axes


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def title(axes: Axes) -> str:
    return axes.get_title(loc="left")


def line(axes: Axes, label: str) -> Line2D:
    """The one line with something in it that a legend calls so."""
    (found,) = (each for each in axes.lines if each.get_label() == label and len(np.asarray(each.get_xdata())))
    return found


def points(one: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(np.asarray(one.get_xdata()), np.asarray(one.get_ydata()), strict=True)]


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


# --- bytes, and whatever a run can leave ----------------------------------------------------------------------------


@pytest.mark.parametrize("figure", OWN)
def test_drawn_twice_the_bytes_are_the_same(figure, tmp_path):
    """But for the places of the panels, which take most of the time; test_reproduce.py has those, too."""
    written = []
    for _ in range(2):
        picture = drawn(figure, findings(figure))
        picture.set_layout_engine("none")
        written.append([path.read_bytes() for path in save(picture, tmp_path / figure)])
    assert written[0] == written[1]
    assert written[0][0].startswith(b"\x89PNG")
    assert written[0][1].startswith(b"<?xml")


def test_fig14_is_fig04_of_other_networks():
    given, panels = example("fig04")
    for one, other in zip(fig14.draw(given).axes, panels, strict=True):
        assert [points(each) for each in one.lines] == [points(each) for each in other.lines]
        assert title(one) == title(other)


def nobody_learns(network: Network, epoch: int) -> dict[str, float]:
    """Gradients underflow; the last seed stops before its second row."""
    if network["seed"] == 1 and epoch:
        return {}
    return {name: value for name, value in learns(network, epoch).items() if name != "sv_40"} | {
        "accuracy": 0.49,
        "grad_norm_h0": 0.0,
    }


def poor(figure: str) -> Findings:
    """Two networks, of which one has diverged, few rows, and no delay of 40 or 70."""

    def final(network: Network) -> float:
        return NAN if network["seed"] == 1 else 0.5

    rich = findings(figure, d=(10, 20), seeds=2)
    out = {}
    for name, one in rich.items():
        own = rows_of(one.summary.loc[one.summary["seed"] < 2])
        kept = [{key: row[key] for key in ("task", "d", "flossing", "k", "seed")} for row in own]
        for row in kept:
            row["d"] = min(int(row["d"]), 20)
        out[name] = finding(kept, nobody_learns, (0, 5, 19), final)
    return out


@pytest.mark.parametrize("figure", OWN)
def test_poor_data(figure):
    drawn(figure, poor(figure)).draw_without_rendering()


@pytest.mark.parametrize("figure", ["fig03", "fig04", "fig05", "fig07", "fig13"])
def test_every_network_has_diverged(figure):
    rich = findings(figure, d=(20,), seeds=1)
    gone = {
        name: finding(rows_of(one.summary.loc[:, ["task", "d", "flossing", "k", "seed"]]), steady, (0,), lambda _: NAN)
        for name, one in rich.items()
    }
    if figure == "fig13":
        gone = {"spatial": finding(networks("spatial_xor", seeds=1), exponents, (0,), lambda _: NAN)}
    drawn(figure, gone).draw_without_rendering()


# --- against the delay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", ["fig03", "fig04"])
@pytest.mark.parametrize("column", [0, 1])
def test_end_of_training_against_the_delay(figure, column):
    given, panels = example(figure)
    axes = panels[2 + column]
    name, measure = list(given)[column], "final_loss" if figure == "fig03" else "final_accuracy"
    summary = given[name].summary
    for band, flossing in enumerate(dict.fromkeys(summary["flossing"])):
        for d, mean in points(line(axes, f"{flossing} (n = 3)")):
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
    assert [text for text in legend(picture) if "none" in text] == ["none (n = 2-3)"]


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
    (image,) = axes.images
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    values = np.asarray(image.get_array())
    written = {text.get_position(): text.get_text() for text in axes.texts}
    for row, k in enumerate((10, 80)):
        for column, d in enumerate((20, 70)):
            own = [one["final_accuracy"] for one in rows_of(early.summary) if (one["d"], one["k"]) == (d, k)]
            if own:
                assert values[row, column] == pytest.approx(100 * statistics.median(own))
                assert written[column, row] == f"{100 * statistics.median(own):.0f}"
            else:
                assert written[column, row] == "-"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["20", "70"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["10", "80"]


# --- against the epoch ----------------------------------------------------------------------------------------------


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
        shown = points(line(axes, f"{flossing} (n = {n})"))
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
    assert [x for x, _ in points(line(axes, "throughout (n = 2)"))] == [9499, 9599, 9700, 9999]
    (marks,) = (one for one in axes.lines if one.get_marker() == "v" and len(np.asarray(one.get_xdata())))
    assert list(np.asarray(marks.get_xdata())) == [9500, 9600, 9700, 9800, 9900]


# --- gradients ------------------------------------------------------------------------------------------------------


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


def lasting(own):
    """The first row of a network from which the norm is large for 100 epochs."""
    for row in own:
        to_come = [other["grad_norm_h0"] for other in own if 0 <= other["epoch"] - row["epoch"] < 100]
        if all(norm >= 1e-3 for norm in to_come):
            return row["epoch"]
    return None


@pytest.mark.parametrize(("panel", "origin", "measure"), [
    (0, last(lambda row: row["accuracy"] <= 0.5), "grad_norm_h0"),
    (1, last(lambda row: row["grad_norm_h0"] < 1e-3), "accuracy"),
    (2, lasting, "accuracy"),
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
    assert f"({len(expected)} of 5)" in title(axes)
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
    monkeypatch.setitem(globals(), "LEAVES", leaves)

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
            shown = [(x, y) for x, y in points(line(upper, f"early: {name}")) if y == y]
            assert shown == [(x, y) for x, y in own if y > 0]
        shown = [points(one) for one in lower.lines if one.get_linewidth() == 1.5]
        for curve, flossing in zip(shown, ("none", "early"), strict=True):
            assert curve == [(r["epoch"], r["accuracy"]) for r in rows if r["flossing"] == flossing]


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
