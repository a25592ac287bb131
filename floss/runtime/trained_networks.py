"""networks.safetensors: trained networks for any program that reads the format, without floss and without torch.

Tensors by the paper's letters (W, V, b, ...) with one leading axis R, and `diverged_at`, the training epoch at which a
network stopped being finite, or -1, [R]. The metadata has up to three entries: `networks`, a JSON list of the networks'
ids in the order of that axis; `rows`, one of the `sha256` of each network's row of summary.csv, with which it was
computed, or "" where that is not known; and `sha256`, the SHA-256 of the file with this entry's 64 digits replaced by
zeros. The id says what was computed, the row where: another processor's last digits are others.
https://huggingface.co/docs/safetensors
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from floss.errors import CheckpointError
from floss.runtime.files import write_whole

_LENGTH = 8
"""Bytes of the length of the header, with which a file begins; the tensors begin at a multiple of as many."""
_NO_DIGEST = "0" * 64
_DIGEST = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')


def save_networks(
    path: Path,
    networks: list[str],
    parameters: dict[str, torch.Tensor],
    diverged_at: torch.Tensor,
    rows: Mapping[str, str],
) -> None:
    """Write trained networks whole or not at all; the same networks give the same bytes.

    Args:
        path: of the file.
        networks: their ids, in the order of the first axis.
        parameters: by the paper's letters.
        diverged_at: when they stopped being finite.
        rows: SHA-256 of the networks' rows, by id, of those of which it is known.
    """
    tensors = {name: tensor.contiguous() for name, tensor in {**parameters, "diverged_at": diverged_at}.items()}
    content = save(tensors)
    # The library gives several entries of the metadata in any order, so they are put in here.
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    metadata = {"networks": json.dumps(networks), "sha256": _NO_DIGEST}
    if rows:
        metadata["rows"] = json.dumps([rows.get(network_id, "") for network_id in networks])
    header = json.dumps({"__metadata__": metadata, **json.loads(content[_LENGTH:end])}).encode()
    header += b" " * (-len(header) % _LENGTH)
    content = len(header).to_bytes(_LENGTH, "little") + header + content[end:]
    digest = hashlib.sha256(content).hexdigest()
    write_whole(path, content.replace(_NO_DIGEST.encode(), digest.encode(), 1))


def load_networks(path: Path) -> tuple[list[str], dict[str, torch.Tensor], torch.Tensor, dict[str, str]]:
    """The networks' ids, their parameters, when they diverged, and the SHA-256 of the rows of those that have one.

    Raises:
        CheckpointError: the file is damaged, or of something else.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        header = content[_LENGTH : _LENGTH + int.from_bytes(content[:_LENGTH], "little")]
        described: dict[str, Any] = json.loads(header)
        metadata = described.pop("__metadata__")
        if metadata.keys() != {"networks"}:  # which is all that those of an earlier version have
            _check_digest(path, content, header)
        networks, rows = _described(metadata)
        several = load(content)
        tensors = {name: several[name] for name in described}
        diverged_at = tensors.pop("diverged_at")
        if any(len(tensor) != len(networks) for tensor in (*tensors.values(), diverged_at)):
            raise ValueError
    except CheckpointError:
        raise
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is damaged, or holds no networks of floss train") from None
    return networks, tensors, diverged_at, rows


def rows_of(path: Path) -> dict[str, str]:
    """The SHA-256 of the rows of a file's networks, by id, without reading their parameters; none of a damaged file."""
    try:
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(_LENGTH), "little"))
        return _described(json.loads(header)["__metadata__"])[1]
    except (OSError, OverflowError, LookupError, TypeError, ValueError, AttributeError):
        return {}


def _described(metadata: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The networks' ids, and the SHA-256 of the rows of those of which it is known."""
    networks = [str(network_id) for network_id in json.loads(metadata["networks"])]
    rows = zip(networks, map(str, json.loads(metadata["rows"])), strict=True) if "rows" in metadata else ()
    return networks, {network_id: digest for network_id, digest in rows if digest}


def _check_digest(path: Path, content: bytes, header: bytes) -> None:
    """Raise a CheckpointError where the file is not what was written; ValueError where it has no digest."""
    match = _DIGEST.search(header)
    if match is None:
        raise ValueError
    start, end = (_LENGTH + place for place in match.span(1))
    without = hashlib.sha256(content[:start])
    for part in (_NO_DIGEST.encode(), memoryview(content)[end:]):
        without.update(part)
    if without.hexdigest() != match[1].decode():
        raise CheckpointError(f"{path}: these networks are damaged (their SHA-256 does not fit)")
