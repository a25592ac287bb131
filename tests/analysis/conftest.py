"""Analyses that several files of this folder look at, and pictures where a test looks at them."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from analysis.analyses import COMMANDS, MANY, done, touch_picture
from command import without_pictures


@pytest.fixture(autouse=True)
def quick(request):
    """Pictures take longer than the numbers: only the tests of `drawn` draw them."""
    with nullcontext() if "drawn" in request.fixturenames else without_pictures(instead=touch_picture):
        yield


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses, with their pictures."""
    return {command: done(tmp_path_factory.mktemp(command), command) for command in COMMANDS}


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses without pictures, with two networks, two k and two targets."""
    with without_pictures(instead=touch_picture):
        return {command: done(tmp_path_factory.mktemp(command), command, *MANY) for command in COMMANDS}
