"""Packages beside floss, as an installer leaves them."""

import importlib
from pathlib import Path


def install(folder: Path, source: str, entries: str, name: str = "broken", version: str = "1.0") -> None:
    """A package of one module, as an installer leaves it."""
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(entries)
    (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
