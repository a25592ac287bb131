"""Analyses that several files of this folder look at, and pictures where a test looks at them."""

from pathlib import Path

import pytest
from analysis.analyses import COMMANDS, MANY, done


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Pictures take longer than the numbers: only the tests of `drawn` draw them."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(
            "floss.figures.draw", lambda folder: (folder / f"{folder.name.partition('-')[0]}.svg").touch()
        )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses, with their pictures."""
    return {command: done(tmp_path_factory.mktemp(command), command) for command in COMMANDS}


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses without pictures, with two networks, two k and two targets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("floss.figures.draw", lambda folder: (folder / f"{folder.name.partition('-')[0]}.svg").touch())
        return {command: done(tmp_path_factory.mktemp(command), command, *MANY) for command in COMMANDS}
