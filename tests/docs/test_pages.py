"""The pages are short where they should be, and name nothing that is not there.

That their tables show what the data say is in tests/papers/test_published.py.
"""

import re
import subprocess
from pathlib import Path

import pytest
from docs.pages import PAGES, ROOT, blocks, read, without_blocks

import floss

FOLDERS = ("floss", "conf", "docs", "results", "scripts", "tests")
MADE = (
    *("results/ensembles", "results/collected", "results/submitit", "results/report.html"),
    *("results/tensorboard", "results/mlflow.db", "results/wandb"),
)
"""What commands make in a results folder."""


def test_the_readme_is_read_in_a_few_minutes():
    text = read("README.md")
    assert text.count("\n") <= 150
    assert len(text.encode()) <= 9000


def anchors(page: str) -> set[str]:
    """The addresses of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for address in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        if address.startswith("https://"):
            continue
        path, _, anchor = address.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.is_file(), address
        assert not anchor or anchor in anchors(str(target.relative_to(ROOT))), address


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    """`scripts/xor_d70.sh` and the like; names with a placeholder, and what commands make, aside."""
    for name in re.findall(r"`([\w./-]+)`", without_blocks(page)):
        a_file = name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and not name.startswith(MADE)
        if a_file and not re.search("NAME|NN", name):
            assert (ROOT / name).exists(), name


def test_every_folder_of_results_is_explained():
    listed = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {Path(line.strip('"')).parts[1] for line in listed.stdout.splitlines()} - {"README.md"}
    table = read("results/README.md").partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))
    assert tracked == explained


def test_the_reference_has_every_public_name():
    documented = re.findall(r"^::: floss\.(\w+)$", read("docs/api.md"), re.MULTILINE)
    rooms = {"callbacks": floss.callbacks.__all__, "memory": floss.memory.__all__, "plot": floss.plot.__all__}
    assert sorted(documented) == sorted([*floss.__all__, *rooms])
    for room, names in rooms.items():
        assert sorted(re.findall(rf"^::: floss\.{room}\.(\w+)$", read("docs/api.md"), re.MULTILINE)) == sorted(names)
    named = re.findall(r"`(\w+)`", read("docs/python.md").partition("## All functions")[2])
    assert set(floss.__all__) <= set(named)


def test_the_keys_that_are_explained_exist():
    from floss.jobs.keys import known_keys
    from floss.jobs.train import TrainJob

    keys = known_keys(TrainJob)
    groups = {key.partition(".")[0] for key in keys}
    rows = re.findall(r"^\| (`.*?) \|", read("docs/training.md").partition("### Tasks")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w.*]+)`", row)]
    assert len(named) > 10
    for name in named:
        assert name in keys or name.removesuffix(".*") in groups, name
    assert {key for key in keys if "." not in key} - {"seed", "seeds"} <= {*named}


def test_the_tree_is_the_tree():
    (tree,) = (block.text for block in blocks("README.md", ""))
    names = [name for line in tree.splitlines() for name in re.findall(r"([\w/]+/)(?=[, ])", line.split("  ")[0] + " ")]
    assert len(tree.splitlines()) == 14
    for name in names:
        assert (ROOT / name).is_dir() or (ROOT / "floss" / name).is_dir(), name
