"""networks.safetensors: trained networks for any program that reads the format, without floss and without torch.

Tensors by the paper's letters (W, V, b, ...) with one leading axis R, and `diverged_at`, the training epoch at which a
network stopped being finite, or -1, [R]. The metadata has two entries: `networks`, a JSON list of the networks' ids in
the order of that axis, and `sha256`, the SHA-256 of the file with this entry's 64 digits replaced by zeros.
https://huggingface.co/docs/safetensors
"""

import hashlib
import json
import re
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
    path: Path, networks: list[str], parameters: dict[str, torch.Tensor], diverged_at: torch.Tensor
) -> None:
    """Write trained networks whole or not at all; the same networks give the same bytes."""
    tensors = {name: tensor.contiguous() for name, tensor in {**parameters, "diverged_at": diverged_at}.items()}
    content = save(tensors)
    # The library gives several entries of the metadata in any order, so they are put in here.
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    metadata = {"networks": json.dumps(networks), "sha256": _NO_DIGEST}
    header = json.dumps({"__metadata__": metadata, **json.loads(content[_LENGTH:end])}).encode()
    header += b" " * (-len(header) % _LENGTH)
    content = len(header).to_bytes(_LENGTH, "little") + header + content[end:]
    digest = hashlib.sha256(content).hexdigest()
    write_whole(path, content.replace(_NO_DIGEST.encode(), digest.encode(), 1))


def load_networks(path: Path) -> tuple[list[str], dict[str, torch.Tensor], torch.Tensor]:
    """The networks' ids, their parameters, and when they diverged.

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
        networks = [str(network_id) for network_id in json.loads(metadata["networks"])]
        several = load(content)
        tensors = {name: several[name] for name in described}
        diverged_at = tensors.pop("diverged_at")
        if any(len(tensor) != len(networks) for tensor in (*tensors.values(), diverged_at)):
            raise ValueError
    except CheckpointError:
        raise
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is damaged, or holds no networks of floss train") from None
    return networks, tensors, diverged_at


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
