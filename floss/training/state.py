"""The state of networks in training: named tensors with the leading axis R, and the numbers of the next epochs.

Training and analyses give these names here and nowhere else; `floss.runtime.training_checkpoint` is the file format.
"""

from collections.abc import Mapping

from torch import Tensor

from floss.networks import Parameters
from floss.training.adam import Adam

State = dict[str, Tensor | int]
"""Named tensors with the leading axis R, and numbers."""


def named_tensors(parameters: Parameters, diverged_at: Tensor, **optimizers: Adam) -> dict[str, Tensor]:
    """Everything that epochs change in place, by name; not copied."""
    return {
        **{f"parameters.{name}": p for name, p in parameters.items()},
        **{f"{name}.{part}": p for name, adam in optimizers.items() for part, p in adam.state().items()},
        "diverged_at": diverged_at,
    }


def saved(tensors: Mapping[str, Tensor], **epochs: int) -> State:
    """Copies of tensors on the CPU, and the numbers of the next epochs."""
    return {**{name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, **epochs}


def restore(tensors: Mapping[str, Tensor], state: State) -> None:
    """Write the tensors of a state into those of the same names; the networks must be the same."""
    for name, tensor in tensors.items():
        value = state[name]
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: {value!r} is not a tensor")
        tensor.copy_(value)
