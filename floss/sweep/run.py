"""Running jobs: plan, claim an ensemble, compute it, and again, until nothing is left; then what people open.

Whatever was done already is not done again, and what another process is computing is waited for. An ensemble that
raises is tried again in halves, so that one network never takes others with it.
"""

import contextlib
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from floss.errors import ConfigError
from floss.figures import draw
from floss.jobs.train import TrainJob
from floss.runtime.interrupt import Interrupt, interruptible
from floss.sweep.ensemble_run import compute
from floss.sweep.folders import statuses, write_job
from floss.sweep.networks import Networks, expand
from floss.sweep.placement import gpus, memory_model, stacks_of
from floss.sweep.stacking import Stack
from floss.sweep.store import DONE, Store, write_summary
from floss.sweep.summary import Outcome

_WAIT = 0.5
"""Seconds between two looks at what another process computes."""


def run(jobs: list[TrainJob], *, draw_jobs: bool = True) -> Outcome:
    """Compute what is missing of some jobs, and write the folder of each.

    Args:
        jobs: with one results folder.
        draw_jobs: draw the picture of every job that is complete.

    Raises:
        SystemExit: after a signal; the status says which. Everything that was finished is on disk.
        ConfigError: something cannot be computed here, said before anything is.
        OSError: a file cannot be written; what was written before is whole.
    """
    networks, store = expand(jobs), Store(jobs[0].results)
    known = done(networks, store)
    with interruptible() as interrupt:
        try:
            complete(jobs, interrupt)
        except SystemExit:
            _write_jobs(jobs, store)
            raise
        whole = _write_jobs(jobs, store)
        for job in whole if draw_jobs else ():
            if not (job.folder / "learning_curves.svg").exists():
                draw(job.folder)
        for text in dict.fromkeys(map(_left_out, jobs)):
            if text:
                print(f"floss: {text}", file=sys.stderr)
        if interrupt.signal:  # it came too late to stop anything, but must stop what comes next
            raise SystemExit(interrupt.status)
    return Outcome(statuses(networks, store.records()), known)


def done(networks: Networks, store: Store) -> set[str]:
    """Which of some networks a store has."""
    return {key for key, status in statuses(networks, store.records()).items() if status in DONE}


def complete(
    jobs: list[TrainJob], interrupt: Interrupt, bar_of: Callable[[Stack], Callable[..., Any]] = lambda _: tqdm
) -> None:
    """Compute what is missing of some jobs into the store, and nothing that is made from the store.

    Args:
        jobs: with one results folder.
        interrupt: asked after every stretch of epochs.
        bar_of: makes the progress bar of an ensemble, with the arguments of tqdm.

    Raises:
        SystemExit, ConfigError, OSError: as `run`.
    """
    networks, store = expand(jobs), Store(jobs[0].results)
    bytes_of = memory_model(networks)
    if len(done(networks, store)) < len(networks):
        devices = gpus(networks)
        with one_process_each(jobs, devices[1:], len(devices)):
            _Sweep(networks, store, bytes_of, interrupt, len(devices), bar_of).complete()


def _left_out(job: TrainJob) -> str:
    """Which episodes of a job lie beyond its training."""
    dropped = [epoch for epoch in job.flossing.at if epoch >= job.train.epochs]
    return f"training ended after {job.train.epochs} epochs: no flossing at {dropped}" if dropped else ""


def _write_jobs(jobs: list[TrainJob], store: Store) -> list[TrainJob]:
    """Write the folder of each job; those of which every network is done."""
    with store.locked():
        store.tidy()
        records = store.records()
        for job in jobs:
            write_job(job, store, records)
    return [job for job in jobs if all(status in DONE for status in statuses(expand([job]), records).values())]


