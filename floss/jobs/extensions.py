"""Architectures and tasks of other installed packages: found by their entry points, and checked when asked for.

A package registers them in its pyproject.toml, each under its own name, which is an identifier:

    [project.entry-points."floss.cells"]
    leaky = "my_package:LEAKY"              # a `floss.networks.Cell`: arch=leaky

    [project.entry-points."floss.tasks"]
    recall = "my_package:RECALL"            # a `floss.tasks.Task`: task=recall

`arch.*` then has the values of arch=vanilla, or those of the cell's own `defaults`. Names are read from the metadata of
the installed packages; nothing of a package is imported before its name is asked for. The distribution and its version
are a part of what identifies a network, so a new version computes new networks.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from omegaconf import OmegaConf

from floss.errors import ConfigError, one_line


@dataclass(frozen=True)
class Group:
    """A key whose values other packages can add."""

    entry_points: str
    """Group of the entry points."""
    kind: str
    """Module and class of what they refer to."""
    defaults: str
    """The value of our own whose keys and values they have."""


GROUPS = {
    "arch": Group("floss.cells", "floss.networks.Cell", "vanilla"),
    "task": Group("floss.tasks", "floss.tasks.Task", "xor"),
}


@functools.cache
def shipped(key: str) -> tuple[str, ...]:
    """The values of `arch=` or `task=` that floss has itself: the files of `conf/arch`, `conf/task`."""
    files = resources.files(f"floss.conf.{key}").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def added(key: str) -> list[str]:
    """The further values that installed packages register; whether they work is not known."""
    return sorted(_registered(key).keys() - {*shipped(key)})


def package(key: str, name: str) -> str | None:
    """Distribution and version that a value comes from; None for floss itself."""
    entries = _registered(key).get(name, ())
    return _origin(entries[0]) if entries else None


def packages(names: Mapping[str, str]) -> dict[str, str]:
    """Distribution and version behind each of `{"arch": name, "task": name}`, without those of floss itself."""
    origins = {key: package(key, name) for key, name in names.items()}
    return {key: origin for key, origin in origins.items() if origin is not None}


def check(key: str, name: str) -> None:
    """Import what a value stands for, where another package has it, and see that it can be used.

    Raises:
        ConfigError: no such value, or one that cannot be used.
    """
    if name in _registered(key):
        _loaded(key, name)
    elif name not in shipped(key):
        allowed = ", ".join([*shipped(key), *added(key)])
        raise ConfigError(f"{key}.name={name}: must be one of {allowed}; choose it by {key}=")


def values(key: str, name: str, *, load: bool) -> dict[str, Any]:
    """What a file `conf/KEY/NAME.yaml` would hold, for a value of another package.

    Args:
        key: arch or task.
        name: the value.
        load: whether the package may be imported, for the cell's own defaults.

    Raises:
        ConfigError: with `load`, where the value cannot be used.
    """
    defaults = _loaded(key, name).defaults if load and key == "arch" else {}
    return {**_values(key), **defaults, "name": name}


def _loaded(key: str, name: str) -> Any:
    """The cell or task of another package, imported and checked."""
    entry, *others = _registered(key)[name]
    origin, group = _origin(entry), GROUPS[key]
    if name in shipped(key):
        raise ConfigError(f"{key}={name}: {origin} registers a name that floss has itself; remove that package")
    if others:
        origins = " and ".join(map(_origin, (entry, *others)))
        raise ConfigError(f"{key}={name}: {origins} register the same name; remove all but one")
    subject = f"{key}={name}: {entry.value} of {origin}"
    try:
        value = entry.load()
    except Exception as error:  # whatever the package does when it is imported
        raise ConfigError(f"{subject} cannot be imported: {type(error).__name__}: {one_line(error, 200)}") from None
    module, _, kind = group.kind.rpartition(".")
    if not isinstance(value, getattr(import_module(module), kind)):
        raise ConfigError(f"{subject} must be a {group.kind}, and is a {type(value).__name__}")
    if value.name != name:
        raise ConfigError(f"{subject} has the name {value.name}, which must be that of its entry point")
    unknown = sorted(set(getattr(value, "defaults", {})) - (_values(key).keys() - {"name"}))
    if unknown:
        raise ConfigError(f"{subject} has a default for {key}.{unknown[0]}, and there is no such key")
    return value


@functools.cache
def _values(key: str) -> dict[str, Any]:
    text = (resources.files(f"floss.conf.{key}") / f"{GROUPS[key].defaults}.yaml").read_text(encoding="utf-8")
    return OmegaConf.to_container(OmegaConf.create(text))  # pyright: ignore[reportReturnType]


@functools.cache
def _registered(key: str) -> dict[str, tuple[EntryPoint, ...]]:
    """All entry points of a key by name."""
    by_name: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=GROUPS[key].entry_points):
        if entry.name.isidentifier():
            by_name[entry.name] = (*by_name.get(entry.name, ()), entry)
    return by_name


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package"
