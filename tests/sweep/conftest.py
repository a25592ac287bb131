"""Tiny runs that several files of this folder copy."""

from pathlib import Path

import pytest
from command import floss, job
from sweep.stacked_sweep import SWEEP
from sweep.tiny_runs import LONG, computed, small, stopped

from floss.jobs.train import TrainJob


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> TrainJob:
    """SMALL, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="session")
def undisturbed_three(tmp_path_factory) -> TrainJob:
    """SMALL with a third network, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("three"), "seeds=3"))


@pytest.fixture(scope="session")
def undisturbed_long(tmp_path_factory) -> TrainJob:
    """LONG, computed in one go."""
    return computed(job(*LONG, f"results={tmp_path_factory.mktemp('long')}"))


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory) -> TrainJob:
    """SMALL, stopped after 13 epochs."""
    return stopped(tmp_path_factory.mktemp("interrupted"))


@pytest.fixture(scope="session")
def stacked(tmp_path_factory) -> Path:
    """The folder in which SWEEP ran once."""
    folder = tmp_path_factory.mktemp("stacked")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    return folder
