"""The notebooks run from top to bottom, find what they say, and are short and without outputs in the repository."""

import importlib.util
import json
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import pytest
from docs.pages import ROOT

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb"))}


@pytest.fixture(scope="module")
def notebooks() -> ModuleType:
    """scripts/notebooks.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "scripts/notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["notebooks"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_small_and_has_no_outputs(name):
    content = json.loads(NOTEBOOKS[name].read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            compile("".join(cell["source"]), name, "exec")
    assert NOTEBOOKS[name].stat().st_size < 20_000


def test_a_page_has_what_was_printed_and_drawn(notebooks, tmp_path):
    sources = {
        "markdown": ["# Title\n", "Text"],
        "code": ["import matplotlib.pyplot as plt\n", "print('seen')\n", "plt.plot([0, 1])\n", "x = 2"],
    }
    cells: list[dict[str, Any]] = [{"cell_type": kind, "source": source} for kind, source in sources.items()]
    cells.append({"cell_type": "code", "source": ["print(x + 1)"]})
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    read = notebooks.read(path)
    plt.figure()  # of somebody else
    assert notebooks.run(read)["x"] == 2
    assert not plt.get_fignums()
    text, pictures = notebooks.page("small", read)
    assert text.startswith("# Title\nText\n\n```python\nimport matplotlib")
    assert "```text\nseen\n```\n\n![](small-1.png)\n\n```python\nprint(x + 1)\n```\n\n```text\n3\n```" in text
    assert [name for name, picture in pictures.items() if picture.startswith(b"\x89PNG")] == ["small-1.png"]
    read[-1].source = "print(y)"
    with pytest.raises(NameError, match="y"):
        notebooks.run(read)


NUMBER = r"[+-]?\d[\d.]*(?:e[+-]?\d+)?"
LEARNT = 0.8
"""Share of right answers of a network that has learnt; chance is 0.25."""


def numbers(line: str) -> list[float]:
    return [float(number.rstrip(".")) for number in re.findall(NUMBER, line)]


def rows(text: str, begin: str) -> dict[str, list[float]]:
    """The numbers of the printed lines that fit, by what the parentheses of the expression find."""
    return {m[1]: numbers(m[2]) for m in re.finditer(rf"^(?:{begin})(.*)$", text, re.MULTILINE)}


def check_lstm_classifier(text: str) -> None:
    ways = "neither|flossing|forget bias|both"
    learnt = {way: sum(n > LEARNT for n in shares) for way, shares in rows(text, rf"({ways}) +(?=\d)").items()}
    assert learnt["neither"] == 0
    assert max(learnt[way] for way in ("flossing", "forget bias")) < learnt["both"] >= 3
    starts = rows(text, rf"({ways}) +after 100 steps back")
    left = {way: row[0] for way, row in starts.items()}
    assert left["neither"] < 1e-12 < left["forget bias"] < 0.1 < min(left["flossing"], left["both"])
    assert starts["neither"][1] <= starts["both"][1] < 20 < starts["flossing"][1]  # per cent of the gates


def check_chaotic_rate_network(text: str) -> None:
    for gain, (theory, _, _, zero, small, _, large, _) in rows(text, r"g = ([\d.]+): theory").items():
        assert abs(zero) < 1e-3  # the derivative of the autocorrelation is an eigenvector of zero
        assert small < theory
        assert abs(large - theory) < 0.03
        assert float(gain) < 1.5 or abs(large - theory) < 0.5 * abs(small - theory)
    shares = [row[1] for row in rows(text, r"N = (\d+): Kaplan-Yorke dimension").values()]
    assert len(shares) == 3
    assert max(shares) < 1.3 * min(shares)
    ((dale, random),) = rows(text, "(signs are kept: True); λ₁ =").values()
    assert dale == pytest.approx(random, rel=0.4)
    assert rows(text, "(share of right answers)")["share of right answers"][0] == 1.0
    before, after = text.partition("after training:")[::2]
    assert (before.count("  stable, where"), before.count("  unstable in 1")) == (1, 0)
    assert (after.count("  stable, where"), after.count("  unstable in 1")) == (2, 1)


def check_third_party_cell(text: str) -> None:
    horizons = {name: row[-1] for name, row in rows(text, r"(\w+Cell) +λ₁ =").items()}
    assert horizons.pop("coRNNCell") > 100
    assert len(horizons) == 3
    assert max(horizons.values()) < 20
    ((before, after),) = rows(text, "(horizon):").values()
    assert after > 5 * before


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_finds_what_it_says(name, tmp_path):
    """In a process of its own: signatures are checked in this one, which takes several times as long."""
    if name == "third_party_cell":
        pytest.importorskip("torchrecurrent", reason="needs pip install 'floss[docs]', as make test-slow does")
    command = [sys.executable, "-W", "error", "-W", "ignore:`torch.jit.script` is deprecated:DeprecationWarning"]
    command += [str(ROOT / "scripts/notebooks.py"), str(NOTEBOOKS[name]), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list(tmp_path.iterdir())) >= 3  # the page, and pictures
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    printed = "\n".join(re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    {
        "lstm_classifier": check_lstm_classifier,
        "chaotic_rate_network": check_chaotic_rate_network,
        "third_party_cell": check_third_party_cell,
    }[name](printed)
