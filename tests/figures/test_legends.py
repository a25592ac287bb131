"""What the legends of an analysis' pictures say: how many networks there are, and how many could not be drawn."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from floss.figures import condition, flossing, spectrum

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
