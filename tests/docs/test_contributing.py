"""What CONTRIBUTING.md shows works: its cell and its task train, its figure is drawn and judged, its release agrees."""

import re
import tomllib
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import yaml
from command import TINY, inside, jobs
from docs.pages import blocks, read
from other_packages import install

from floss.jobs import extensions
from floss.papers.finding import Finding
from floss.papers.judge import judge

PAGE = "CONTRIBUTING.md"


def text_of(name: str) -> str:
    """The Python block that defines a name."""
    (text,) = (b.text for b in blocks(PAGE, "python") if re.search(f"^(def )?{name}\\b", b.text, re.MULTILINE))
    return text


def entry_points() -> list[tuple[str, dict[str, str]]]:
    """Group and entries of each pyproject.toml of the page."""
    groups = [tomllib.loads(block.text)["project"]["entry-points"] for block in blocks(PAGE, "toml")]
    return [entry for group in groups for entry in group.items()]


def shown(name: str) -> dict[str, Any]:
    """The names of the Python block that defines this one."""
    names: dict[str, Any] = {}
    exec(text_of(name), names)  # noqa: S102
    return names


@pytest.mark.usefixtures("forgotten")
def test_its_cell_and_its_task_train_from_a_package_of_their_own(tmp_path, monkeypatch):
    """The files of the page, installed with the entry points of the page."""
    for kind, (group, entries) in zip(("CELL", "TASK"), entry_points(), strict=True):
        ((name, target),) = entries.items()
        module = target.partition(":")[0].replace(".", "_")
        lines = f"[{group}]\n{name} = {module}:{kind}\n"
        install(tmp_path / "site", text_of(kind), lines, name=module)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    done = inside(tmp_path, "train", *TINY, "arch=logistic", "task=and", "flossing=pre")
    assert done.returncode == 0, done.stderr
    (summary,) = tmp_path.glob("results/and-*/summary.csv")
    (row,) = pd.read_csv(summary).to_dict("records")
    assert (row["task"], row["arch"], row["flossing"], row["status"]) == ("and", "logistic", "pre", "done")
    assert 0 <= row["final_accuracy"] <= 1


def test_its_figure_is_drawn_and_judged(tmp_path):
    (text,) = (block.text for block in blocks(PAGE, "yaml"))
    runs, names = yaml.safe_load(text)["runs"], shown("CLAIMS")
    findings = {}
    for name, lines in runs.items():
        for scale in ("paper", "small"):
            assert jobs(*f"{lines['train']} {lines[scale]}".split())
        words = f"{lines['train']} {lines['smoke']}".split()
        sizes = [override for override in TINY if "." in override]
        tiny = [*sizes, "train.epochs=2", "flossing.epochs=1", f"results={name}"]
        done = inside(tmp_path, "train", "-m", *words, *tiny)
        assert done.returncode == 0, done.stderr
        summary = pd.concat([pd.read_csv(path) for path in tmp_path.glob(f"{name}/ensembles/*/summary.csv")])
        findings[name] = Finding(name=name, scale="smoke", command="", summary=summary)
    drawn = names["draw"](findings)
    assert len(drawn.axes[0].lines) == 2
    plt.close(drawn)
    for claim in names["CLAIMS"]:
        assert 0 < judge(claim, findings).value < 1


def test_its_entry_points_name_groups_that_exist():
    (cells, cell), (tasks, task) = entry_points()
    assert (cells, tasks) == tuple(group.entry_points for group in extensions.GROUPS.values())
    assert [*cell, *task] == [shown("CELL")["CELL"].name, shown("TASK")["TASK"].name]


def test_the_release_has_one_version_and_one_date():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    cited = yaml.safe_load(read("CITATION.cff"))
    first = re.search(r"^## (\S+) \((\S+)\)$", read("CHANGELOG.md"), re.MULTILINE)
    assert first is not None
    assert first.groups() == (version, str(cited["date-released"]))
    assert str(cited["version"]) == version


@pytest.mark.parametrize("name", ["CELL", "TASK", "CLAIMS"])
def test_its_examples_are_short(name):
    (text,) = (b.text for b in blocks(PAGE, "python") if re.search(f"^{name}\\b", b.text, re.MULTILINE))
    code = [line for line in text.splitlines() if line.strip() and not line.startswith(('"', "import", "from"))]
    assert len(code) <= (10 if name != "CLAIMS" else 20)
