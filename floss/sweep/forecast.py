"""`floss plan`: what a command would compute, in which ensembles, and about how long that takes here."""

import gc
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from floss.errors import CheckpointError
from floss.jobs.train import TrainJob
from floss.runtime.checkpoint import load_checkpoint
from floss.sweep.ensemble_run import train_ensemble
from floss.sweep.folders import statuses
from floss.sweep.networks import Networks, expand, flossing_epochs
from floss.sweep.placement import memory_model, place_of, stacks_of
from floss.sweep.stacking import Stack, flossing_work, stackable, training_work
from floss.sweep.store import DONE, Store

_PROBED = 8
"""Networks of an ensemble that is timed for a few epochs."""
_PATIENCE = 0.3
"""Seconds after which the timing of one loop is good enough."""


def forecast(jobs: list[TrainJob]) -> str:
    """The networks of some jobs, how they will be stacked, what is done, time and memory. Nothing is written."""
    networks, store = expand(jobs), Store(jobs[0].results)
    busy = store.busy()
    status = statuses(networks, store.records())  # after it, so that what ends between the two is not to be computed
    missing = {key: one for key, one in networks.items() if status[key] not in DONE}
    bytes_of = memory_model(networks)
    stacks = timed_stacks({key: one for key, one in missing.items() if key not in busy}, store, bytes_of)
    elsewhere = sum(key in busy for key in missing)
    counts = [f"{len(networks)} networks", f"{len(networks) - len(missing)} done"]
    counts += [f"{elsewhere} being computed by another process"] if elsewhere else []
    failed = Counter(status.values())["failed"]
    counts += [f"{failed} failed before"] if failed else []
    lines = [f"{', '.join(counts)}, {len(missing) - elsewhere} to compute in {store.root.parent}"]
    if not stacks:
        return lines[0]
    table = [("ensemble", "networks", "of", "device", "engine", "memory", "time")]
    for place, (stack, seconds) in enumerate(stacks, 1):
        one = next(iter(stack.networks.values()))
        device, engine = place_of(one)
        memory = sum(map(bytes_of, stack.networks.values()))
        what = _describe(stack.networks) + (" (goes on)" if stack.origin else "")
        size = str(len(stack.networks))
        table.append((str(place), size, what, device, engine.name, _bytes(memory), duration(seconds)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    total = sum(seconds for _, seconds in stacks)
    return "\n".join([*lines, f"about {duration(total)} on this machine, by a few epochs of each kind"])


def timed_stacks(networks: Networks, store: Store, bytes_of: Callable[[TrainJob], float]) -> list[tuple[Stack, float]]:
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
        self._known: dict[Any, tuple[float, float]] = {}

    def seconds(self, stack: Stack) -> float:
        """How long a stack takes from its first epoch to the last."""
        ones = list(stack.networks.values())
        kind = (stackable(ones[0]), any(map(flossing_epochs, ones)))
        if kind not in self._known:
            self._known[kind] = self._measure(stack)
        train, floss = self._known[kind]
        training = sum(training_work(one) * one.train.epochs for one in ones)
        return train * training + floss * sum(flossing_work(one) * flossing_epochs(one) for one in ones)

    def _measure(self, stack: Stack) -> tuple[float, float]:
        device, engine = place_of(next(iter(stack.networks.values())))
        # The networks that are flossed first: they tell both rates.
        ordered = sorted(stack.networks.items(), key=lambda item: -flossing_epochs(item[1]))
        few = Stack(dict(ordered[:_PROBED]))
        gc.collect()  # the ensemble before, which refers to itself
        training = train_ensemble(few, device, engine)
        ones = list(few.networks.values())
        train = _timed(lambda: training.engine.train(0, 1)) / sum(map(training_work, ones))
        flossed = [i for i, one in enumerate(ones) if flossing_epochs(one)]
        if not flossed:
            return train, 0.0
        same = [i for i in flossed if training.runs[i].tolist() == training.runs[flossed[0]].tolist()]
        index = torch.tensor(same, device=device)
        floss = _timed(lambda: training.engine.floss(index, torch.zeros_like(index), 1, epoch=0))
        return train, floss / sum(flossing_work(ones[i]) for i in same)


def _timed(run: Callable[[], object]) -> float:
    """The shortest time of a few runs, after those that warm up: on a GPU the fourth captures a graph."""
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
        if end - begin > _PATIENCE:
            break
    return best


def _progress(store: Store, stack: Stack) -> float:
    """Which part of its training epochs an unfinished stack has behind it."""
    if stack.origin is None:
        return 0.0
    try:
        state = load_checkpoint(store.root / stack.origin / "checkpoint.pt")["training"]
        return float(state["epoch"]) / next(iter(stack.networks.values())).train.epochs
    except (CheckpointError, LookupError, TypeError, OSError):
        return 0.0


def _describe(networks: Networks) -> str:
    """What the networks of a stack are, shortly."""
    ones = list(networks.values())
    words = [ones[0].task.name, ones[0].arch.name]
    for name, values in (
        ("d", [str(one.d) for one in ones]),
        ("flossing", [one.flossing.label for one in ones]),
        ("seeds", [str(one.seed) for one in ones]),
    ):
        different = list(dict.fromkeys(values))
        if name != "flossing":
            different.sort(key=int)
        shown = ",".join(different) if len(different) <= 6 else f"{different[0]}..{different[-1]}"
        words.append(f"{name}={shown}")
    return " ".join(words)


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """A time span in words."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(1, round(seconds))} s"
