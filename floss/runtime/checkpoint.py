"""Checkpoints: what `torch.save` wrote, an archive that `torch.load` reads, whose comment is the SHA-256 of the rest.

`torch.load` takes a file with a flipped byte without a word, so the digest is checked first, and only tensors, numbers
and texts are loaded (`weights_only`). Checkpoints of earlier versions have the digest in a line before the archive.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from floss.errors import CheckpointError
from floss.runtime.files import write_whole

_COMMENT = b"floss SHA-256 "
_LENGTH = len(_COMMENT) + 64
"""Bytes of the comment, with which a ZIP archive ends."""
_ENDING = _LENGTH.to_bytes(2, "little")
"""What an archive with the comment has before it, and one without has zeros."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, texts and containers of them) whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    archive = buffer.getvalue()  # which ends with the length of a comment, 0
    comment = _COMMENT + hashlib.sha256(archive).hexdigest().encode()
    write_whole(path, archive[:-2] + _ENDING + comment)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote.

    Raises:
        CheckpointError: the file is truncated, changed or not a checkpoint.
    """
    digest, archive = _parts(path.read_bytes())
    if hashlib.sha256(archive).hexdigest() != digest:
        raise CheckpointError(f"{path}: this checkpoint is damaged (its SHA-256 does not fit)")
    try:
        content = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    except Exception as error:  # of which torch.load has many: UnpicklingError, RuntimeError, EOFError, KeyError, ...
        raise CheckpointError(f"{path}: this is not a checkpoint of floss ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: this is not a checkpoint of floss")
    return content


def written_digest(path: Path) -> str:
    """The SHA-256 that a checkpoint says it has; that of the whole file where it says none.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    return _parts(content)[0] or hashlib.sha256(content).hexdigest()


def _parts(content: bytes) -> tuple[str, bytes]:
    """The digest, empty where there is none, and the archive that it is of."""
    if match := re.fullmatch(re.escape(_ENDING + _COMMENT) + rb"([0-9a-f]{64})", content[-_LENGTH - 2 :]):
        return match[1].decode(), content[: -_LENGTH - 2] + b"\0\0"
    line, _, archive = content.partition(b"\n")
    return (line.decode(), archive) if re.fullmatch(rb"[0-9a-f]{64}", line) else ("", content)
