"""Pictures on disk: that they are complete and the same when drawn again, and what is written in them."""

from pathlib import Path

from floss.figures import draw


def drawn_twice(folder: Path) -> list[str]:
    """Names of the pictures, after making sure that they are complete and the same when drawn again."""
    paths = draw(folder)
    first = [path.read_bytes() for path in paths]
    for path, content in zip(paths, first, strict=True):
        assert content.startswith(b"\x89PNG\r\n" if path.suffix == ".png" else b"<?xml")
        assert content.rstrip().endswith(b"IEND\xaeB`\x82" if path.suffix == ".png" else b"</svg>")
        path.unlink()
    assert [path.read_bytes() for path in draw(folder)] == first
    return sorted(path.name for path in paths)


def texts(picture: Path) -> str:
    """What is written in an SVG: matplotlib notes each text in a comment beside its outlines."""
    return "\n".join(line.strip() for line in picture.read_text(encoding="utf-8").splitlines() if "<!--" in line)
