"""The networks that some jobs ask for, expanded and hashed once, and the store of their results folder."""

import functools
from collections.abc import Sequence

from floss.jobs.networks import network_ids, single_networks
from floss.jobs.train import TrainJob
from floss.sweep.networks import NetworkJobs
from floss.sweep.records import DONE, statuses
from floss.sweep.store import Store


class Request:
    """Jobs with one results folder, and the state of their networks."""

    def __init__(self, jobs: Sequence[TrainJob], store: Store | None = None) -> None:
        """Nothing is expanded or read yet.

        Args:
            jobs: with one results folder.
            store: of that folder; None for one that has read nothing yet.
        """
        self.jobs = list(jobs)
        self._store = store

    @functools.cached_property
    def store(self) -> Store:
        """The ensembles of the results folder."""
        return Store(self.jobs[0].results) if self._store is None else self._store

    @functools.cached_property
    def ids(self) -> dict[TrainJob, list[str]]:
        """The networks of each job, in the order of its seeds."""
        return {job: network_ids(job) for job in self.jobs}

    @functools.cached_property
    def networks(self) -> NetworkJobs:
        """The networks of all jobs, each once, in the order of the jobs."""
        networks: NetworkJobs = {}
        for job, ids in self.ids.items():
            for network_id, network in zip(ids, single_networks(job), strict=True):
                networks.setdefault(network_id, network)
        return networks

    def networks_of(self, job: TrainJob) -> NetworkJobs:
        """The networks of one of the jobs."""
        return {network_id: self.networks[network_id] for network_id in self.ids[job]}

    def statuses(self) -> dict[str, str]:
        """Status of every network now: done, diverged, failed or interrupted."""
        return statuses(self.networks, self.store.records())

    def done(self) -> set[str]:
        """The networks that need not be computed any more."""
        return {network_id for network_id, status in self.statuses().items() if status in DONE}
