"""metrics.csv of an ensemble: where each network's rows lie in it; packed so that damage costs one network."""

import zlib
from pathlib import Path

PACKED = "metrics.csv.gz"
"""What metrics.csv becomes in a store that is to stay small."""

LARGE = 2**19
"""Bytes of a metrics.csv that is worth packing; up to there the web pages of repositories show it as a table."""

_MEMBER = b"\x1f\x8b\x08\0\0\0\0\0"
"""What a gzip member begins with that says neither its name nor its time, so that the same rows give the same bytes."""


def metrics_of(folder: Path) -> bytes:
    """Content of metrics.csv of an ensemble, packed or not; what is damaged of a packed one is left out.

    Raises:
        OSError: it has neither file, or one that cannot be read.
    """
    try:
        return (folder / "metrics.csv").read_bytes()
    except FileNotFoundError:
        return unpacked((folder / PACKED).read_bytes())


def packed(content: bytes) -> bytes:
    """metrics.csv as a gzip file; header and networks are members of it, so that damage costs one network alone."""
    places = sorted(place for several in spans_of(content).values() for place in several)
    parts = [content[: content.find(b"\n") + 1], *(content[slice(*place)] for place in places)]
    return b"".join(zlib.compress(part, level=9, wbits=31) for part in parts)


def unpacked(content: bytes) -> bytes:
    """metrics.csv of a packed one, without the members that are damaged."""
    parts = []
    while content:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(content)
        except zlib.error:
            part = b""
        if member.eof:
            parts.append(part)
            content = member.unused_data
        else:
            following = content.find(_MEMBER, 1)
            content = content[following:] if following > 0 else b""
    return b"".join(parts)


def spans_of(content: bytes) -> dict[str, list[tuple[int, int]]]:
    """Where each network's rows begin and end: its id is their last field."""
    spans: dict[str, list[tuple[int, int]]] = {}
    at = content.find(b"\n") + 1
    while 0 < at < len(content):
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        last = content[content.rfind(b",", at, end) + 1 : end]
        tail = b"," + last + b"\n"
        after = end + 1
        while after < len(content):  # the rows of one network follow each other
            stop = content.find(b"\n", after)
            if stop < 0 or content[stop - len(last) - 1 : stop + 1] != tail:
                break
            after = stop + 1
        spans.setdefault(last.decode(errors="replace"), []).append((at, after))
        at = after
    return spans
