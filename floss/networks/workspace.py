"""Buffers that time loops keep between epochs."""

from torch import Tensor


class Workspace:
    """Buffers kept between calls, by name: allocating tens of megabytes anew every epoch costs as much as using them.

    A second forward pass overwrites the first one's buffers, so run the backward pass before it.
    """

    def __init__(self) -> None:
        """Start empty; buffers are made at first use and again when the shape changes."""
        self._buffers: dict[str, Tensor] = {}

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """A buffer of this name and shape with the dtype and device of `like`; its content is not defined."""
        found = self._buffers.get(name)
        if found is None or found.shape != shape or found.dtype != like.dtype or found.device != like.device:
            found = self._buffers[name] = like.new_empty(shape)
        return found
