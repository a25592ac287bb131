"""`figure.width=3.3`: pictures for a column of a paper, beside the others."""

import re
from pathlib import Path

import pytest
from command import inside
from figures.made_up_runs import network, write
from figures.pictures import only_svg
from figures.test_analyses import NETWORKS, write_spectrum

from floss.figures import draw
from floss.figures.style import column_width

POINTS = 72


def width_of(picture: Path) -> float:
    found = re.search(r'<svg [^>]*width="([\d.]+)pt"', picture.read_text(encoding="utf-8"))
    assert found
    return float(found[1]) / POINTS


def test_every_picture_has_the_width_and_lies_beside_the_other(tmp_path):
    runs, analyses = tmp_path / "runs", tmp_path / "analyses"
    for folder in (runs, analyses):
        folder.mkdir()
    write(runs, *(network(d=d, flossing=flossing) for d in (10, 20) for flossing in ("none", "during")))
    write_spectrum(analyses, NETWORKS["flossed"])
    with only_svg(), column_width(3.3):
        paths = [*draw(runs), *draw(analyses)]
    names = {"accuracy_vs_delay", "learning_curves", "convergence", "spectrum"}
    assert {path.name for path in paths} == {f"{name}-3.3in.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    for path in paths:
        if path.suffix == ".svg":
            assert width_of(path) == pytest.approx(3.3)


def test_the_command(tmp_path):
    write(tmp_path, network())
    with only_svg():
        done = inside(tmp_path, "figures", "results=.", "figure.width=3.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [f"learning_curves-3.5in.{kind}" for kind in ("png", "svg", "pdf")]
    done = inside(tmp_path, "figures", "results=.", "fig=4", "figure.width=3.5")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "floss figures: figure.width=3.5: is for runs and analyses, without paper= and fig=\n"
    done = inside(tmp_path, "figures", "results=.", "figure.width=0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "figure.width=0: must be null or a finite number >= 2.5" in done.stderr
