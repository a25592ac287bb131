"""The networks that a job asks for, each known by its id: the hash of what it computes."""

import dataclasses
import hashlib
import json

from floss.jobs.flossing import FlossingConfig
from floss.jobs.hashing import hashed_values
from floss.jobs.train import TrainJob
from floss.runtime.network_ids import network_id


def network_ids(job: TrainJob) -> list[str]:
    """The id of each network of a job, in the order of its seeds: the hash of what it computes.

    That is the resolved configuration with everything that changes a number or says which numbers are written down,
    and nothing else: not the device, the engine, the paths, or the networks beside it. What a network without flossing
    would be flossed with does not tell it apart; k and t_ons are there as the reference has them, as in its rows. Nor
    does how its episodes are given.
    """
    return _ids(job, job.flossing_in_effect)


def former_ids(job: TrainJob) -> list[str]:
    """The ids that its networks had in earlier versions, which took episodes beyond the end of training for others."""
    return _ids(job, dataclasses.replace(job.flossing_in_effect, at=job.flossing.at, every=job.flossing.every))


def _ids(job: TrainJob, in_effect: FlossingConfig) -> list[str]:
    job = dataclasses.replace(job, flossing=in_effect)
    values = hashed_values(job)
    del values["seeds"]
    flossing = values["flossing"]
    if not in_effect.at and in_effect.every is None:
        for name in ("epochs", "steps", "transient", "target", "lr"):
            del flossing[name]
    else:
        run = job.flossing_run
        flossing["steps"], flossing["transient"] = run.length, run.transient
    ids = []
    for seed in range(job.seed, job.seed + job.seeds):
        text = json.dumps({**values, "seed": seed}, sort_keys=True)
        ids.append(network_id(hashlib.sha256(text.encode()).hexdigest()[:12]))
    return ids


def single_networks(job: TrainJob) -> list[TrainJob]:
    """A job of one network for each of a job's seeds, with the episodes that there are, however they were given."""
    job = _with_schedule_in_effect(job)
    return [dataclasses.replace(job, seed=seed, seeds=1) for seed in range(job.seed, job.seed + job.seeds)]


def _with_schedule_in_effect(job: TrainJob) -> TrainJob:
    at, every = job.flossing.schedule_in_effect(job.train.epochs)
    if (at, every) == (job.flossing.at, job.flossing.every):
        return job
    flossing = dataclasses.replace(job.flossing, at=at, every=every)
    return dataclasses.replace(job, flossing=dataclasses.replace(flossing, name=flossing.label))
