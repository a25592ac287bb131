"""A made-up paper of an installed package: one figure, one claim, networks of ours and a kind of job of its own."""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import TINY, inside

from floss.errors import ConfigError
from floss.jobs.paper import DEFAULT_PAPER, paper_names
from floss.papers.curse_of_memory import PAPER as CURSE
from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.paper import paper_named

INIT = '''
"""A paper of random walks."""
from dataclasses import dataclass

import numpy as np

from floss.jobs.keys import key, whole
from floss.papers.kinds import KINDS
from floss.papers.paper import Paper
from floss.papers.tables import TablesJob, tables_kind


@dataclass(frozen=True, kw_only=True)
class Walk(TablesJob):
    walkers: int = key(whole(1), "how many walk")


def walk(job):
    ends = np.random.default_rng(0).choice([-1, 1], size=(job.walkers, 100)).sum(axis=1)
    return {"ends": (("walker", "end"), list(enumerate(ends.tolist())))}


PAPER = Paper(
    name="made_up",
    package=__name__,
    experiments=__name__,
    title="Walks & <networks>",
    citation="Nobody, “On walks”",
    kinds=(*KINDS, tables_kind("walk", Walk, walk)),
)
'''
FIGURE = '''
"""Fig. 1: where walkers are after 100 steps."""
import matplotlib.pyplot as plt

from floss.papers.claim import Claim, Criterion
from floss.papers.samples import middle


def draw(findings):
    figure, axes = plt.subplots()
    axes.hist(findings["walks"].tables["ends"]["end"])
    axes.plot(findings["networks"].summary["final_loss"])
    return figure


CLAIMS = [
    Claim(
        name="fig01.far",
        figure="fig01",
        place="Sec. 1",
        sentence="Walkers are far from home after 100 steps.",
        statistic="median distance",
        criterion=Criterion(above=3),
        sample=lambda findings: middle(findings["walks"].tables["ends"]["end"].abs()),
    )
]
'''
EXPERIMENT = f"""
# Fig. 1: walkers, and networks that have nothing to do with them.
title: Walkers go far
runs:
  walks:
    walk:
    paper: walkers=40
    small: walkers=40
    smoke: walkers=3
  networks:
    train: {" ".join(TINY)}
    paper: seeds=2
    small: seeds=2
    smoke: seeds=1
""".lstrip()
SKETCH = "title: A sketch\nruns: {}\nlabel: Plate I\n"
DRAWING = (
    '"""A sketch from no data."""\nimport matplotlib.pyplot as plt\n\n\ndef draw(findings):\n    return plt.figure()\n'
)


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Iterator[Path]:
    """A package that brings the paper by an entry point."""
    package, metadata = tmp_path / "site" / "made_up_paper", tmp_path / "site" / "made_up_paper-1.dist-info"
    for folder in (package, metadata):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text(INIT)
    (package / "fig01.py").write_text(FIGURE)
    (package / "fig01.yaml").write_text(EXPERIMENT)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-paper\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[floss.papers]\nmade_up = made_up_paper:PAPER\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield package
    for name in [name for name in sys.modules if name.startswith("made_up_paper")]:
        del sys.modules[name]


