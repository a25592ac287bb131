"""Folders that a command line names, checked."""

import os
from pathlib import Path

from floss.errors import ConfigError


def check_folder(folder: str, key: str = "results") -> None:
    """Raise a ConfigError where the folder that a key names cannot be made or written."""
    path = Path(folder)
    existing = next((p for p in (path, *path.parents) if p.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}={folder}: must be a folder that can be written; {existing} is not")
