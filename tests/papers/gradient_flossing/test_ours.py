"""The figures of ours, from hand-made tables: every network is shown, and how many solve their task."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from grids import covered
from matplotlib.axes import Axes
from papers.gradient_flossing.made_up_training import (
    NAN,
    Network,
    drawn,
    finding,
    networks,
    quality,
    steady,
    title,
)

from floss.figures.style import save
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing.until import last_loss

FIGURES = ("budget", "capacity", "control", "items", "spectra", "until")


def final(network: Network) -> float:
    """Those of seed 0 solve their task, the last one has diverged."""
    return {0: 0.99, 1: 0.6, 2: NAN}[int(str(network["seed"]))]


def near_zero(network: Network, epoch: int) -> dict[str, float]:
    return {**steady(network, epoch), "near_zero": round(70 * quality(network))}


def several(column: str, values: tuple[int, ...], *schedules: str, d: int = 70) -> list[Network]:
    return [{**one, column: value} for value in values for one in networks(d=(d,), flossing=schedules)]


def with_losses(found: Finding, loss: Callable[[int], float]) -> Finding:
    """With `floss_epochs`, and the flossing loss of each network at two epochs."""
    summary = found.summary.assign(floss_epochs=found.summary["seed"] * 100 + 200)
    metrics = found.metrics
    rows = [
        metrics[metrics["phase"] == "floss"].assign(
            epoch=epoch, floss_loss=lambda r, at=epoch: loss(at) * (1 + r["seed"])
        )
        for epoch in (500, 20)  # not in their order
    ]
    text = pd.concat([*rows, metrics[metrics["phase"] == "train"]]).to_csv(index=False)
    return replace(found, summary=summary, texts=(text,))


def findings(figure: str, final: Callable[[Network], float] = final) -> Findings:
    if figure == "control":
        flossed = networks(d=(40, 70), flossing=("during", "early"))
        runs = dict.fromkeys(("exponents", "spectral_radius", "one_step"), flossed)
        return {name: finding(own, final=final) for name, own in {"none": networks(d=(40, 70)), **runs}.items()}
    if figure == "budget":
        epochs = {"pre": (500, 1000, 2500), "during": (250, 500, 1250), "early": (100, 200, 500)}
        return {name: finding(several("flossing.epochs", own, name), final=final) for name, own in epochs.items()}
    if figure == "capacity":
        return {"sizes": finding(several("arch.n", (80, 112), "during", "early", d=80), final=final)}
    if figure == "items":
        holds = {40: (1, 2, 8), 80: (2, 4, 16), 160: (4, 8, 32)}
        return {
            f"d{d}": finding(several("task.hold", own, "none", "early", d=d), final=final) for d, own in holds.items()
        }
    if figure == "until":
        own = finding(networks(flossing=("during",)), final=final)
        return {"fixed": with_losses(own, lambda at: 1.0 / at), "until": with_losses(own, lambda at: 0.1 / at)}
    watched = finding(networks(flossing=("none", "during", "early")), near_zero, final=final)
    return {"watched": watched}


def counts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if re.fullmatch(r"\d+ of \d+", text.get_text())]


def shown(axes: Axes) -> int:
    """How many single networks there are as symbols."""
    return sum(len(np.asarray(line.get_ydata())) for line in axes.lines if line.get_linestyle() == "None")


@pytest.mark.parametrize(
    ("figure", "panels", "groups"),
    [("control", 4, 4), ("budget", 3, 3), ("capacity", 2, 2), ("until", 1, 2)],
)
def test_every_network_is_shown_and_those_that_solve_the_task_are_counted(figure, panels, groups):
    found = [axes for axes in drawn(figure, findings(figure)).axes if counts(axes)]
    assert [counts(axes) for axes in found] == [["1 of 3"] * groups] * panels
    assert [shown(axes) for axes in found] == [3 * groups] * panels
    none = [axes for axes in drawn(figure, findings(figure, lambda _: NAN)).axes if counts(axes)]
    assert [counts(axes) for axes in none] == [["0 of 3"] * groups] * panels


def test_panels_say_what_they_are_about():
    titles = {figure: [title(axes) for axes in drawn(figure, findings(figure)).axes] for figure in FIGURES}
    assert titles["control"][:3] == [
        "A  before and during training, d = 70",
        "B  in five early episodes, d = 70",
        "C  before and during training, d = 70",
    ]
    assert titles["control"][-1] == "F  in five early episodes, d = 40"
    assert titles["budget"] == [
        "A  500 flossing epochs in all",
        "B  1000 flossing epochs in all",
        "C  2500 flossing epochs in all",
    ]
    assert titles["capacity"][0] == "A  before and during training, d = 80"
    assert titles["items"][:2] == ["A  never flossed", "B  flossed in five early episodes"]
    assert titles["until"][0] == "A  flossed before and during training, d = 70"
    assert titles["spectra"] == ["A  near zero, d = 70", "B  accuracy, d = 70", "C  last logged epoch, d = 70"]


def test_the_loss_at_the_end_of_the_last_episode():
    losses = last_loss(findings("until")["fixed"])
    assert sorted(losses) == pytest.approx([0.002, 0.004, 0.006])
    c, d = drawn("until", findings("until")).axes[2:4]
    reached = sorted(
        float(x) for line in c.lines if line.get_linestyle() == "None" for x in np.asarray(line.get_xdata())
    )
    assert reached == pytest.approx(sorted([0.002, 0.004, 0.006, 0.0002, 0.0004, 0.0006]))
    spent = {float(x) for line in d.lines if line.get_linestyle() == "None" for x in np.asarray(line.get_xdata())}
    assert spent == {200.0, 300.0, 400.0}


def test_the_number_of_stored_bits_is_the_delay_over_how_long_each_stays():
    upper, _, lower, _ = drawn("items", findings("items")).axes
    shares = {str(line.get_label()): np.asarray(line.get_ydata()) for line in upper.lines}
    assert {name: share.tolist() for name, share in shares.items()} == {
        f"d = {d}": pytest.approx([1 / 3] * 3) for d in (40, 80, 160)
    }
    assert shown(lower) == 27
    assert [text.get_text() for text in lower.get_xticklabels()] == ["5", "20", "40"]


def test_one_schedule_alone_has_a_column_of_its_own():
    """As at small scale."""
    given = {
        name: replace(found, summary=found.summary[found.summary["flossing"] != "during"])
        for name, found in findings("control").items()
    }
    assert [title(axes) for axes in drawn("control", given).axes] == [
        "A  in five early episodes, d = 70",
        "B  in five early episodes, d = 70",
        "C  in five early episodes, d = 40",
    ]


@pytest.mark.parametrize("figure", covered(FIGURES, ["until"]))
def test_drawn_twice_the_bytes_are_the_same(figure, tmp_path):
    written = []
    for _ in range(2):
        picture = drawn(figure, findings(figure))
        picture.set_layout_engine("none")
        written.append([path.read_bytes() for path in save(picture, tmp_path / figure)])
    assert written[0] == written[1]