def done(folder: Path, *arguments: str) -> str:
    """What a command prints; it must succeed, and say nothing else."""
    result = inside(folder, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_it_is_reproduced_drawn_and_reported(installed, tmp_path):
    said = done(tmp_path, "reproduce", "paper=made_up")
    assert said.splitlines()[0] == "Fig. 1   2 networks, 0 done; 1 analysis, 0 done"
    assert re.match("to compute: 2 networks in 1 ensemble, 1 analysis; about ", said.splitlines()[1])
    root = tmp_path / "results/made_up"
    assert {path.name for path in root.iterdir()} == {"ensembles", "analyses", "figures", "reproduction.json"}
    (folder,) = (root / "analyses").iterdir()
    assert {"ends.csv", "config.yaml", "environment.json", "SHA256SUMS"} <= {path.name for path in folder.iterdir()}
    assert (folder / "config.yaml").read_text() == "results: results/made_up/analyses\nwalkers: 40\n"

    picture = (root / "figures/fig01.png").read_bytes()
    (root / "figures/fig01.png").unlink()
    assert done(tmp_path, "figures", "paper=made_up").splitlines() == [
        f"results/made_up/figures/fig01.{kind}" for kind in ("png", "svg")
    ]
    assert (root / "figures/fig01.png").read_bytes() == picture
    assert "nothing to compute" in done(tmp_path, "reproduce", "paper=made_up", "fig=1")

    said = done(tmp_path, "report", "paper=made_up")
    assert re.search(r"^Fig\. 1  far .* > 3 .* ✓ reproduced$", said, re.MULTILINE)
    with (root / "claims.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["claim"], row["networks"], row["verdict"]) == ("fig01.far", "40", "reproduced")
    page = (root / "report.html").read_text()
    assert "<h1>Walks &amp; &lt;networks&gt;</h1>" in page
    assert '<p class="source">The paper: Nobody, “On walks”.</p>' in page
    assert "floss reproduce paper=made_up fig=1 scale=paper" in page  # what computes a kind that has no command
    assert "Engelken" not in page


def test_a_smaller_scale_is_shown_until_the_larger_one_is_complete(installed, tmp_path):
    done(tmp_path, "reproduce", "paper=made_up", "scale=smoke", "results=elsewhere")
    findings = Reproduction(tmp_path / "elsewhere").findings("fig01")  # the folder knows its paper
    assert findings is not None
    assert {name: (one.scale, len(one.tables.get("ends", one.summary))) for name, one in findings.items()} == {
        "walks": ("smoke", 3),
        "networks": ("smoke", 1),
    }


def test_a_damaged_table_is_computed_again_and_a_damaged_config_written(installed, tmp_path):
    done(tmp_path, "reproduce", "paper=made_up", "scale=smoke")
    (folder,) = (tmp_path / "results/made_up/analyses").iterdir()
    before = {name: (folder / name).read_bytes() for name in ("ends.csv", "config.yaml")}
    (folder / "ends.csv").write_text("walker,end\n0,1000\n")
    assert "to compute: 1 analysis; about" in done(tmp_path, "reproduce", "paper=made_up", "scale=smoke")
    (folder / "config.yaml").write_text("walkers: 4\n")
    result = inside(tmp_path, "reproduce", "paper=made_up", "scale=smoke")
    where = folder.relative_to(tmp_path)
    assert result.stderr == f"floss: {where}/config.yaml was damaged, changed or missing: written again\n"
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_drawing_needs_no_data(installed, tmp_path):
    (installed / "sketch.yaml").write_text(SKETCH)
    (installed / "sketch.py").write_text(DRAWING)
    (tmp_path / "results/made_up").mkdir(parents=True)
    (tmp_path / "results/made_up/reproduction.json").write_text('{"paper": "made_up"}')
    done(tmp_path, "report", "paper=made_up")
    page = (tmp_path / "results/made_up/report.html").read_text()
    assert "Not drawn yet." in page
    assert "<pre><code>floss reproduce paper=made_up fig=sketch scale=paper</code></pre>" in page
    said = done(tmp_path, "reproduce", "paper=made_up", "fig=sketch")
    assert said.splitlines()[:2] == ["Plate I  a drawing, nothing to compute", "nothing to compute"]
    assert "drawn by code from no data" not in page
    done(tmp_path, "report", "paper=made_up")
    assert "1 drawn by code from no data, 1 without data" in (tmp_path / "results/made_up/report.html").read_text()


def test_figures_draws_every_paper_that_is_there(installed, tmp_path):
    done(tmp_path, "reproduce", "paper=made_up", "scale=smoke")
    done(tmp_path, "reproduce", "fig=15")
    made_up = [f"results/made_up/figures/fig01.{kind}" for kind in ("png", "svg")]
    ours = [f"results/paper/figures/fig15.{kind}" for kind in ("png", "svg")]
    assert done(tmp_path, "figures").splitlines() == made_up + ours
    assert done(tmp_path, "figures", f"paper={DEFAULT_PAPER}").splitlines() == ours
    assert done(tmp_path, "figures", "fig=15").splitlines() == ours
    assert done(tmp_path, "figures", "paper=made_up", "fig=1", "results=results/made_up").splitlines() == made_up
    for damaged in ("{", "[]"):  # a folder is then known by its name
        (tmp_path / "results/made_up/reproduction.json").write_text(damaged)
        assert done(tmp_path, "figures").splitlines() == made_up + ours


def test_a_paper_that_is_not_installed_any_more_is_said(installed, tmp_path):
    done(tmp_path, "reproduce", "paper=made_up", "scale=smoke")
    done(tmp_path, "reproduce", "fig=15")
    sys.path.remove(str(installed.parent))
    result = inside(tmp_path, "figures")
    assert result.returncode == 1
    assert result.stdout.count("fig15") == 2
    assert result.stderr == f"floss: results/made_up: paper=made_up: must be one of {CURSE.name}, {DEFAULT_PAPER}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "reproduce paper=made_upp",
            "paper=made_upp: must be one of curse_of_memory, gradient_flossing, made_up; did you mean made_up?",
        ),
        ("reproduce paper=made_up fig=2", "fig=2: must be all, 1, or a list of them"),
        ("reproduce paper=made_up results=mine", "results=mine: holds the figures of paper=gradient_flossing"),
        ("report paper=made_up results=mine", "results=mine: holds the figures of paper=gradient_flossing"),
        ("report paper=made_up", "results=results/made_up: must be a folder of floss reproduce"),
        ("figures paper=made_up fig=2", "fig=2: must be all, 1, or a list of them"),
        ("figures paper=nothing", "paper=nothing: must be one of curse_of_memory, gradient_flossing, made_up"),
    ],
)
def test_wrong_input_is_answered_in_one_line(installed, tmp_path, arguments, words):
    (tmp_path / "mine").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "mine/reproduction.json").write_text('{"fig15": ["smoke"]}')  # as it was before there were several
    result = inside(tmp_path, *arguments.split())
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fig01.yaml: walks: has stroll, and must have one of", "stroll"),
        ("fig01.yaml: walks: has walk, train, and must have", "walk: walkers=3\n    train"),
    ],
)
def test_a_run_is_of_one_kind(installed, text, words):
    (installed / "fig01.yaml").write_text(
        f"title: A title\nruns:\n  walks:\n    {words}: walkers=3\n    paper: walkers=3\n"
    )
    with pytest.raises(ValueError, match=text):
        paper_named("made_up").experiment("fig01")


def test_a_package_that_cannot_be_imported_is_said(installed):
    (installed / "__init__.py").write_text("from nowhere import PAPER\n")
    with pytest.raises(
        ConfigError, match="paper=made_up: made_up_paper:PAPER cannot be loaded: No module named 'nowhere'"
    ):
        paper_named("made_up")


def test_the_papers_of_the_package_are_the_folders_of_experiments():
    assert paper_names() == [CURSE.name, DEFAULT_PAPER]
    assert paper_named(CURSE.name) is CURSE
    assert paper_named(DEFAULT_PAPER) is PAPER
    assert (PAPER.results_folder, PAPER.report_folder) == ("results/paper", "results")
