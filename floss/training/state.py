"""What resuming needs, as named tensors with the leading axis R and numbers: the only place that knows their names."""

from collections.abc import Mapping

from torch import Tensor

from floss.networks import Parameters
from floss.training.adam import Adam

State = dict[str, Tensor | int]
"""Named tensors with the leading axis R, and numbers."""

_PARAMETERS = "parameters."
_DIVERGED_AT = "diverged_at"


def named_tensors(parameters: Parameters, diverged_at: Tensor, **optimizers: Adam) -> dict[str, Tensor]:
    """Everything that epochs change in place, by name; not copied."""
    return {
        **{f"{_PARAMETERS}{name}": p for name, p in parameters.items()},
        **{f"{name}.{part}": p for name, adam in optimizers.items() for part, p in adam.state().items()},
        _DIVERGED_AT: diverged_at,
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


def trained_part(state: State) -> State:
    """What is kept of a state after the end: parameters, and where networks diverged."""
    return {name: state[name] for name in (*(n for n in state if n.startswith(_PARAMETERS)), _DIVERGED_AT)}


def parameters_of(state: State) -> Parameters:
    """The parameters in a state, by the papers' letters."""
    parts = {name.removeprefix(_PARAMETERS): p for name, p in state.items() if name.startswith(_PARAMETERS)}
    return {name: p for name, p in parts.items() if isinstance(p, Tensor)}


def diverged_at(state: State) -> Tensor:
    """Training epoch at which each network of a state stopped being finite; -1 where it never did, [R]."""
    value = state[_DIVERGED_AT]
    if not isinstance(value, Tensor):
        raise TypeError(f"{_DIVERGED_AT}: {value!r} is not a tensor")
    return value
