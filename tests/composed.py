"""Hydra composes a command line once: reading and merging the same files again is most of a tiny run's time.

Each command line is composed twice by Hydra itself, to learn whether it is a sweep and to run it, and many tests type
the same one. What is composed is the same whenever the files are, so that only compositions of the package's own files
are remembered: neither those with a folder of the user's nor those with what other packages have added.
"""

import copy
import functools
import os
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobRuntime
from omegaconf import open_dict

from floss.jobs import extensions

_composed: dict[Any, Any] = {}


def compose_once() -> None:
    """From now on, in this process."""
    compose = ConfigLoaderImpl._load_configuration_impl

    @functools.wraps(compose)
    def composed(
        loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str], *how: Any, **named: Any
    ) -> Any:
        places = [(place.provider, place.path) for place in loader.config_search_path.get_path()]
        own = all(path is None or path.startswith(("pkg://", "structured://")) for _, path in places)
        searched = any("searchpath" in override for override in overrides)
        if not own or searched or ConfigStore.instance().repo.keys() & {*extensions.GROUPS}:
            return compose(loader, config_name, overrides, *how, **named)
        key = repr((places, config_name, overrides, how, sorted(named.items()), JobRuntime.instance().get("name")))
        if key not in _composed:
            _composed[key] = compose(loader, config_name, overrides, *how, **named)
        config = copy.deepcopy(_composed[key])
        with open_dict(config.hydra):
            config.hydra.runtime.cwd = os.getcwd()
        return config

    ConfigLoaderImpl._load_configuration_impl = composed  # pyright: ignore[reportAttributeAccessIssue]
