"""Pictures on disk: that they are complete and the same when drawn again, and what is written in them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure

from floss.figures import draw

PNG = b"\x89PNG\r\n", b"IEND\xaeB`\x82"
SVG = b"<?xml", b"</svg>"
"""How a complete picture begins and ends."""
_BOTH = Figure.savefig


@contextlib.contextmanager
def only_svg() -> Iterator[None]:
    """Of every picture the SVG alone is rendered, which is half of the work; the others are of the same artists."""

    def savefig(figure: Figure, file: Any, **how: Any) -> None:
        if how["format"] != "svg":
            file.write(b"".join(PNG))
        else:
            _BOTH(figure, file, **how)

    with patch.object(Figure, "savefig", savefig):
        yield


def drawn(folder: Path) -> list[str]:
    """Names of the pictures, after making sure that they are complete."""
    paths = draw(folder)
    for path in paths:
        begin, end = PNG if path.suffix == ".png" else SVG
        content = path.read_bytes()
        assert content.startswith(begin)
        assert content.rstrip().endswith(end)
    return sorted(path.name for path in paths)


def drawn_twice(folder: Path) -> list[str]:
    """The same of both kinds, after making sure that they are the same when drawn again."""
    with patch.object(Figure, "savefig", _BOTH):
        names = drawn(folder)
        first = [(folder / name).read_bytes() for name in names]
        for name in names:
            (folder / name).unlink()
        assert drawn(folder) == names
    assert [(folder / name).read_bytes() for name in names] == first
    return names


def texts(picture: Path) -> str:
    """What is written in an SVG: matplotlib notes each text in a comment beside its outlines."""
    return "\n".join(line.strip() for line in picture.read_text(encoding="utf-8").splitlines() if "<!--" in line)
