"""Which networks are computed together: ensembles, cut to what fits into memory."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from floss.jobs.train import TrainJob
from floss.sweep.networks import Networks, flossing_epochs, flossing_run


@functools.lru_cache(maxsize=100_000)
def stackable(one: TrainJob) -> TrainJob:
    """What must agree between networks of one ensemble: the job with everything else at one value."""
    replace = dataclasses.replace
    return replace(
        one,
        seed=0,
        d=0,
        task=replace(one.task, delay=0),
        arch=replace(one.arch, g=1.0),
        flossing=replace(one.flossing, name="", at=(), every=None, k=1, steps=None, transient=None, target=0.0),
        train=replace(one.train, checkpoint_every=1),
        scale="",
        results="",
        memory_limit=None,
        parts=1,
    )


def training_work(one: TrainJob) -> float:
    """Floating-point operations of one training epoch of one network: 6 T B N²."""
    return 6.0 * one.train.steps * one.train.batch * one.arch.n**2


def flossing_work(one: TrainJob) -> float:
    """Floating-point operations of one flossing epoch of one network: T_f (6 N² k + 5 N k²)."""
    n, k = one.arch.n, one.flossing.k
    return float(flossing_run(one)[0]) * (6 * n * n * k + 5 * n * k * k)


def work(one: TrainJob) -> float:
    """Floating-point operations of one network's whole life; in other architectures a measure of it."""
    return one.train.epochs * training_work(one) + flossing_epochs(one) * flossing_work(one)


_NUMBERS = {"lstm": (4, 15.0, 4.0), "gru": (3, 13.0, 5.0), "lru": (4, 11.0, 0.0)}


_NUMBERS_OF_A_RATE_NETWORK = (1, 1.1, 2.6)


def network_bytes(one: TrainJob, *, native: bool) -> float:
    """Memory that a network takes in an ensemble, everything included, within about a factor of two.

    Measured on ensembles of 4 and 20 networks, as `tests/test_planner.py` does again: twenty times the numbers of the
    network itself (parameters, two Adam states, checkpoint and its copies), and for torch so many of T B N and of
    T_f times state size times k. The native engine works in a few megabytes per thread.
    """
    weights, train, floss = _NUMBERS.get(one.arch.name, _NUMBERS_OF_A_RATE_NETWORK)
    n, f, size = one.arch.n, one.flossing, one.arch.n * (2 if one.arch.name in ("lstm", "lru") else 1)
    k = f.k if flossing_epochs(one) else 1
    numbers = 20.0 * (weights * n * n + one.train.batch * size + size * k)
    if not native:
        numbers += train * one.train.steps * one.train.batch * n + floss * flossing_run(one)[0] * size * k
    return numbers * (8 if one.dtype == "float64" else 4)


@dataclass(frozen=True)
class Stack:
    """Networks that are computed as one ensemble."""

    networks: Networks
    origin: str | None = None
    """Name of the unfinished ensemble whose checkpoint they go on from."""

    @property
    def name(self) -> str:
        """Name of the ensemble's folder: readable, and a hash of which networks it has."""
        one = next(iter(self.networks.values()))
        digest = hashlib.sha256(" ".join(sorted(self.networks)).encode()).hexdigest()[:10]
        return f"{one.task.name}-{one.arch.name}-{digest}"

    @property
    def work(self) -> float:
        """Floating-point operations of all its networks."""
        return sum(work(one) for one in self.networks.values())

    def only(self, keys: Iterable[str]) -> "Stack":
        """The same without the networks that are not in `keys`."""
        kept = set(keys)
        return dataclasses.replace(self, networks={key: n for key, n in self.networks.items() if key in kept})

    def halves(self) -> tuple["Stack", "Stack"]:
        """Two stacks with half of the networks each."""
        keys = list(self.networks)
        middle = (len(keys) + 1) // 2
        return self.only(keys[:middle]), self.only(keys[middle:])


def plan(
    networks: Mapping[str, TrainJob],
    *,
    bytes_of: Callable[[TrainJob], float] = lambda one: 0.0,  # noqa: ARG005
    limit: float = math.inf,
    most: int | None = None,
    parts: int = 1,
    unfinished: Mapping[str, str] | None = None,
) -> list[Stack]:
    """Put networks into ensembles, the longest first.

    Args:
        networks: those that are to be computed.
        bytes_of: memory that a network takes.
        limit: bytes that one ensemble may take; a network that takes more is alone.
        most: networks in one ensemble.
        parts: cut every stack into at least so many ensembles of about the same work (or into single networks), for
            so many devices or processes that share the work.
        unfinished: name of the ensemble that holds a checkpoint, for the networks that are in one. They stay together.

    Returns:
        Stacks whose networks, together, are `networks`.
    """
    groups: dict[Any, list[str]] = {}
    for key, one in networks.items():
        groups.setdefault((stackable(one), (unfinished or {}).get(key)), []).append(key)
    stacks = []
    for (_, origin), keys in groups.items():
        # Networks that are flossed together stand together, the expensive ones first.
        ordered = sorted(keys, key=lambda key: _schedule(networks[key]), reverse=True) if origin is None else keys
        for piece in _cut(ordered, networks, bytes_of, limit, most or len(keys), parts if origin is None else 1):
            stacks.append(Stack({key: networks[key] for key in piece}, origin))
    return sorted(stacks, key=lambda stack: -stack.work)


def _schedule(one: TrainJob) -> tuple[Any, ...]:
    return work(one), one.flossing.at, one.flossing.every or 0, flossing_run(one)


def _cut(
    keys: Sequence[str],
    networks: Mapping[str, TrainJob],
    bytes_of: Callable[[TrainJob], float],
    limit: float,
    most: int,
    parts: int,
) -> list[list[str]]:
    """Consecutive pieces of about equal work, each within the limits."""
    size = {key: bytes_of(networks[key]) for key in keys}
    load = {key: work(networks[key]) for key in keys}
    pieces = min(len(keys), max(parts, math.ceil(sum(size.values()) / limit), math.ceil(len(keys) / most)))
    share, done, held = sum(load.values()) / pieces, 0.0, 0.0
    cut: list[list[str]] = [[]]
    for key in keys:
        full = held + size[key] > limit or len(cut[-1]) >= most
        if cut[-1] and (full or done >= share * len(cut) * (1 - 1e-12)):
            cut.append([])
            held = 0.0
        cut[-1].append(key)
        done, held = done + load[key], held + size[key]
    return cut
