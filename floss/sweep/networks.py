"""Jobs of one network each, by the network's id, and the jobs that they make together.

Nothing is computed here, and no file is read.
"""

import dataclasses
from collections.abc import Iterable

from floss.jobs.train import TrainJob

NetworkJobs = dict[str, TrainJob]
"""Jobs of one network each, by the network's id."""


def merge(networks: Iterable[TrainJob]) -> list[TrainJob]:
    """The shortest list of jobs with these networks in this order: seeds that count up go together."""
    jobs: list[TrainJob] = []
    for network in networks:
        last = jobs[-1] if jobs else None
        like_last = last and dataclasses.replace(network, seed=last.seed, seeds=last.seeds) == last
        if last and like_last and network.seed == last.seed + last.seeds:
            jobs[-1] = dataclasses.replace(last, seeds=last.seeds + 1)
        else:
            jobs.append(network)
    return jobs
