"""The engines, memory and GPUs of this machine, and the ensembles in which they compute a sweep."""

import os
from collections.abc import Callable

import torch

from floss.errors import ConfigError
from floss.jobs.checked import may_be_native
from floss.jobs.train import TEACHER, TrainJob
from floss.runtime.device import device_of, free_gpu_memory
from floss.runtime.free_memory import free_memory
from floss.sweep.networks import NetworkJobs
from floss.sweep.stacking import Stack, network_bytes, plan
from floss.sweep.store import Store
from floss.training.engine import Engine
from floss.training.engines import ENGINES, BuildError, find
from floss.training.engines.workspace import workspace_bytes

_MOST_ON_CPU = 128
"""Networks in one ensemble on CPUs: more are no faster together (docs/speed.md), but only done together."""
_FIRST = 2e6
"""Bytes that a process takes for its first ensemble, whatever it is."""


def memory_model(networks: NetworkJobs) -> Callable[[TrainJob], float]:
    """Bytes that a network takes in an ensemble, with the engine that will compute it.

    Raises:
        ConfigError: an engine that cannot be used, or a network that does not fit into memory alone.
    """
    engines: dict[tuple[str | bool, ...], str] = {}

    def bytes_of(network: TrainJob) -> float:
        place = (network.arch.name, network.task.name, network.engine, network.device, may_be_native(network))
        if place not in engines:
            engines[place] = place_of(network)[1].name
        return network_bytes(network, engine=engines[place])

    for network in {(n.arch, n.train, n.flossing, n.engine): n for n in networks.values()}.values():
        if bytes_of(network) > 4 * free_memory():  # the estimate is right within a factor of two
            arch, train = network.arch, network.train
            raise ConfigError(
                f"arch.n={arch.n}, train.batch={train.batch}, train.steps={train.steps}: one network needs about"
                f" {bytes_of(network) / 1e9:.0f} GB, which does not fit into memory"
            )
    return bytes_of


def workspace_of(networks: NetworkJobs) -> float:
    """Bytes that the engine of an ensemble works in beside its networks, with the threads that torch has here.

    That of the native engine, which trains and flosses in the same memory; torch's is a part of what networks take.
    """
    jobs = list(networks.values())
    if place_of(jobs[0])[1] is not ENGINES["native"]:
        return 0.0

    def needed(job: TrainJob, steps: int, columns: int = 0) -> int:
        return workspace_bytes(
            job.arch.name,
            getattr(torch, job.dtype),
            len(jobs),
            task=job.task.name,
            n=job.arch.n,
            batch=job.train.batch,
            steps=steps,
            columns=columns,
        )

    # Networks of an ensemble differ in flossing alone; runs of other lengths have calls of their own.
    flossed = {(job.flossing_run.length, job.flossing.k) for job in jobs if job.flossing_epochs}
    widest = max((k for _, k in flossed), default=0)
    runs = (needed(jobs[0], length, widest) for length, _ in flossed)
    return _FIRST + max(needed(jobs[0], jobs[0].train.steps), *runs, 0)


def gpus(networks: NetworkJobs) -> list[str]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them, where any network is for one."""
    if not any(place_of(network)[0] == "cuda" for network in networks.values()):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def stacks_of(
    networks: NetworkJobs, store: Store, bytes_of: Callable[[TrainJob], float], parts: int = 1
) -> list[Stack]:
    """The ensembles in which networks are computed, within the memory and at least `parts`."""
    if not networks:
        return []
    limits = [network.memory_limit for network in networks.values() if network.memory_limit is not None]
    on_cpu = any(place_of(network)[0] == "cpu" for network in networks.values())
    free = free_memory() if on_cpu else min(free_memory(), free_gpu_memory())
    return plan(
        networks,
        bytes_of=bytes_of,
        beside=workspace_of,
        limit=min(limits) * 1e9 if limits else free / 2,
        most=_MOST_ON_CPU if on_cpu else None,
        parts=max(parts, *(network.parts for network in networks.values())),
        unfinished=store.unfinished(),
    )


def place_of(job: TrainJob) -> tuple[str, type[Engine]]:
    """The device and the engine that a job's networks are computed with.

    Raises:
        ConfigError: the engine cannot be used here.
    """
    device = device_of(job.device, auto="cpu" if job.engine == "native" else "cuda")
    engine = "torch" if job.engine == "auto" and not may_be_native(job) and job.task.name != TEACHER else job.engine
    try:
        return device, find(engine, arch=job.arch.name, task=job.task.name, device=device)
    except BuildError as error:
        raise ConfigError(f"engine={job.engine}: cannot be used here: {error}; engine=torch can") from None
