"""Pictures as a part of a page: data: addresses, and their sizes."""

import base64
import contextlib
import re
import struct
from pathlib import Path

LARGEST_SVG = 400_000
"""Bytes above which the PNG is taken."""


def embedded(svg: Path, png: Path) -> tuple[str, tuple[int, int]] | None:
    """A picture as a data: address, and its size in CSS pixels; None where there is none that can be read.

    A picture of its own document, rather than part of this one: the identifiers in matplotlib's SVG files clash.
    """
    pictures = []
    for path, size, kind in ((svg, _svg_size, "svg+xml"), (png, _png_size, "png")):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            if (pixels := size(content)) is not None:
                pictures.append(
                    (f"data:image/{kind};base64,{base64.b64encode(content).decode()}", pixels, len(content))
                )
    if len(pictures) == 2 and pictures[0][2] > LARGEST_SVG:
        del pictures[0]
    return pictures[0][:2] if pictures else None


def _svg_size(content: bytes) -> tuple[int, int] | None:
    size = re.search(rb'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"', content[:4000])
    return (round(float(size[1]) * 4 / 3), round(float(size[2]) * 4 / 3)) if size else None


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Of a picture with 150 dots per inch, where CSS has 96."""
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return round(width * 96 / 150), round(height * 96 / 150)
