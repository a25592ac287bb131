"""What the legends of an analysis' pictures say: how many networks there are, and how many could not be drawn."""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from floss.figures import condition, flossing, spectrum
from floss.figures.style import house_style, legend_inside, legend_outside

NETWORKS = [(0.3, 0), (0.5, 1), (0.9, 2)]
"""Gain and seed, both different for each network: there are three of them, not nine."""


def rows(**columns: Sequence[object]) -> pd.DataFrame:
    """A table of three flossed networks; the last has lost its exponents."""
    fixed = {"arch": "relu", "n": 4, "init": "gaussian", "flossing": "after", "k": 1.0, "target": 0.0}
    table = []
    for g, seed in NETWORKS:
        for values in zip(*columns.values(), strict=True):
            row = {**fixed, "g": g, "seed": seed, **dict(zip(columns, values, strict=True))}
            table.append(row)
    return pd.DataFrame(table)


def legends(monkeypatch: pytest.MonkeyPatch, module, draw, table, stem) -> list[str]:
    """All texts in the legends of a picture, which is not written."""
    texts: list[str] = []

    def keep(figure, _):
        boxes = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
        texts.extend(text.get_text() for box in boxes for text in box.get_texts())
        plt.close(figure)
        return []

    monkeypatch.setattr(module, "save", keep)
    draw(table, stem)
    return texts


def lost(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    table.loc[table["seed"] == 2, list(columns)] = -float("inf")
    return table


def test_spectrum(monkeypatch, tmp_path):
    table = lost(rows(state=[0, 0], i=[1, 2], **{"lambda": [-0.1, -0.2]}), "lambda")
    said = legends(monkeypatch, spectrum, spectrum.draw_spectrum, table, tmp_path / "x")
    assert said == ["flossed, k = 1 (n = 3, 1 not finite)"]


def test_flossing(monkeypatch, tmp_path):
    table = lost(rows(epoch=[0, 1], floss_loss=[0.1, 0.05], lambda_1=[-0.3, -0.2], lambda_k=[-0.3, -0.2]), "lambda_1")
    said = legends(monkeypatch, flossing, flossing.draw_flossing, table, tmp_path / "x")
    assert said == ["flossed, k = 1 (n = 3, 1 not finite)"]


def test_condition(monkeypatch, tmp_path):
    exact = rows(horizon=[5, 10, 5, 10], m=[1, 1, 2, 2], method=["exact"] * 4, log10_condition=[0.0, 0.0, 1.0, 2.0])
    theory = exact.assign(method="theory")
    said = legends(monkeypatch, condition, condition.draw_condition, pd.concat([exact, theory]), tmp_path / "x")
    assert said == ["flossed, k = 1: computed (n = 3)", "flossed, k = 1: predicted (Eq. 10)"]


LONG = "flossing.epochs = 12345, flossing.lr = 0.000123456, train.lr = 0.000123456, arch.readout = 0.123456"


@pytest.mark.parametrize("ncols", [1, 2, 6])
@pytest.mark.parametrize("labels", [["a", "b"], [f"{LONG[:60]} {i}" for i in range(7)], [f"{LONG} {LONG}"]])
def test_a_legend_lies_within_its_figure(labels, ncols):
    with house_style():
        figure, axes = plt.subplots(figsize=(5.2, 3.6))
        lines = [axes.plot([0, 1])[0] for _ in labels]
        legend = legend_outside(figure, lines, labels, ncols=ncols)
        figure.draw_without_rendering()
        box, page = legend.get_window_extent(), figure.bbox
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0 < box.y1 <= page.y1
    assert axes.get_position().height > 0.2
    assert len(figure.legends) == 1
    plt.close(figure)


@pytest.mark.parametrize("label", ["none", LONG])
def test_a_legend_that_is_wider_than_its_panel_lies_below_it(label):
    with house_style():
        figure, axes = plt.subplots(figsize=(5.2, 3.6))
        axes.plot([0, 1], label=label)
        legend_inside(axes, title="flossing")
        figure.draw_without_rendering()
        boxes = [*figure.legends, *([axes.get_legend()] if axes.get_legend() else [])]
        (box,) = (each.get_window_extent() for each in boxes)
    assert bool(figure.legends) == (label == LONG)
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    plt.close(figure)


def test_letters_have_proper_subscripts():
    import floss

    for path in sorted(Path(floss.__file__).parent.rglob("*.py")):
        drawn = re.findall(r"(?:label|title|annotate|text)\((.*)", path.read_text(encoding="utf-8"))
        assert not any(re.search(r"[λσκ]_\w", text) for text in drawn), path
