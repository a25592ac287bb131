"""The notebooks of docs/notebooks: run from top to bottom, and as pages of the documentation site.

They lie in the repository without outputs. A page has what a run has printed and drawn.
"""

import contextlib
import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@dataclass
class Cell:
    """A cell, and what it has printed and drawn (PNG)."""

    kind: str
    source: str
    printed: str = ""
    drawn: list[bytes] = field(default_factory=list)


def read(notebook: Path) -> list[Cell]:
    """The cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [Cell(cell["cell_type"], "".join(cell["source"])) for cell in cells]


def run(cells: list[Cell]) -> dict[str, Any]:
    """Run the code, from top to bottom, and fill in what each cell prints and draws; the names at the end.

    Raises:
        Exception: whatever a cell raises.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    plt.close("all")  # a cell would draw into a figure of somebody else
    with plt.rc_context():
        matplotlib.rcdefaults()
        for cell in cells:
            if cell.kind != "code":
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(cell.source, "<cell>", "exec"), names)  # noqa: S102
            cell.printed = printed.getvalue()
            for number in plt.get_fignums():
                picture = io.BytesIO()
                plt.figure(number).savefig(picture, format="png", dpi=110, metadata={"Software": None})
                cell.drawn.append(picture.getvalue())
                plt.close(number)
    return names


def page(name: str, cells: list[Cell]) -> tuple[str, dict[str, bytes]]:
    """Markdown of a notebook's page, and its pictures by their file names, which begin with `name`."""
    parts, pictures = [], {}
    for cell in cells:
        if cell.kind != "code":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if cell.printed:
            parts.append(f"```text\n{cell.printed.rstrip()}\n```")
        for picture in cell.drawn:
            file = f"{name}-{len(pictures) + 1}.png"
            pictures[file] = picture
            parts.append(f"![]({file})")
    return "\n\n".join([*parts, f"[This page as a notebook]({name}.ipynb)"]) + "\n", pictures


def main() -> None:
    """`notebooks.py NOTEBOOK FOLDER` runs a notebook and writes its page and pictures into a folder."""
    notebook, folder = map(Path, sys.argv[1:])
    cells = read(notebook)
    run(cells)
    text, pictures = page(notebook.stem, cells)
    (folder / f"{notebook.stem}.md").write_text(text, encoding="utf-8")
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture)


if __name__ == "__main__":
    main()
