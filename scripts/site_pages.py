"""A hook of MkDocs: the site has the pages of the repository where they are, and the files that they show or link to.

The path of a page in the site is its path in the repository, so that one relative link is right on both. MkDocs itself
takes pages from one folder alone. Notebooks are run, and become pages with what they print and draw; with NOTEBOOKS=no
in the environment they are not run.
"""

# MkDocs is not there without the extra `docs`.
# pyright: reportMissingImports=false

import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import notebooks

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "docs/*.md")
NOTEBOOKS = "docs/notebooks/*.ipynb"
_LINK = re.compile(r"\]\(([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the pages, and the files of the repository that they link to, in the place of those of `docs_dir`."""
    root = Path(config.config_file_path).parent
    pages = [path for pattern in PAGES for path in sorted(root.glob(pattern))]
    linked = {
        (page.parent / address).resolve()
        for page in pages
        for address in _LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in address and not address.endswith(".ipynb")
    }
    # What does not exist, or is a folder, is left to MkDocs to complain about.
    shown = sorted(path for path in linked if path.is_file() and path.is_relative_to(root.resolve()))
    of_theme = [file for file in files if file.abs_src_path is None or not _below(file, config.docs_dir)]
    chosen = dict.fromkeys([*(page.resolve() for page in pages), *shown])
    own = [File.generated(config, _name(path, root), abs_src_path=str(path)) for path in chosen]
    return Files([*of_theme, *own, *_of_notebooks(config, root)])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to notebooks lead to their pages; in the repository there are the notebooks alone."""
    return re.sub(r"\]\((notebooks/\w+)\.ipynb\)", r"](\1.md)", markdown)


def _of_notebooks(config: MkDocsConfig, root: Path) -> list[File]:
    """The pages of the notebooks, with their pictures and the notebooks themselves."""
    files = []
    for path in sorted(root.glob(NOTEBOOKS)):
        cells = notebooks.read(path)
        if os.environ.get("NOTEBOOKS") != "no":
            notebooks.run(cells)
        text, pictures = notebooks.page(path.stem, cells)
        folder = _name(path.parent.resolve(), root)
        contents = {f"{path.stem}.md": text, path.name: path.read_bytes(), **pictures}
        files += [File.generated(config, f"{folder}/{name}", content=content) for name, content in contents.items()]
    return files


def _below(file: File, folder: str) -> bool:
    return Path(str(file.abs_src_path)).is_relative_to(folder)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root.resolve()).as_posix()
