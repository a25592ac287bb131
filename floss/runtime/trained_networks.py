"""networks.safetensors: trained networks for any program that reads the format, without floss and without torch.

Tensors by the paper's letters (W, V, b, ...) with one leading axis R, and `diverged_at`, the training epoch at which a
network stopped being finite, or -1, [R]. The metadata has one entry, `networks`: a JSON list of the networks' ids, in
the order of that axis. https://huggingface.co/docs/safetensors
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from floss.errors import CheckpointError
from floss.runtime.files import write_whole

NETWORKS = "networks.safetensors"
"""Name of the file in a run's folder."""


def save_networks(
    path: Path, networks: list[str], parameters: dict[str, torch.Tensor], diverged_at: torch.Tensor
) -> None:
    """Write trained networks whole or not at all."""
    tensors = {name: tensor.contiguous() for name, tensor in {**parameters, "diverged_at": diverged_at}.items()}
    write_whole(path, save(tensors, {"networks": json.dumps(networks)}))


def load_networks(path: Path) -> tuple[list[str], dict[str, torch.Tensor], torch.Tensor]:
    """The networks' ids, their parameters, and when they diverged.

    Raises:
        CheckpointError: the file is damaged, or of something else.
        OSError: it cannot be read.
    """
    path.open("rb").close()
    try:
        with safe_open(path, "pt") as file:
            content: Any = file
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118  # not a dict
            networks = [str(network_id) for network_id in json.loads(content.metadata()["networks"])]
        diverged_at = tensors.pop("diverged_at")
        if any(len(tensor) != len(networks) for tensor in (*tensors.values(), diverged_at)):
            raise ValueError
    except (SafetensorError, LookupError, TypeError, ValueError):
        raise CheckpointError(f"{path}: is damaged, or holds no networks of floss train") from None
    return networks, tensors, diverged_at
