"""The files beside the tables, which say how numbers were made: no number depends on them, and a damaged one is mended.

A `config.yaml` follows from the keys of the jobs, so it is written again, with every value that a number depends on. An
`environment.json` follows from nothing; its loss is reported.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from floss.jobs.hashing import hashed_values
from floss.runtime.environment import read_environment
from floss.runtime.files import config_is_whole, write_config


def mended_config(folder: Path, job: Any, text: str) -> Iterator[str]:
    """Write a job's config.yaml again where it is damaged, changed or missing.

    Args:
        folder: of the file.
        job: whose values it must have.
        text: its content.

    Yields:
        A line that says so.
    """
    if not config_is_whole(folder) or not _holds(read_config(folder), _plain(hashed_values(job))):
        yield mend_config(folder, text)


def read_config(folder: Path) -> Any:
    """The content of config.yaml; None where it cannot be read."""
    try:
        return yaml.safe_load((folder / "config.yaml").read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def mend_config(folder: Path, text: str) -> str:
    """Write config.yaml again; a line that says so."""
    write_config(folder, text.encode())
    return f"{folder / 'config.yaml'} was damaged, changed or missing: written again"


def check_environment(folder: Path) -> Iterator[str]:
    """A line that says that environment.json is lost, where it is."""
    if not read_environment(folder):
        path = folder / "environment.json"
        yield f"{path} is damaged or missing: the numbers are sound, but only a copy knows where they were computed"


def _plain(values: Mapping[str, Any]) -> Any:
    """As a file has them: lists for tuples, and without the version of what the values mean."""
    return json.loads(json.dumps({key: value for key, value in values.items() if key != "schema"}))


def _holds(content: Any, wanted: Any) -> bool:
    """Whether nested values have all those that are wanted."""
    if not isinstance(wanted, dict):
        return type(content) is type(wanted) and content == wanted
    return isinstance(content, dict) and all(name in content and _holds(content[name], wanted[name]) for name in wanted)
