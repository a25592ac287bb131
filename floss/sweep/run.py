"""Running jobs: plan, lease an ensemble, compute it, and again, until nothing is left; then write readable copies.

What is done already is not done again, and what another process is computing is waited for. An ensemble that raises is
tried again in halves, so that one network never takes others with it.
"""

import contextlib
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from floss.errors import ConfigError
from floss.jobs.train import TrainJob
from floss.runtime.interrupt import Interrupt, interruptible
from floss.runtime.messages import LOGGER, show_messages
from floss.sweep.ensemble_run import compute
from floss.sweep.folders import write_job
from floss.sweep.loggers import check_loggers
from floss.sweep.loggers.log import log_done
from floss.sweep.networks import NetworkJobs
from floss.sweep.placement import gpus, memory_model, stacks_of
from floss.sweep.records import DONE, statuses
from floss.sweep.request import Request
from floss.sweep.stacking import Stack
from floss.sweep.summary import Outcome

_WAIT = 0.5
"""Seconds between two looks at what another process computes."""

BarOf = Callable[[Stack], Callable[..., Any]]
"""The constructor of an ensemble's progress bar, which takes the arguments of tqdm."""


def run(request: Request) -> Outcome:
    """Compute what is missing of some jobs, and write the folder of each, and its curves; nothing is drawn.

    Raises:
        SystemExit: after a signal; the status says which. Everything that was finished is on disk.
        ConfigError: something cannot be computed here, said before anything is.
        OSError: a file cannot be written; what was written before is whole.
    """
    check_loggers(request.jobs)
    already_done = request.done()
    with interruptible() as interrupt:
        try:
            complete(request, interrupt)
        except SystemExit:
            _write_jobs(request)
            raise
        finished = _write_jobs(request)
        log_done(request, interrupt)
        if interrupt.signal:  # it came too late to stop anything, but must stop what comes next
            raise SystemExit(interrupt.status)
    left_out = list(filter(None, dict.fromkeys(map(_left_out, request.jobs))))
    return Outcome(request, request.statuses(), already_done, finished, left_out)


def complete(request: Request, interrupt: Interrupt, bar_of: BarOf = lambda _: tqdm) -> None:
    """Compute what is missing of some jobs into the store, and nothing that is made from the store.

    Args:
        request: the jobs.
        interrupt: polled after every stretch of epochs.
        bar_of: makes the progress bar of an ensemble.

    Raises:
        SystemExit, ConfigError, OSError: as `run`.
    """
    bytes_of = memory_model(request.networks)
    if len(request.done()) < len(request.networks):
        devices = gpus(request.networks)
        with one_process_each(request.jobs, devices[1:], len(devices)):
            _Sweep(request, bytes_of, interrupt, len(devices), bar_of).complete()


def _left_out(job: TrainJob) -> str:
    """Which episodes of a job lie beyond its training."""
    dropped = [epoch for epoch in job.flossing.at if epoch >= job.train.epochs]
    return f"training ended after {job.train.epochs} epochs: no flossing at {dropped}" if dropped else ""


def _write_jobs(request: Request) -> list[TrainJob]:
    """Write the folder of each job; those of which every network is done."""
    with request.store.locked():
        request.store.tidy()
        records = request.store.records()
        for job in request.jobs:
            write_job(job, request, records)
    status = statuses(request.networks, records)
    return [job for job in request.jobs if all(status[network_id] in DONE for network_id in request.ids[job])]


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
    show_messages()
    request = Request(jobs)
    with interruptible() as interrupt:
        _Sweep(request, memory_model(request.networks), interrupt, parts).complete()


class _Sweep:
    """The networks of a request on their way to being done."""

    def __init__(
        self,
        request: Request,
        bytes_of: Callable[[TrainJob], float],
        interrupt: Interrupt,
        parts: int = 1,
        bar_of: BarOf = lambda _: tqdm,
    ) -> None:
        self.request, self.store, self.bytes_of, self.interrupt = request, request.store, bytes_of, interrupt
        self.parts, self.bar_of = parts, bar_of
        self.failed: set[str] = set()
        self.said_that_it_waits = False

    def complete(self) -> None:
        """Until every network is done or has failed in this process."""
        while missing := self.missing():
            busy = self.store.busy()
            free = {network_id: network for network_id, network in missing.items() if network_id not in busy}
            stacks = self.planned(free)
            for place, stack in enumerate(stacks, 1):
                self.run_stack(stack, f"ensemble {place} of {len(stacks)}, " if len(stacks) > 1 else "")
            if not free:
                self.wait(len(missing), next(busy[network_id] for network_id in missing))

    def missing(self) -> NetworkJobs:
        """The networks that are neither done nor failed in this process."""
        networks, records = self.request.networks, self.store.records()
        status = statuses(networks, records)
        damaged = [records[i] for i in networks if i in records and records[i].status == "damaged"]
        if damaged:
            places = ", ".join(sorted({str(record.folder) for record in damaged}))
            subject = "1 network is" if len(damaged) == 1 else f"{len(damaged)} networks are"
            LOGGER.warning("%s damaged and computed again: %s", subject, places)
        return {i: network for i, network in networks.items() if status[i] not in DONE and i not in self.failed}

    def planned(self, networks: NetworkJobs) -> list[Stack]:
        """The ensembles of some networks."""
        return stacks_of(networks, self.store, self.bytes_of, self.parts)

    def run_stack(self, stack: Stack, label: str) -> None:
        """Compute a stack, or what is left of it; in halves where it raises."""
        with self.store.lease(stack) as lease:
            if lease is None:
                return
            stack, reason = lease.stack, None
            gc.collect()  # what the ensemble before may have left: a GPU has no room for both
            try:
                compute(lease, self.interrupt, f"{label}{len(stack.networks)} networks, ", self.bar_of(stack))
            except (OSError, ConfigError):
                raise  # what would stop every other ensemble as well
            except SystemExit:
                LOGGER.warning("stopped; start the same command again to go on: %s", lease.folder)
                raise
            except Exception as error:  # not kept: the networks would stay in memory with its traceback
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            if reason is not None and len(stack.networks) == 1:
                lease.write_summary({i: {"status": "failed", "reason": reason} for i in stack.networks}, {})
                self.failed |= set(stack.networks)
                return
        if reason is not None:
            LOGGER.warning("%d networks fail together, trying halves: %s", len(stack.networks), reason[:100])
            for half in stack.halves():
                self.run_stack(replace(half, origin=lease.folder.name), label)

    def wait(self, networks: int, owner: str) -> None:
        """Give another process time."""
        if not self.said_that_it_waits:
            subject = "1 network that is" if networks == 1 else f"{networks} networks that are"
            LOGGER.warning("waiting for %s being computed by %s", subject, owner)
            self.said_that_it_waits = True
        time.sleep(_WAIT)
        if self.interrupt.signal:
            raise SystemExit(self.interrupt.status)
