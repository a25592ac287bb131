"""What is committed of the reproduction is whole, and is what the code as it is now makes of it, on every processor.

`make test` asks on the processor that it runs on, the slow test on a lesser one as well.

All that needs every claim judged by the committed data is in this file: its intervals take a while.
"""

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from docs.pages import read
from papers.lesser_processor import lesser

from floss.papers.claim import Result, claims_csv
from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.judge import judged
from floss.papers.report.tables import claims_markdown, figures_markdown
from floss.runtime.files import sealed

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / PAPER.results_folder
GENERATED = ("README.md", "results/README.md", "docs/curse_of_memory.md", "docs/gallery.md", "docs/speed.md")
"""Pages with tables that are made from the data."""
PROGRAM = """
from floss.papers.claim import claims_csv
from floss.papers.findings import Reproduction
from floss.papers.judge import judged
from floss.papers.report.tables import claims_markdown, figures_markdown
reproduction = Reproduction("results/paper")
results = judged(reproduction)
texts = claims_csv(results), claims_markdown(results, reproduction.paper), figures_markdown(reproduction)
print(*texts, sep="====", end="")
"""


@pytest.fixture(scope="module")
def reproduction() -> Reproduction:
    return Reproduction(FOLDER)


@pytest.fixture(scope="module")
def results(reproduction) -> list[Result]:
    return judged(reproduction)


@pytest.fixture(scope="module")
def fill_pages(results, reproduction) -> ModuleType:
    """The script that writes the tables of the pages, with the claims as they are judged here."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        module = importlib.import_module("fill_pages")
    finally:
        sys.path.pop(0)
    assert module.reproduction().results == FOLDER
    of_another, data_of_another = module.results, module.reproduction
    module.__dict__.update(
        results=lambda paper=PAPER: tuple(results) if paper is PAPER else of_another(paper),
        reproduction=lambda paper=PAPER: reproduction if paper is PAPER else data_of_another(paper),
    )
    return module


def test_no_row_is_damaged_and_no_table(reproduction):
    status = Counter(record.status for record in reproduction.records.values())
    assert set(status) <= {"done", "diverged"}
    assert status["done"] > 500
    analyses = list((FOLDER / "analyses").iterdir())
    assert len(analyses) > 9
    assert all(map(sealed, analyses))


NOT_COMPUTED = {"qr"}
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


@pytest.mark.parametrize("page", GENERATED)
def test_tables_of_the_pages_are_those_of_the_data(fill_pages, page):
    assert tuple(fill_pages.PAGES) == GENERATED
    text = read(page)
    assert fill_pages.filled(page, text) == text
    for name in fill_pages.PAGES[page]:
        with pytest.raises(SystemExit, match=f"{page}: must have the marks .* end of {name} "):
            fill_pages.filled(page, text.replace(f"<!-- end of {name} -->", ""))


@pytest.mark.slow
def test_claims_and_tables_are_the_same_on_a_lesser_processor(results, reproduction):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=lesser(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    csv, claims, figures = done.stdout.split("====")
    assert csv == (ROOT / PAPER.report_folder / "claims.csv").read_text()
    assert claims == claims_markdown(results, PAPER)
    assert figures == figures_markdown(reproduction)
