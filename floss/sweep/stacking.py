"""Which networks are computed together: ensembles, cut to what fits into memory."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from floss.jobs.train import TEACHER, TrainJob
from floss.runtime.network_ids import digits_of
from floss.sweep.networks import NetworkJobs
from floss.training.cost import flossing_flop, training_flop


@functools.lru_cache(maxsize=100_000)
def stackable(network: TrainJob) -> TrainJob:
    """What must agree between networks of one ensemble: the job with everything else at one value."""
    replace = dataclasses.replace
    shared = replace(
        network,
        seed=0,
        d=0,
        task=replace(network.task, delay=0),
        arch=replace(network.arch, g=1.0),
        flossing=replace(
            network.flossing, name="", at=(), every=None, k=1, steps=None, transient=None, target=0.0, until=None
        ),
        train=replace(network.train, checkpoint_every=1),
        scale="",
        results="",
        memory_limit=None,
        parts=1,
    )
    if network.task.name != TEACHER:
        return shared
    return replace(  # teachers, initial spectra and learning rates may differ as well
        shared,
        task=replace(shared.task, teacher=None, nu=None, theta=None),
        arch=replace(shared.arch, nu=None, theta=None),
        train=replace(shared.train, lr=1.0),
    )


def training_work(network: TrainJob) -> float:
    """Floating-point operations of one training epoch of one network; in other architectures a measure of it."""
    return training_flop(network.train.steps, network.train.batch, network.arch.n)


def flossing_work(network: TrainJob) -> float:
    """Floating-point operations of one flossing epoch of one network; in other architectures a measure of it."""
    return flossing_flop(network.flossing_run.length, network.arch.n, network.flossing.k)


def work(network: TrainJob) -> float:
    """Floating-point operations of one network's whole life."""
    return network.train.epochs * training_work(network) + network.flossing_epochs * flossing_work(network)


_DIAGONAL = tuple(f"linear_{name}" for name in ("diagonal", "diagonal_gamma", "exp", "lru", "s4"))
_NUMBERS = {
    **{"lstm": (4, 6.6, 2.1), "gru": (3, 4.8, 3.6), "lru": (1, 3.1, 0.0)},
    **dict.fromkeys(_DIAGONAL, (0, 1.0, 0.0)),
}
"""Recurrent matrices of an architecture, and how many times T B N and T_f n k its training and flossing keep."""
_NUMBERS_OF_A_RATE_NETWORK = (1, 1.0, 1.6)
_TWICE = ("lstm", "lru", *_DIAGONAL)
"""Architectures with two state variables for each unit."""


def network_bytes(network: TrainJob, *, engine: str) -> float:
    """Memory that a network takes in an ensemble, but for what the native engine's threads work in (placement.py).

    Measured on ensembles of 4 and 20 networks, as the tests do again, within about a factor of two for torch: sixteen
    times the numbers of the network itself (parameters, two Adam states, checkpoint and its copies), and for torch so
    many of T B N in training and of T_f times state size times k in flossing, of which the one gives back what the
    other takes; captured graphs keep both. The convolution engine works in the impulse responses of a few
    networks at a time. Singular values of one-step Jacobians are torch's with every engine: about seven matrices of
    double precision for each.
    """
    matrices, train, floss = _NUMBERS.get(network.arch.name, _NUMBERS_OF_A_RATE_NETWORK)
    n, batch = network.arch.n, network.train.batch
    size = n * (2 if network.arch.name in _TWICE else 1)
    k = network.flossing.k if network.flossing_epochs else 1
    width = 8 if network.dtype == "float64" else 4
    itself = 16.0 * width * (matrices * n * n + batch * size + size * k)
    training = flossing = 0.0
    if engine not in ("native", "convolution"):
        training = train * width * network.train.steps * batch * n
    if engine != "native":
        flossing = floss * width * network.flossing_run.length * size * k
    if network.flossing_epochs and network.flossing.penalty == "one_step":
        # Of a linear recurrence, which the run does not matter to, there is one.
        counted = 1 if "steps" in network.idle else network.flossing_run.counted
        jacobians = math.ceil(counted / network.flossing.t_ons)
        flossing += 56.0 * jacobians * size**2
    return itself + (training + flossing if engine == "graph" else max(training, flossing))


