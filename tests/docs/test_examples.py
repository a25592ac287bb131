"""Every example of the pages runs: the commands, quickly, and the Python as it stands."""

import re

import matplotlib.pyplot as plt
import pytest
import torch
from docs.pages import PAGES, blocks
from docs.reader import QUICK, Reader, UnknownLineError, lines_of, quickened
from grids import covered
from matplotlib.figure import Figure

from floss.analysis.bench import rounds
from floss.commands.main import COMMANDS

LANGUAGES = {"console", "python", "toml", "yaml", ""}
"""What a fenced block may be; one without a language is a drawing, such as the tree."""
PYTHON = [block for page in PAGES for block in blocks(page, "python")]


@pytest.fixture
def quickly(monkeypatch):
    """Pictures are drawn, but neither laid out nor rendered, and no process is started to measure its memory.

    Nobody looks at any of them here, and they would take most of the time.
    """
    monkeypatch.setattr("floss.analysis.bench.memory.peak_megabytes", lambda *_: 1.25)
    monkeypatch.setitem(rounds.MATRIX_SIZE, "cpu", 64)
    smallest = b'<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt"/>'
    monkeypatch.setattr("floss.figures.style._settle", lambda _: None)
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: file.write(smallest))


def test_examples_are_of_kinds_that_are_tried():
    for page in PAGES:
        for block in blocks(page):
            assert block.language in LANGUAGES, (page, block.line)
    assert len(PYTHON) > 8
    assert set(QUICK) == set(COMMANDS)


WITH_COMMANDS = [page for page in PAGES if blocks(page, "console")]
RARELY_CHANGED = {"docs/curse_of_memory.md", "docs/paper.md", "docs/speed.md", "results/README.md"}


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("page", covered(WITH_COMMANDS, [page for page in WITH_COMMANDS if page not in RARELY_CHANGED]))
def test_the_commands_of_a_page_run(page, tmp_path):
    reader = Reader(tmp_path)
    for block in blocks(page, "console"):
        for line in lines_of(block.text):
            reader.types(line)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{block.page}:{block.line}")
def test_python_runs_and_says_what_is_true(block):
    torch.manual_seed(0)
    names: dict[str, object] = {}
    exec(block.text, names)  # noqa: S102
    plt.close("all")
    tensors = [v for v in names.values() if isinstance(v, torch.Tensor) and v.is_floating_point()]
    assert all(torch.isfinite(tensor).all() for tensor in tensors)
    assert tensors or block.page == "CONTRIBUTING.md"  # which is about files, not about numbers: test_contributing.py
    for name, shape in re.findall(r"^ *(\w+) = .*# \[([\d, ]+)\]", block.text, re.MULTILINE):
        assert list(names[name].shape) == [int(size) for size in shape.split(",")], name  # pyright: ignore
    for name, value in re.findall(r"# .*\b(\w+) = (\d+)\b", block.text):
        assert names[name] == int(value), name
    if "backward()" in block.text:
        leaves = [tensor for tensor in tensors if tensor.is_leaf and tensor.requires_grad]
        leaves += [p for v in names.values() if isinstance(v, torch.nn.Module) for p in v.parameters()]
        assert leaves
        for leaf in leaves:
            assert leaf.grad is not None
            assert torch.isfinite(leaf.grad).all()
            assert leaf.grad.norm() > 0


WRONG = {
    "floss tarin": UnknownLineError,
    "floss train sede=1": AssertionError,
    "floss train d=7": AssertionError,
    "floss reproduce scale=large": UnknownLineError,
    "floss reproduce fig=99": AssertionError,
    "floss figures": AssertionError,
    "floss train -m hydra/launcher=slurm hydra.launcher.partitoin=gpu d=10,20": AssertionError,
    "make tset": AssertionError,
    "make .venv/.ready": AssertionError,
    "pip install '.[grand]'": AssertionError,
    "pip install everything": UnknownLineError,
    "sbatch nowhere.sh": AssertionError,
    "grep a nowhere": AssertionError,
    "scripts/nothing.sh": AssertionError,
    "git tag -a v9.9.9": AssertionError,
    "rm -rf results": UnknownLineError,
    "# nothing": UnknownLineError,
}


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_wrong_or_not_known_fails(line, tmp_path):
    with pytest.raises(WRONG[line]):
        Reader(tmp_path).types(line)


def test_an_output_in_a_console_block_fails():
    assert lines_of("$ make a \\\n   b\n$ ls\n") == ["make a     b", "ls"]
    with pytest.raises(UnknownLineError, match="begins with"):
        lines_of("$ ls\nresults\n")


def test_a_key_that_a_line_sets_is_kept():
    kept = quickened("train", ["d=70", "train.epochs=500", "flossing.k=15"])
    assert kept[:3] == ["d=70", "train.epochs=500", "flossing.k=15"]
    assert sum(override.startswith(("train.epochs=", "flossing.k=")) for override in kept) == 2
    assert "arch.n=15" in kept
    assert quickened("reproduce", ["fig=4", "scale=paper"]) == ["fig=4", "device=cpu", "scale=smoke"]
    assert "arch.n=8" not in quickened("spectrum", ["checkpoint=results/x"])
