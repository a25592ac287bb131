"""Tiny runs that several files of this folder copy."""

from pathlib import Path

import pytest
import torch
from command import floss, job
from sweep.stacked_sweep import SWEEP
from sweep.tiny_runs import LONG, computed, small, stopped

from floss.jobs.train import TrainJob


@pytest.fixture(scope="module")
def one_thread():
    """As the subprocesses of these tests have, because the number of threads changes float32 sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> TrainJob:
    """SMALL, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="module")
def undisturbed_three(tmp_path_factory) -> TrainJob:
    """SMALL with a third network, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("three"), "seeds=3"))


@pytest.fixture(scope="module")
def undisturbed_long(tmp_path_factory) -> TrainJob:
    """LONG, computed in one go."""
    return computed(job(*LONG, f"results={tmp_path_factory.mktemp('long')}"))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> TrainJob:
    """SMALL, stopped after 13 epochs."""
    return stopped(tmp_path_factory.mktemp("interrupted"))


@pytest.fixture(scope="module")
def stacked(tmp_path_factory) -> Path:
    """The folder in which SWEEP ran once."""
    folder = tmp_path_factory.mktemp("stacked")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    return folder
