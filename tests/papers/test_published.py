"""What is committed of the reproduction is whole, and is what the code as it is now makes of it."""

from collections import Counter
from pathlib import Path

import pytest

from floss.papers.claim import Result, claims_csv
from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.judge import judged
from floss.runtime.files import sealed

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / PAPER.results_folder


@pytest.fixture(scope="module")
def reproduction() -> Reproduction:
    return Reproduction(FOLDER)


@pytest.fixture(scope="module")
def results(reproduction) -> list[Result]:
    return judged(reproduction)


def test_no_row_is_damaged_and_no_table(reproduction):
    status = Counter(record.status for record in reproduction.records.values())
    assert set(status) <= {"done", "diverged"}
    assert status["done"] > 500
    analyses = list((FOLDER / "analyses").iterdir())
    assert len(analyses) > 9
    assert all(map(sealed, analyses))


NOT_COMPUTED = {"fig01", "fig12", "fig14_more", "gated", "linear", "qr"}
"""Figures whose criteria are written down, and whose data are not yet computed."""


@pytest.mark.parametrize("figure", PAPER.figures())
def test_every_figure_has_its_data_and_its_pictures(reproduction, figure):
    findings = reproduction.findings(figure)
    if findings is None and PAPER.label(figure).endswith("(ours)"):
        pytest.skip("not computed yet")
    assert (findings is None) == (figure in NOT_COMPUTED)
    if findings is None:
        return
    assert all(finding.scale in ("paper", "small") for finding in findings.values())
    for finding in findings.values():
        assert all(environment["device"] and environment["commit"] for environment in finding.environments)
        assert all((folder / "config.yaml").exists() or figure == "table1" for folder in finding.folders)
    assert all((FOLDER / "figures" / f"{figure}.{kind}").stat().st_size > 10_000 for kind in ("png", "svg"))


def test_claims_are_those_of_the_data(results):
    assert (ROOT / "results/claims.csv").read_text() == claims_csv(results)


def test_controls_miss_their_criteria(results):
    """Where they do not, the criterion says nothing about the claim."""
    controls = [result.control for result in results if result.control is not None and result.control.units]
    assert len(controls) > 20
    assert [c.claim.name for c in controls if not c.misses] == []
