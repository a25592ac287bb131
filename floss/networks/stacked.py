"""Weights of stacked networks against states with or without further axes between the network's and their own."""

from torch import Tensor


def align(parameter: Tensor, state: Tensor, own_axes: int = 1) -> Tensor:
    """The parameter [R, ...] with axes of size 1 after the first, to match states [R, B, ..., n].

    A single network's parameter, which has its `own_axes` alone, goes with states [..., n] as it is.
    """
    networks = parameter.shape[: parameter.ndim - own_axes]
    missing = state.ndim - 1 - len(networks)
    if not networks or missing <= 0:
        return parameter
    return parameter.reshape(*networks, *(1,) * missing, *parameter.shape[-own_axes:])


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices [*R, m, n] times vectors [*R, ..., n].

    One product for each network: broadcasting would copy the matrix for every vector.
    """
    if matrix.ndim == 2:
        return vector @ matrix.mT
    after = vector.reshape(len(matrix), -1, vector.shape[-1]) @ matrix.mT
    return after.reshape(*vector.shape[:-1], matrix.shape[-2])


def spread(x: Tensor, state: Tensor) -> Tensor:
    """Inputs of one step, as many as there are states; those of many steps as they are."""
    return x if x.ndim > state.ndim else x.expand(*state.shape[:-1], x.shape[-1])
