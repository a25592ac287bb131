"""Files that appear whole or not at all, their checksums, and the text of CSV and JSON files."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint.pt"
"""Name of the private file of a run that is not finished."""

NETWORKS = "networks.safetensors"
"""Name of the trained networks in the folder of a run or of an ensemble."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside, then rename it: after a crash there is the old file or the new one, never a part.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the old file is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left half written."""
    for aside in folder.glob(".*.tmp"):
        aside.unlink(missing_ok=True)


AS_TEXT: Any = {"network": str, "sha256": str}
"""The `dtype` with which pandas reads tables: ids of earlier versions are digits, which may look like a number."""

CONFIG = "config.yaml"
"""Name of the file that says what a folder's numbers are of."""

CHECKSUMS = "SHA256SUMS"
"""File with the checksums of a folder's tables and of its config.yaml, as `sha256sum -c` reads them: written last, so
what has it is whole. Those of earlier versions have none of config.yaml."""


def seal(folder: Path) -> None:
    """Write down the checksums of a folder's CSV files and its config.yaml, which says that they are all there."""
    write_whole(folder / CHECKSUMS, (_checksums(folder, "*.csv") + _checksums(folder, CONFIG)).encode())


def sealed(folder: Path) -> bool:
    """Whether a folder's CSV files are all there, and are those that were written."""
    tables, _ = _written(folder)
    return bool(tables) and tables == _checksums(folder, "*.csv")


def config_is_whole(folder: Path) -> bool:
    """Whether a folder has its config.yaml, and it is the one that was written where the seal is of it as well."""
    _, config = _written(folder)
    there = _checksums(folder, CONFIG)
    return bool(there) and config in ("", there)


def write_config(folder: Path, content: bytes) -> None:
    """Write the config.yaml of a folder again, and its checksum where the seal has one."""
    write_whole(folder / CONFIG, content)
    if _written(folder)[1] and sealed(folder):
        seal(folder)


def _written(folder: Path) -> tuple[str, str]:
    """The checksums that a folder's seal has of its tables, and of config.yaml; nothing where it has none."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return "", ""
    own = [line for line in lines if line == f"{line[:64]}  {CONFIG}\n"]
    return "".join(line for line in lines if line not in own), "".join(own)


def _checksums(folder: Path, pattern: str) -> str:
    try:
        return "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.glob(pattern))
        )
    except OSError:  # a folder of that name, or a file that cannot be read
        return ""


def format_value(value: Any) -> str:
    """One CSV field: floats with nine digits, which hold a float32 exactly; empty for None and NaN."""
    if value is None or value != value:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def texts_apart(values: Iterable[Any], *digits: int) -> dict[Any, str]:
    """The text of each number, in as few digits as tell all of them apart.

    Args:
        values: numbers, of which those that are floats have a text.
        digits: how many may be enough, in ascending order; where none is, each has as many as it needs.
    """
    floats = {value for value in values if isinstance(value, float) and value == value}
    for count in digits:
        texts = {value: f"{value:.{count}g}" for value in floats}
        if len(set(texts.values())) == len(floats):
            return texts
    return {value: repr(value).removesuffix(".0") for value in floats}


_AS_THEY_ARE = {str, int, type(None)}


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, header: bool = True) -> str:
    """Rows as CSV text with Unix line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    # Nothing, texts and whole numbers, which most fields are, become what `format_value` would make of them.
    writer.writerows([v if v.__class__ in _AS_THEY_ARE else format_value(v) for v in row] for row in rows)
    return out.getvalue()


def write_json(path: Path, content: Any) -> None:
    """Indented JSON with a final line end."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
