"""Table 1, from hand-made tables: exponents of the cost, and the share of flossing."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import math

import pandas as pd
import pytest
from papers.gradient_flossing.made_up_findings import NAN, SECONDS, cost, drawn, finding, panel, seconds, usual, written

from floss.papers.finding import Finding
from floss.papers.gradient_flossing import table1


def test_flossing_share():
    def share(summary: pd.DataFrame, number: int = 2) -> float:
        return table1.flossing_share(table1.costs(summary), number)

    # Six seconds in 0 + 1 + 2 episodes: f = 2; t = 10; during has two episodes: 4 / 14.
    assert share(SECONDS) == pytest.approx(4 / 14)
    assert share(SECONDS, 1) == pytest.approx(2 / 12)
    # Ensembles of different delays: f = (1 + 3 + 3) / (0 + 1 + 2), t = (10 + 12 + 14) / 3.
    uneven = seconds(("none", 10000, 11.0, 1.0), ("pre", 10000, 15.0, 3.0), ("during", 10000, 17.0, 3.0))
    assert share(uneven) == pytest.approx((14 / 3) / (14 / 3 + 12))
    # A network that diverged before the second episode, and one of which no time is known.
    partly = seconds(("during", 1000, 12.0, 2.0), ("during", 300, 12.0, 2.0), ("pre", 1000, NAN, NAN))
    assert share(partly) == pytest.approx((8 / 3) / (8 / 3 + 10))
    assert math.isnan(share(seconds(("none", 1000, 12.0, 0.0))))


def test_table1_shows_measured_and_expected_exponents():
    figure = usual(table1)
    axes = panel(figure, "A")
    names = [label.get_text() for label in axes.get_yticklabels()]
    loops = {
        "training": ["units $N$", "steps $T$", "batch $B$"],
        "flossing": ["units $N$", "steps $T$", "exponents $k$"],
    }
    # `scans` varies all sizes in both loops, even those that a loop does not know.
    assert set(names) >= {f"{loop}: {size}" for loop, sizes in loops.items() for size in sizes}
    diamonds = {
        names[round(float(line.get_ydata()[0]))]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"
    }
    assert diamonds["training: units $N$"] == pytest.approx(2)
    assert diamonds["flossing: steps $T$"] == pytest.approx(1)
    assert 1 < diamonds["flossing: units $N$"] < 2
    circles = {
        names[round(float(line.get_ydata()[0]))]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"
    }
    assert circles["training: units $N$"] == pytest.approx(1.7)
    assert circles["flossing: exponents $k$"] == pytest.approx(0.4)
    assert "1.70 ± 0.00" in written(figure)
    assert {"torch", "native", "expected"} <= set(written(figure).splitlines())


def test_table1_shows_the_shares_beside_the_papers():
    axes = panel(usual(table1), "B")
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2 / 12, 4 / 14])
    assert [line.get_xdata()[0] for line in axes.lines] == [pytest.approx(37 / 1717)]
    assert [text.get_text().strip() for text in axes.texts] == ["16.7 %", "28.6 %", "paper: 2.2 %, one episode"]
    unflossed = seconds(("none", 1000, 12.0, 0.0))
    findings = cost() | {"share": Finding(name="share", scale="smoke", command="", summary=unflossed)}
    assert "nothing was flossed" in written(drawn(table1, findings))
    findings["cost"] = finding(bench=findings["cost"].tables["bench"].iloc[:1])  # nothing varies
    drawn(table1, findings)
