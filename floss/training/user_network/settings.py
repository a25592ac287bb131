"""What `floss.Flosser` is told: checked, and turned into what an episode needs."""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss import random
from floss.lyapunov import arguments
from floss.lyapunov.qr import qr
from floss.random import Stream
from floss.training.flossing_loss import flossing_loss
from floss.training.user_network.watched import DirectedMap, WatchedNetwork

Until = float | Callable[..., object]


def step_numbers(caller: str, at: int | Iterable[int]) -> frozenset[int]:
    """The training steps before which an episode runs."""
    several = isinstance(at, Iterable) and not isinstance(at, str) and getattr(at, "ndim", 1)
    steps: Any = list(at) if several else at  # pyright: ignore[reportArgumentType]
    return frozenset() if steps == [] else frozenset(arguments.whole_numbers(caller, "at", steps, 0)[0])


def criterion(caller: str, until: Any) -> Until | None:
    """What ends an episode early: a loss, a function of the exponents, or nothing."""
    if until is None or callable(until):
        return until
    allowed = "a positive loss, a function of the exponents, or None"
    return arguments.real_number(caller, "until", until, allowed, lambda v: isfinite(v) and v > 0.0)


def wanted_exponents(target: Any, k: int) -> Float[Tensor, "..."]:
    """The target of k exponents, in float64."""
    flossing_loss(torch.zeros(k, dtype=torch.float64), target)  # says what does not fit
    return torch.as_tensor(target, dtype=torch.float64).detach()


def parameters_of(caller: str, network: WatchedNetwork, parameters: Iterable[Tensor] | None) -> list[Tensor]:
    """What is flossed: tensors that require gradients, each once.

    Raises:
        ValueError: none, or one that is not floating point, not a leaf, or requires no gradient.
    """
    if parameters is None:
        several = [p for p in network.tensors if p.requires_grad]
        if not several:
            raise ValueError(f"{caller}: parameters=None finds none that require gradients in {network.name}")
    else:
        one = isinstance(parameters, Tensor) or not isinstance(parameters, Iterable)
        several: list[Any] = [parameters] if one else list(parameters)
    for p in several:
        if not isinstance(p, Tensor) or not p.is_leaf or not p.requires_grad or not p.is_floating_point():
            allowed = "leaf tensors of real numbers that require gradients"
            raise ValueError(f"{caller}: parameters must be {allowed}, got {arguments.shown(p)}")
    if not several:
        raise ValueError(f"{caller}: parameters=[] must be at least one tensor")
    return list({id(p): p for p in several}.values())


def drive(sequences: list[Tensor], first: int, steps: int | None) -> Float[Tensor, "T S"]:
    """The inputs of a run: one sequence of a batch, continued by the next ones where it is shorter than the run."""
    order = [sequences[(first + i) % len(sequences)] for i in range(len(sequences))]
    if steps is None:
        return order[0]
    total, several = 0, []
    while total < steps:
        several.append(order[len(several) % len(order)])
        total += len(several[-1])
    return torch.cat(several)[:steps] if len(several) > 1 else several[0][:steps]


def initial_vectors(
    one: DirectedMap, part: int, batch: tuple[int, ...], k: int, seed: int, epoch: int, like: Tensor
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
    """Initial states ~ N(0, 1) and random orthonormal tangent vectors, pure functions of seed, epoch and map."""
    seeds = torch.tensor([seed])

    def numbers(stream: Stream, size: int) -> Tensor:
        return random.normal(seeds, stream, size, epoch=epoch, part=part, dtype=torch.float64)[0]

    h0 = numbers(Stream.INITIAL_STATE, int(torch.Size(batch).numel()) * one.n).reshape(*batch, one.n)
    q0 = qr(numbers(Stream.TANGENT, k * one.n).reshape(k, one.n).mT)[0].expand(*batch, one.n, k)
    return h0.to(like), q0.to(like)