@dataclass(frozen=True)
class Stack:
    """Networks that are computed as one ensemble."""

    networks: NetworkJobs
    origin: str | None = None
    """Name of the unfinished ensemble whose checkpoint they resume from."""

    @property
    def name(self) -> str:
        """Name of the ensemble's folder: readable, and a hash of which networks it has."""
        first = next(iter(self.networks.values()))
        digest = hashlib.sha256(" ".join(sorted(map(digits_of, self.networks))).encode()).hexdigest()[:10]
        return f"{first.task.name}-{first.arch.name}-{digest}"

    @property
    def work(self) -> float:
        """Floating-point operations of all its networks."""
        return sum(map(work, self.networks.values()))

    def only(self, ids: Iterable[str]) -> "Stack":
        """The same without the networks that are not in `ids`."""
        kept = set(ids)
        return dataclasses.replace(self, networks={i: network for i, network in self.networks.items() if i in kept})

    def halves(self) -> tuple["Stack", "Stack"]:
        """Two stacks with half of the networks each."""
        ids = list(self.networks)
        middle = (len(ids) + 1) // 2
        return self.only(ids[:middle]), self.only(ids[middle:])


def plan(
    networks: Mapping[str, TrainJob],
    *,
    bytes_of: Callable[[TrainJob], float] = lambda network: 0.0,  # noqa: ARG005
    beside: Callable[[NetworkJobs], float] = lambda networks: 0.0,  # noqa: ARG005
    limit: float = math.inf,
    most: int | None = None,
    parts: int = 1,
    unfinished: Mapping[str, str] | None = None,
) -> list[Stack]:
    """Put networks into ensembles, the longest first.

    Args:
        networks: those that are to be computed.
        bytes_of: memory that a network takes.
        beside: memory that an ensemble takes beside them, whatever number of these networks it has.
        limit: bytes that one ensemble may take; a network that takes more is alone.
        most: networks in one ensemble.
        parts: cut every stack into at least so many ensembles of about the same work (or into single networks), for
            so many devices or processes that share the work.
        unfinished: name of the ensemble that holds a checkpoint, for the networks that are in one. They stay together.

    Returns:
        Stacks whose networks, together, are `networks`.
    """
    groups: dict[Any, list[str]] = {}
    for network_id, network in networks.items():
        groups.setdefault((stackable(network), (unfinished or {}).get(network_id)), []).append(network_id)
    stacks = []
    for (_, origin), ids in groups.items():
        # Networks that are flossed together stand together, the expensive ones first.
        ordered = sorted(ids, key=lambda i: _schedule(networks[i]), reverse=True) if origin is None else ids
        room = limit if math.isinf(limit) else max(limit - beside({i: networks[i] for i in ids}), 1.0)
        for piece in _cut(ordered, networks, bytes_of, room, most or len(ids), parts if origin is None else 1):
            stacks.append(Stack({network_id: networks[network_id] for network_id in piece}, origin))
    return sorted(stacks, key=lambda stack: -stack.work)


def _schedule(network: TrainJob) -> tuple[Any, ...]:
    return work(network), network.flossing.at, network.flossing.every or 0, network.flossing_run


def _cut(
    ids: Sequence[str],
    networks: Mapping[str, TrainJob],
    bytes_of: Callable[[TrainJob], float],
    limit: float,
    most: int,
    parts: int,
) -> list[list[str]]:
    """Consecutive pieces of about equal work, each within the limits."""
    size = {network_id: bytes_of(networks[network_id]) for network_id in ids}
    load = {network_id: work(networks[network_id]) for network_id in ids}
    pieces = min(len(ids), max(parts, math.ceil(sum(size.values()) / limit), math.ceil(len(ids) / most)))
    share, done, held = sum(load.values()) / pieces, 0.0, 0.0
    cut: list[list[str]] = [[]]
    for network_id in ids:
        full = held + size[network_id] > limit or len(cut[-1]) >= most
        if cut[-1] and (full or done >= share * len(cut) * (1 - 1e-12)):
            cut.append([])
            held = 0.0
        cut[-1].append(network_id)
        done, held = done + load[network_id], held + size[network_id]
    return cut