@contextlib.contextmanager
def one_process_each(jobs: list[TrainJob], devices: list[str], parts: int) -> Iterator[None]:
    """Let a process for each of some further GPUs share the work; they end when nothing is left for them."""
    spawned = multiprocessing.get_context("spawn")
    workers = [spawned.Process(target=_work_on, args=(jobs, device, parts)) for device in devices]
    for worker in workers:
        worker.start()
    try:
        yield
    except BaseException:
        for worker in workers:
            worker.terminate()  # which writes a checkpoint; Ctrl-C has reached them already
        raise
    finally:
        for worker in workers:
            worker.join()


def _work_on(jobs: list[TrainJob], device: str, parts: int) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    networks = expand(jobs)
    with interruptible() as interrupt:
        _Sweep(networks, Store(jobs[0].results), memory_model(networks), interrupt, parts).complete()


class _Sweep:
    """Networks on their way to being done."""

    def __init__(
        self,
        networks: Networks,
        store: Store,
        bytes_of: Callable[[TrainJob], float],
        interrupt: Interrupt,
        parts: int = 1,
        bar_of: Callable[[Stack], Callable[..., Any]] = lambda _: tqdm,
    ) -> None:
        self.networks, self.store, self.bytes_of, self.interrupt = networks, store, bytes_of, interrupt
        self.parts, self.bar_of = parts, bar_of
        self.failed: set[str] = set()
        self.said = False

    def complete(self) -> None:
        """Until every network is done or has failed in this process."""
        while missing := self.missing():
            busy = self.store.busy()
            free = {key: one for key, one in missing.items() if key not in busy}
            stacks = self.planned(free)
            for place, stack in enumerate(stacks, 1):
                self.run_stack(stack, f"ensemble {place} of {len(stacks)}, " if len(stacks) > 1 else "")
            if not free:
                self.wait(len(missing), next(busy[key] for key in missing))

    def missing(self) -> Networks:
        """The networks that are neither done nor failed in this process."""
        records = self.store.records()
        status = statuses(self.networks, records)
        damaged = [key for key in self.networks if key in records and records[key].status == "damaged"]
        if damaged:
            places = ", ".join(sorted({str(records[key].folder) for key in damaged}))
            what = "1 network is" if len(damaged) == 1 else f"{len(damaged)} networks are"
            print(f"floss: {what} damaged and computed again: {places}", file=sys.stderr)
        return {k: one for k, one in self.networks.items() if status[k] not in DONE and k not in self.failed}

    def planned(self, networks: Networks) -> list[Stack]:
        """The ensembles of some networks."""
        return stacks_of(networks, self.store, self.bytes_of, self.parts)

    def run_stack(self, stack: Stack, label: str) -> None:
        """Compute a stack, or what is left of it; in halves where it raises."""
        with self.store.claim(stack) as claim:
            if claim is None:
                return
            stack, reason = claim.stack, None
            gc.collect()  # the ensemble before, which refers to itself: a GPU has no room for both
            try:
                label_of_bar = f"{label}{len(stack.networks)} networks, "
                compute(claim, self.interrupt, label_of_bar, self.bar_of(stack))
            except (OSError, ConfigError):
                raise  # what would stop every other ensemble as well
            except SystemExit:
                print(f"floss: stopped; start the same command again to go on: {claim.folder}", file=sys.stderr)
                raise
            except Exception as error:  # not kept: the networks would stay in memory with its traceback
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            if reason is not None and len(stack.networks) == 1:
                write_summary(claim, {key: {"status": "failed", "reason": reason} for key in stack.networks}, {})
                self.failed |= set(stack.networks)
                return
        if reason is not None:
            together = f"{len(stack.networks)} networks fail together"
            print(f"floss: {together}, trying halves: {reason[:100]}", file=sys.stderr)
            for half in stack.halves():
                self.run_stack(replace(half, origin=claim.folder.name), label)

    def wait(self, count: int, owner: str) -> None:
        """Give another process time."""
        if not self.said:
            what = "1 network that is" if count == 1 else f"{count} networks that are"
            print(f"floss: waiting for {what} being computed by {owner}", file=sys.stderr)
            self.said = True
        time.sleep(_WAIT)
        if self.interrupt.signal:
            raise SystemExit(self.interrupt.status)
