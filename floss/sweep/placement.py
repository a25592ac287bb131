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
from floss.training.engines import BuildError, find

_MOST_ON_CPU = 128
"""Networks in one ensemble on CPUs: more are no faster together (docs/speed.md), but only done together."""


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
