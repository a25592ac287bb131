"""Pictures are the same bytes whatever the user's settings of matplotlib are."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from figures.made_up_runs import network, write
from matplotlib.figure import Figure

from floss.figures import draw
from floss.figures.style import house_style, save

DRAW = "import sys; from pathlib import Path; from floss.figures import draw; draw(Path(sys.argv[1]))"
OTHER: Any = {
    "font.size": 22.0,
    "axes.grid": True,
    "lines.linewidth": 7.0,
    "savefig.transparent": True,
    "axes.axisbelow": True,
}


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".png", ".svg")}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> dict[str, bytes]:
    folder = write(tmp_path_factory.mktemp("drawn"), *(network(seed=seed) for seed in (0, 1)))
    draw(folder)
    return pictures(folder)


def test_settings_of_a_program_change_nothing(tmp_path, wanted):
    folder = write(tmp_path, *(network(seed=seed) for seed in (0, 1)))
    with plt.rc_context(OTHER), plt.style.context("dark_background"):
        before = dict(mpl.rcParams)
        draw(folder)
        assert dict(mpl.rcParams) == before  # and floss changes none of them
    assert pictures(folder) == wanted


def test_a_notebooks_backend_and_a_users_file_change_nothing(tmp_path, wanted):
    (tmp_path / "runs").mkdir()
    folder = write(tmp_path / "runs", *(network(seed=seed) for seed in (0, 1)))
    lines = [*(f"{name}: {value}" for name, value in OTHER.items()), "backend: nosuch", "no such line"]
    (tmp_path / "matplotlibrc").write_text("\n".join([*lines, ""]))
    environment = {**os.environ, "MPLBACKEND": "module://ipympl.backend_nbagg"}
    command = [sys.executable, "-c", DRAW, str(folder)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pictures(folder) == wanted


def test_what_is_saved_is_laid_out_once_and_drawn_once_for_each_kind_of_file(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    render = Figure.draw

    def draw_and_count(figure: Figure, renderer: Any) -> None:
        drawn.append(figure)
        render(figure, renderer)

    monkeypatch.setattr(Figure, "draw", draw_and_count)
    gaps = []
    for label in ("", "a label\nof\nfour\nlines"):
        with house_style():
            figure, (left, right) = plt.subplots(1, 2)
            right.set_ylabel(label)
        save(figure, tmp_path / "figure")
        gaps.append(right.get_position().x0 - left.get_position().x1)
    assert gaps[1] > gaps[0] + 0.05  # there is room for the label
    assert len(drawn) == 2 * 2
