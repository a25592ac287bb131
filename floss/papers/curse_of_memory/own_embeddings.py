"""Word embeddings of the user's own, from a file: one array [sequence, token, feature]."""

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from floss.errors import ConfigError, one_line
from floss.memory import EmbeddingsFit, fit_embeddings
from floss.memory.embeddings_fit import embeddings_fault

LEAST_TOKENS = 20
"""Of a sequence: Fig. 14 has so many different lags."""

SIZES = (1e-6, 1e6)
"""Of numbers, their root mean square: the networks of Figs 5 and 13 are computed in float32, and their gradients grow
with the square of their input, and by up to eight decades with their memory."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What a file holds."""

    file: str
    """The name of the file, without its folder."""
    x: Float[Tensor, "sequences tokens features"]
    """Neither centred nor scaled, as in the paper; float32, or float64 where the file has numbers of 64 bits."""

    @functools.cached_property
    def name(self) -> str:
        """`embeddings-` and ten hexadecimal digits: equal for equal numbers, whatever the file and its format are."""
        digest = hashlib.sha256(str(list(self.x.shape)).encode())
        for sequence in self.x:
            digest.update(sequence.double().numpy().astype("<f8").tobytes())
        return f"embeddings-{digest.hexdigest()[:10]}"

    @functools.cached_property
    def fit(self) -> EmbeddingsFit:
        """White noise and one exponential, fitted to the autocorrelation of all of them."""
        return fit_embeddings(self.x)

    @property
    def record(self) -> Mapping[str, Any]:
        """What must be known of them where they are not at hand."""
        return {"name": self.name, "file": self.file, "shape": list(self.x.shape)}


def read_embeddings(file: str) -> Embeddings:
    """The embeddings in a file: .npy (without pickled objects), .safetensors or .pt (weights alone) with one tensor.

    Raises:
        ConfigError: it cannot be read, or holds no embeddings.
    """
    path = Path(file)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise ConfigError(f"data={file}: must be a file that can be read: {reason}") from None
    return _read(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)  # all jobs of a command read the same file
def _read(file: str, changed: int, size: int) -> Embeddings:  # noqa: ARG001  # which tell a file that was changed
    path = Path(file)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ConfigError(f"data={file}: must be a file {', '.join(_READERS)}")
    try:
        x = _plain(read(path))
    except Exception as error:  # damaged files raise whatever they like in each format
        raise ConfigError(f"data={file}: cannot be read as {path.suffix}: {one_line(error, 200)}") from None
    if fault := embeddings_fault(x, LEAST_TOKENS) or _size_fault(x):
        raise ConfigError(f"data={file}: must {fault}")
    return Embeddings(path.name, x)


def _size_fault(x: Tensor) -> str:
    """As `embeddings_fault`, of numbers whose gradients would be nothing or infinite in float32."""
    squares = [float(sequence.square().mean(dtype=torch.float64)) for sequence in x]  # one at a time, for memory
    size = (sum(squares) / len(squares)) ** 0.5
    low, high = SIZES
    return "" if low <= size <= high else f"have a root mean square from {low:g} to {high:g}, got {size:.3g}"


def _plain(x: Tensor) -> Tensor:
    """Numbers of the two kinds that are computed with; what else there is torch may not even compare."""
    if x.layout is not torch.strided or x.is_nested or x.is_meta:
        raise ValueError("must hold a dense tensor with its numbers")
    return x.float() if x.is_floating_point() and x.dtype != torch.float64 else x


def _from_numpy(path: Path) -> Tensor:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("an archive of several arrays")
    if array.dtype.kind == "f":
        array = np.ascontiguousarray(array, dtype=np.float32 if array.dtype.itemsize <= 4 else np.float64)
    return torch.as_tensor(array)  # what is no number torch refuses in words of its own


def _from_safetensors(path: Path) -> Tensor:
    from safetensors.torch import load_file

    return _one_tensor(load_file(path))


def _from_torch(path: Path) -> Tensor:
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content.detach() if isinstance(content, Tensor) else _one_tensor(content)


def _one_tensor(content: Any) -> Tensor:
    tensors = list(content.values()) if isinstance(content, Mapping) else []
    if len(tensors) != 1 or not isinstance(tensors[0], Tensor):
        raise ValueError("must hold one tensor and nothing else")
    return tensors[0].detach()


_READERS: dict[str, Callable[[Path], Tensor]] = {
    ".npy": _from_numpy,
    ".safetensors": _from_safetensors,
    ".pt": _from_torch,
}
