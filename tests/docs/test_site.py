"""The documentation site is built from the pages, and what is broken in them stops it."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from docs.pages import PAGES, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs pip install 'floss[docs]', as make test-slow does"),
]


def built(root: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    """What `make docs` does, in the folder `root`."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "NOTEBOOKS": "no"}  # which are run in test_notebooks.py
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(tmp_path):
    done = built(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+) +-", done.stdout + done.stderr, re.MULTILINE) == ["INFO"] * 3
    for page in PAGES:
        html = re.sub(
            r"(?i)\breadme\.md$|\.md$", lambda end: "index.html" if "readme" in end[0].lower() else ".html", page
        )
        text = (tmp_path / html).read_text(encoding="utf-8")
        loaded = re.findall(r'(?:src|srcset)="([^"]+)"|<link[^>]+href="([^"]+)"', text)
        assert loaded
        assert not re.search(r"\\(?:&lt;|[|_*])", re.sub("(?s)<(pre|code|script)\\b.*?</\\1>", "", text)), page
        for address in filter(None, (either for pair in loaded for either in pair)):
            assert "//" not in address, (page, address)
            assert address.startswith("data:") or (tmp_path / html).parent.joinpath(address.split("?")[0]).exists()
    reference = (tmp_path / "docs/api.html").read_text(encoding="utf-8")
    assert 'id="floss.lyapunov_spectrum"' in reference
    assert "The k largest Lyapunov exponents of a map along one trajectory" in reference
    assert "*inputs&quot;" in reference or '*inputs"' in reference  # shapes as they are written
    shown, drawn = (sorted(p.name for p in (root / "results/paper/figures").glob("*.png")) for root in (tmp_path, ROOT))
    assert shown == drawn


@pytest.fixture
def copy(tmp_path) -> Path:
    """The pages, and what they show, in a folder of their own."""
    shown = ("mkdocs.yml", "LICENSE", "CITATION.cff", "scripts", "docs", "floss", "README.md", "CHANGELOG.md")
    for name in (*shown, "CONTRIBUTING.md"):
        path = ROOT / name
        shutil.copytree(path, tmp_path / name) if path.is_dir() else shutil.copy(path, tmp_path / name)
    (tmp_path / "results").mkdir()
    shutil.copy(ROOT / "results/README.md", tmp_path / "results")
    for name in ("bench", "curse_of_memory", "demo", "paper"):
        (tmp_path / "results" / name).symlink_to(ROOT / "results" / name)
    return tmp_path


BROKEN = {
    "a link": ("docs/training.md", "[here](nowhere.md)", "nowhere.md"),
    "a folder": ("README.md", "[here](results/xor_d70)", "xor_d70"),
    "an anchor": ("docs/speed.md", "[here](training.md#nowhere)", "nowhere"),
    "a picture": ("results/README.md", "![here](paper/figures/fig99.png)", "fig99.png"),
    "a function": ("docs/api.md", "::: floss.nothing", "floss.nothing"),
    "a reference": ("docs/python.md", "[floss.nothing][]", "floss.nothing"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_stops_it(copy, what, tmp_path_factory):
    page, text, named = BROKEN[what]
    with (copy / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    done = built(copy, tmp_path_factory.mktemp("site"))
    assert done.returncode != 0
    assert named in done.stderr + done.stdout
