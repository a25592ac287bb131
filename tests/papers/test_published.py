"""What is committed of the reproduction is whole, and is what the code as it is now makes of it, on every processor.

`make test` asks on the processor that it runs on, the slow test on a lesser one as well.

All that needs the committed data of every claim is in this file: reading them, and their intervals, take a while.
"""

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from docs.pages import read
from papers.curse_of_memory import committed as curse
from papers.gradient_flossing.twins import twin
from papers.gradient_flossing.twins.committed import CLAIMS, Committed, measured
from papers.lesser_processor import lesser

from floss.papers.claim import Result, claims_csv
from floss.papers.curse_of_memory import PAPER as CURSE
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
from floss.papers.curse_of_memory import PAPER as CURSE
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
    assert [module.reproduction(paper).results for paper in (PAPER, CURSE)] == [FOLDER, curse.FOLDER]
    module.__dict__.update(
        results=lambda paper=PAPER: {PAPER.name: tuple(results), CURSE.name: tuple(curse.results())}[paper.name],
        reproduction=lambda paper=PAPER: {PAPER.name: reproduction, CURSE.name: curse.REPRODUCTION}[paper.name],
    )
    return module


def test_no_row_is_damaged_and_no_table(reproduction):
    status = Counter(record.status for record in reproduction.records.values())
    assert set(status) <= {"done", "diverged"}
    assert status["done"] > 500
    analyses = list((FOLDER / "analyses").iterdir())
    assert len(analyses) > 9
    assert all(map(sealed, analyses))


@pytest.mark.parametrize("figure", PAPER.figures())
def test_every_figure_has_its_data_and_its_pictures(reproduction, figure):
    findings = reproduction.findings(figure)
    if findings is None and PAPER.label(figure).endswith("(ours)"):
        pytest.skip("not computed yet")
    assert findings is not None
    assert all(finding.scale in ("paper", "small") for finding in findings.values())
    for finding in findings.values():
        assert all(environment["device"] and environment["commit"] for environment in finding.environments)
        assert all((folder / "config.yaml").exists() or figure == "table1" for folder in finding.folders)
    assert all((FOLDER / "figures" / f"{figure}.{kind}").stat().st_size > 10_000 for kind in ("png", "svg"))


def test_claims_are_those_of_the_data(results):
    assert (ROOT / "results/claims.csv").read_text() == claims_csv(results)


@pytest.mark.parametrize("figure", PAPER.figures())
def test_committed_numbers_equal_those_of_plain_python(figure, reproduction):
    """From the CSV files: what stands in claims.csv has no mistake that its statistic alone could make."""
    further = tuple(dict.fromkeys(name for one in CLAIMS.values() if one.figure == figure for name in one.further))
    if any(reproduction.findings(name) is None for name in (figure, *further)):
        pytest.skip("not computed yet")
    runs = reproduction.findings_for(figure, further)
    twins = twin(figure, Committed(runs))
    assert measured(figure, runs) == pytest.approx(twins, rel=1e-6, nan_ok=True)


def test_controls_miss_their_criteria(results):
    """Where they do not, the criterion says nothing about the claim."""
    controls = [result.control for result in results if result.control is not None and result.control.units]
    assert len(controls) > 20
    assert [c.claim.name for c in controls if not c.misses] == []


TRAINED = {"fig03", "fig10", "fig11", "m1", "m2", "m3", "m4"}
"""Figures with networks that are trained: paper scale takes hours, and some of their data are at small scale."""
MEETS = {"fig11.the_jump.control"}
"""Controls that meet the criterion, as the claim says: it tells nothing apart there."""


def test_what_is_committed_of_the_second_paper_is_whole():
    assert all(map(sealed, (curse.FOLDER / "analyses").iterdir()))
    assert (curse.FOLDER / "claims.csv").read_text(encoding="utf-8") == claims_csv(curse.results())
    assert sum(path.stat().st_size for path in curse.FOLDER.rglob("*") if path.name != "report.html") < 2e7
    for figure in CURSE.figures():
        found = curse.committed(figure)
        scales = {finding.scale for finding in found.values()}
        assert scales <= {"paper", "small"}
        assert scales == {"paper"} or figure in TRAINED
        assert all(environment["commit"] for finding in found.values() for environment in finding.environments)
        assert all((curse.FOLDER / "figures" / f"{figure}.{kind}").stat().st_size > 10_000 for kind in ("png", "svg"))


def test_controls_of_the_second_paper_miss_their_criteria():
    controls = [result.control for result in curse.results() if result.control is not None]
    assert len(controls) > 15
    assert {control.claim.name for control in controls if not control.misses} == MEETS


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


def test_rows_of_gated_cells_fill_their_table_and_change_no_other(fill_pages, monkeypatch):
    """Tables of before have none of them."""
    tanh = fill_pages.bench()[lambda table: table["arch"] == "vanilla"]
    monkeypatch.setattr(fill_pages, "bench", lambda: tanh)
    before = fill_pages.loops(), fill_pages.spectra(), fill_pages.speed()
    assert fill_pages.cells() == "Not measured yet: `floss bench`.\n"
    times = {("train", "torch-single", 1): 9.0, ("train", "jax", 32): 6.0, ("train", "native", 32): 2.0}
    times |= {("train", "torch", 32): 5.0, ("floss", "native", 32): 3.0, ("floss", "torch", 32): 9.0}
    names, batches = ("arch", "batch", "loop", "engine", "networks", "ms_per_network_epoch"), {"train": 16, "floss": 1}
    new = [
        {**tanh.iloc[0], **dict(zip(names, (arch, batches[row[0]], *row, ms), strict=True))}
        for arch in ("gru", "lru", "lstm")
        for row, ms in times.items()
    ]
    monkeypatch.setattr(fill_pages, "bench", lambda: pd.concat((tanh, pd.DataFrame(new))))
    assert (fill_pages.loops(), fill_pages.spectra(), fill_pages.speed()) == before
    lines = fill_pages.cells().splitlines()
    assert lines[2] == "| LSTM | training | 2.00 | `torch.nn.LSTM` 4.5 | 3.0 | 2.5 |"
    assert lines[-1] == "| LRU | flossing | 3.00 |  |  | 3.0 |"
    assert len(lines) == 8
