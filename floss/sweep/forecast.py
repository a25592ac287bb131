"""`floss plan`: the networks that a command would compute, in which ensembles, and about how long that takes here."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from floss.jobs.train import TrainJob
from floss.runtime.files import CHECKPOINT
from floss.runtime.training_checkpoint import epochs_behind
from floss.sweep.assembly import training_of
from floss.sweep.networks import NetworkJobs
from floss.sweep.placement import memory_model, place_of, stacks_of, workspace_of
from floss.sweep.records import DONE
from floss.sweep.request import Request
from floss.sweep.stacking import Stack, flossing_work, stackable, training_work
from floss.sweep.store import Store

_PROBED = 8
"""Networks of an ensemble that is timed for a few epochs."""
_PATIENCE = 0.3
"""Seconds after which the timing of one loop is good enough."""
_SHARE = 0.01
"""Share of the time of all its epochs after which it is good enough as well: what takes little is timed shortly."""


def forecast(request: Request) -> str:
    """The networks of some jobs, how they will be stacked, what is done, time and memory. Nothing is written."""
    networks, store = request.networks, request.store
    busy = store.busy()
    status = request.statuses()  # after it: what finishes between the two looks is not to be computed
    missing = {i: network for i, network in networks.items() if status[i] not in DONE}
    bytes_of = memory_model(networks)
    stacks = timed_stacks({i: network for i, network in missing.items() if i not in busy}, store, bytes_of)
    elsewhere = sum(network_id in busy for network_id in missing)
    counts = [f"{len(networks)} networks", f"{len(networks) - len(missing)} done"]
    counts += [f"{elsewhere} being computed by another process"] if elsewhere else []
    failed = Counter(status.values())["failed"]
    counts += [f"{failed} failed before"] if failed else []
    lines = [f"{', '.join(counts)}, {len(missing) - elsewhere} to compute in {store.root.parent}"]
    if not stacks:
        return lines[0]
    table = [("ensemble", "networks", "of", "device", "engine", "memory", "time")]
    for place, (stack, seconds) in enumerate(stacks, 1):
        device, engine = place_of(next(iter(stack.networks.values())))
        memory = sum(map(bytes_of, stack.networks.values())) + workspace_of(stack.networks)
        content = _describe(stack.networks) + (" (goes on)" if stack.origin else "")
        size = str(len(stack.networks))
        table.append((str(place), size, content, device, engine.name, _bytes(memory), duration(seconds)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    total = sum(seconds for _, seconds in stacks)
    return "\n".join([*lines, f"about {duration(total)} on this machine, by a few epochs of each kind"])


def timed_stacks(
    networks: NetworkJobs, store: Store, bytes_of: Callable[[TrainJob], float]
) -> list[tuple[Stack, float]]:
    """The ensembles in which networks are to be computed, and about how many seconds each takes to its end."""
    rates = Rates()
    return [
        (stack, rates.seconds(stack) * (1.0 - _progress(store, stack)))
        for stack in stacks_of(networks, store, bytes_of)
    ]


class Rates:
    """Seconds for each floating-point operation, timed on a few networks of every kind."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self._rates: dict[Any, tuple[float, float]] = {}

    def seconds(self, stack: Stack) -> float:
        """How long a stack takes from its first epoch to the last."""
        networks = list(stack.networks.values())
        kind = (stackable(networks[0]), any(network.flossing_epochs for network in networks))
        if kind not in self._rates:
            self._rates[kind] = self._measure(stack)
        train, floss = self._rates[kind]
        training = sum(training_work(network) * network.train.epochs for network in networks)
        return train * training + floss * sum(flossing_work(n) * n.flossing_epochs for n in networks)

    def _measure(self, stack: Stack) -> tuple[float, float]:
        device, engine = place_of(next(iter(stack.networks.values())))
        # The networks that are flossed first: they tell both rates.
        ordered = sorted(stack.networks.items(), key=lambda item: -item[1].flossing_epochs)
        few = Stack(dict(ordered[:_PROBED]))
        training, networks = training_of(few, device, engine), list(few.networks.values())
        epochs = networks[0].train.epochs
        train = _timed(lambda: training.engine.train(0, 1), epochs) / sum(map(training_work, networks))
        flossed = [i for i, network in enumerate(networks) if network.flossing_epochs]
        if not flossed:
            return train, 0.0
        run = networks[flossed[0]].flossing_run
        same = [i for i in flossed if networks[i].flossing_run == run]
        selection = training.ensemble.flossed.select(torch.tensor(same, device=device), run)
        life = torch.zeros_like(selection.index)
        epochs = networks[flossed[0]].flossing_epochs
        floss = _timed(lambda: training.engine.floss(selection, life, 1, epoch=0), epochs)
        return train, floss / sum(flossing_work(networks[i]) for i in same)


def _timed(run: Callable[[], object], times: int) -> float:
    """The shortest time of a few runs, after those that warm up: on a GPU the fourth captures a graph.

    Args:
        run: what is timed.
        times: how often it is to run in all.
    """
    for _ in range(5 if torch.cuda.is_available() else 1):
        run()
    best, begin = float("inf"), time.perf_counter()
    for _ in range(6):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        end = time.perf_counter()
        best = min(best, end - start)
        if end - begin > min(_PATIENCE, _SHARE * best * times):
            break
    return best


def _progress(store: Store, stack: Stack) -> float:
    """The share of its training epochs that an unfinished stack has behind it."""
    if stack.origin is None:
        return 0.0
    path = store.root / stack.origin / CHECKPOINT
    return epochs_behind(path) / next(iter(stack.networks.values())).train.epochs


def _describe(networks: NetworkJobs) -> str:
    """The networks of a stack in a few words."""
    jobs = list(networks.values())
    words = [jobs[0].task.name, jobs[0].arch.name]
    for name, values in (
        ("d", [str(job.d) for job in jobs]),
        ("flossing", [job.flossing_in_effect.label for job in jobs]),
        ("seeds", [str(job.seed) for job in jobs]),
    ):
        different = list(dict.fromkeys(values))
        if name != "flossing":
            different.sort(key=int)
        shown = ",".join(different) if len(different) <= 6 else f"{different[0]}..{different[-1]}"
        words.append(f"{name}={shown}")
    return " ".join(words)


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """A time span in words."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(1, round(seconds))} s"
