"""Figures 3 to 5 and 7 to 14: the same bytes twice, and whatever a run can leave."""

import pytest
from grids import covered
from papers.gradient_flossing.made_up_training import (
    NAN,
    Network,
    drawn,
    example,
    exponents,
    finding,
    findings,
    learns,
    networks,
    points,
    rows_of,
    steady,
    title,
)

from floss.figures.style import save
from floss.papers.finding import Findings
from floss.papers.gradient_flossing import fig14

OWN = tuple(f"fig{i:02d}" for i in (3, 4, 5, 7, 8, 9, 10, 12, 13))
"""Figures with code of their own."""


@pytest.mark.parametrize("figure", covered(OWN, ["fig10"]))
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
