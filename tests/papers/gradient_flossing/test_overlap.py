"""Appendix D, from hand-made tables: overlap of covariant vectors, and where networks leave chance."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
import pytest
from papers.gradient_flossing.made_up_findings import (
    ACCURACIES,
    INF,
    NAN,
    OVERLAPS,
    drawn,
    lines,
    panel,
    trained,
    usual,
    written,
)

from floss.figures.departure import leaves_chance
from floss.figures.spread import curves
from floss.papers.gradient_flossing import overlap


def metrics(**accuracies: list[float]) -> pd.DataFrame:
    rows = [(name, 20 * e, a) for name, values in accuracies.items() for e, a in enumerate(values)]
    return pd.DataFrame(rows, columns=["network", "epoch", "accuracy"])


def test_leaves_chance_is_the_first_epoch_from_which_accuracy_stays_above():
    training = metrics(
        at_once=[0.7, 0.8, 0.9],
        later=[0.5, 0.5, 0.61, 0.9],
        again=[0.7, 0.5, 0.9, 0.7],  # a first success that does not last
        never=[0.5, 0.5, 0.5],
        lost=[0.5, 0.9, 0.5],
        edge=[0.5, 0.6, 0.6],  # not above
        unknown=[0.5, 0.9, NAN, 0.9],
        diverged=[0.9, 0.9, NAN],
    )
    expected = {"at_once": 0, "later": 40, "again": 40, "unknown": 60}
    for rows in (training, training[::-1], training.sample(frac=1, random_state=1)):
        left = leaves_chance(rows)
        assert left.dropna().to_dict() == expected
        assert set(left.index) == set(training["network"])
    assert leaves_chance(training, threshold=0.5).to_dict()["edge"] == 20
    assert leaves_chance(training[training["epoch"] < 0]).empty


def test_overlap_shows_every_network_and_where_it_leaves_chance():
    figure = usual(overlap)
    flossed, span, unflossed = (panel(figure, letter) for letter in "ABC")
    (marks,) = (line for line in flossed.lines if line.get_color() == "black")
    assert sorted(zip(marks.get_xdata(), marks.get_ydata(), strict=True)) == [(20, 0.4), (40, 0.5)]
    assert lines(flossed, thick=False)[:3][0] == OVERLAPS["a"]
    assert lines(flossed, thick=True) == [pytest.approx([0.1, 0.2, 0.4, 0.2])]
    assert lines(unflossed, thick=True) == [pytest.approx([0.1, 0.3, 0.4, 0.2])]
    assert lines(span, thick=True) == [pytest.approx([0.1, 0.3, 0.4, 0.2])]
    assert lines(span, thick=False)[:2] == [
        pytest.approx(OVERLAPS["a"]),
        pytest.approx([0.1, 0.2, 0.5, NAN], nan_ok=True),
    ]
    assert "flossed in five early episodes, first vector, d = 70 (n = 3, of which 2 leave chance)" in written(figure)
    assert "never flossed, first vector, d = 20 (n = 2, of which 2 leave chance)" in written(figure)


def test_overlap_aligns_networks_to_the_epoch_at_which_they_leave_chance():
    axes = panel(usual(overlap), "D")
    median = next(line for line in axes.lines if line.get_linewidth() == 1.8)
    assert list(median.get_xdata()) == [-40, -20, 0, 20, 40]
    assert list(median.get_ydata()) == pytest.approx([0.1, 0.15, 0.45, 0.25, 0.2])


def test_overlap_where_half_of_the_networks_or_fewer_have_a_value():
    training = trained(ACCURACIES | {"d": [0.9, 0.9, 0.9, 0.9]}, OVERLAPS | {"d": [0.2] * 4}, 70).training
    table = overlap.since_departure(training, "clv_overlap", leaves_chance(training))
    # a: -20 ... 40, b: -40 ... 20, d: 0 ... 60, c never.
    assert list(table.columns) == ["a", "b", "d"]
    assert list(table.index) == [-20, 0, 20, 40]
    assert list(overlap.since_departure(training, "accuracy", leaves_chance(training), around=20).index) == [-20, 0, 20]


def test_overlap_where_no_network_leaves_chance_or_no_overlap_is_finite():
    chance = {name: [0.5] * 4 for name in "ab"}
    nothing = trained(chance, {name: [NAN] * 4 for name in "ab"}, 70)
    figure = drawn(overlap, dict.fromkeys(("flossed", "span", "unflossed"), nothing))
    assert "flossed in five early episodes, first vector, d = 70 (n = 2, of which 0 leave chance)" in written(figure)


def test_curves_keep_the_columns_of_networks_without_a_finite_value():
    rows = pd.DataFrame({"network": ["a", "a", "b", "b"], "epoch": [0, 1, 0, 1], "x": [1.0, -INF, NAN, INF]})
    table = curves(rows, "epoch", "x")
    assert list(table.columns) == ["a", "b"]
    assert table.to_numpy() == pytest.approx(np.array([[1.0, NAN], [NAN, NAN]]), nan_ok=True)
    assert rows["x"].tolist()[1] == -INF
