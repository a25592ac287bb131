"""The networks that some jobs ask for, each known by the hash of what it computes.

Nothing is computed here, and no file is read.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from floss.jobs.hashing import hashed_values
from floss.jobs.train import TrainJob
from floss.training.schedule import flossing_steps, transient_steps

Networks = dict[str, TrainJob]
"""Jobs of one network each, by the network's key."""


def network_keys(job: TrainJob) -> list[str]:
    """Twelve hexadecimal digits for each network of a job, in the order of its seeds: the hash of what it computes.

    That is the resolved configuration with everything that changes a number or says which numbers are written down,
    and nothing else: not the device, the engine, the paths, or the networks beside it. What a network without flossing
    would be flossed with is left out, but for k and t_ons, which are in its rows.
    """
    values = hashed_values(job)
    del values["seeds"]
    flossing = values["flossing"]
    if not job.flossing.at and job.flossing.every is None:
        for name in ("epochs", "steps", "transient", "target", "lr"):
            del flossing[name]
    else:
        flossing["steps"], flossing["transient"] = flossing_run(job)
    keys = []
    for seed in range(job.seed, job.seed + job.seeds):
        text = json.dumps({**values, "seed": seed}, sort_keys=True)
        keys.append(hashlib.sha256(text.encode()).hexdigest()[:12])
    return keys


def flossing_run(job: TrainJob) -> tuple[int, int]:
    """Length T_f of one flossing run, and how many of its steps are not counted."""
    f = job.flossing
    steps = flossing_steps(job.d) if f.steps is None else f.steps
    return steps, transient_steps(steps) if f.transient is None else f.transient


def expand(jobs: Iterable[TrainJob]) -> Networks:
    """The networks that some jobs ask for, each once, in the order of the jobs."""
    networks: Networks = {}
    for job in jobs:
        for seed, key in enumerate(network_keys(job), job.seed):
            if key not in networks:
                networks[key] = dataclasses.replace(job, seed=seed, seeds=1)
    return networks


def merge(networks: Iterable[TrainJob]) -> list[TrainJob]:
    """The shortest list of jobs with these networks in this order: seeds that count up go together."""
    jobs: list[TrainJob] = []
    for one in networks:
        last = jobs[-1] if jobs else None
        like_last = last and dataclasses.replace(one, seed=last.seed, seeds=last.seeds) == last
        if last and like_last and one.seed == last.seed + last.seeds:
            jobs[-1] = dataclasses.replace(last, seeds=last.seeds + 1)
        else:
            jobs.append(one)
    return jobs


def flossing_epochs(one: TrainJob) -> int:
    """Flossing epochs in a network's life."""
    return one.flossing.epochs * len(one.flossing.episodes(one.train.epochs))
