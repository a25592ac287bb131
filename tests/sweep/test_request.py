"""A request expands its jobs into networks once, and every command hands it down."""

from collections import Counter

import pytest
from command import TINY, inside, job, jobs, run_jobs

from floss.jobs.networks import network_ids
from floss.sweep import request as module
from floss.sweep.request import Request

SWEEP = (*TINY, "d=2,4", "flossing=none,pre", "seeds=3")


@pytest.fixture
def hashed(monkeypatch) -> Counter[int]:
    """How often each job is hashed from now on in this process, by the hash of the job."""
    counts: Counter[int] = Counter()

    def counted(job):
        counts[hash(job)] += 1
        return network_ids(job)

    monkeypatch.setattr(module, "network_ids", counted)
    return counts


def test_networks_of_overlapping_jobs_are_there_once_in_the_order_of_the_jobs():
    first, second = job(*TINY, "seeds=3"), job(*TINY, "seed=1", "seeds=4")
    request = Request([first, second])
    assert [network.seed for network in request.networks.values()] == [0, 1, 2, 3, 4]
    assert request.ids == {first: network_ids(first), second: network_ids(second)}
    assert [network.seed for network in request.networks_of(second).values()] == [1, 2, 3, 4]
    assert all(network_ids(network) == [network_id] for network_id, network in request.networks.items())


def test_a_request_of_no_jobs_has_no_networks():
    assert Request([]).networks == {}


def test_jobs_are_hashed_once_however_often_their_networks_are_asked_for(tmp_path, hashed):
    request = Request(jobs(*SWEEP, f"results={tmp_path}"))
    for _ in range(3):
        assert len(request.networks) == 12
        assert set(request.statuses().values()) == {"interrupted"}
        assert request.done() == set()
        assert all(len(request.networks_of(each)) == 3 for each in request.jobs)
    assert sorted(hashed.values()) == [1] * 4


def test_a_request_sees_what_was_computed_since_it_was_made(tmp_path):
    one = job(*TINY, "flossing=none", f"results={tmp_path}")
    request = Request([one])
    assert request.done() == set()
    run_jobs([one])
    assert request.done() == set(request.networks)


@pytest.mark.parametrize(
    ("line", "most"),
    [
        (("plan", "-m", *SWEEP), 1),
        (("train", *TINY, "flossing=none", "seeds=3"), 1),
        (("train", "-m", *SWEEP), 2),  # by the command, and by the launcher, which composes the jobs as Hydra has them
    ],
)
def test_a_command_hashes_each_job_once(tmp_path, monkeypatch, hashed, line, most):
    monkeypatch.setattr("floss.figures.draw", lambda folder: [])
    assert inside(tmp_path, *line).returncode == 0
    assert set(hashed.values()) == {most}
