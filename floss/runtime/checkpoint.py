"""Checkpoints: a line with the SHA-256 of the rest, then what `torch.save` wrote.

`torch.load` takes a file with a flipped byte without a word, so the digest is checked first, and only tensors, numbers
and texts are loaded (`weights_only`).
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from floss.errors import CheckpointError
from floss.runtime.files import write_whole


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, texts and containers of them) whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    write_whole(path, hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote.

    Raises:
        CheckpointError: the file is truncated, changed or not a checkpoint.
    """
    digest, _, payload = path.read_bytes().partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise CheckpointError(f"{path}: this checkpoint is damaged (its SHA-256 does not fit)")
    try:
        content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # of which torch.load has many: UnpicklingError, RuntimeError, EOFError, KeyError, ...
        raise CheckpointError(f"{path}: this is not a checkpoint of floss ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: this is not a checkpoint of floss")
    return content
