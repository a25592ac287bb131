"""The default jobs."""

import pytest
from command import analysis, job
from jobs.key_values import TABLES

from floss.jobs.analysis import AnalysisJob
from floss.jobs.train import TrainJob


@pytest.fixture(scope="module")
def reference() -> TrainJob:
    return job()


@pytest.fixture(scope="module")
def defaults() -> dict[str, AnalysisJob]:
    return {command: analysis(command) for command in TABLES}
