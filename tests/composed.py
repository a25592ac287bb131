"""Hydra composes a choice of files once: reading and merging the same files again is most of a tiny run's time.

Each command line is composed twice by Hydra itself, to learn whether it is a sweep and to run it, and most of those
that the tests type choose the same files and differ in values (`d=4`, `results=...`), which Hydra sets last in any
case. What is composed of files is the same whenever the files are, so that only the package's own files are
remembered: neither those of a folder of the user's nor what other packages have added.
"""

import functools
import os
import pickle
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from omegaconf import open_dict

from floss.jobs import extensions
from floss.jobs.compose import sets_a_value

_composed: dict[Any, bytes] = {}
"""As bytes: reading them takes a sixth of the time of a deep copy."""


def compose_once() -> None:
    """From now on, in this process."""
    compose = ConfigLoaderImpl._load_configuration_impl

    @functools.wraps(compose)
    def composed(
        loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str], *how: Any, **named: Any
    ) -> Any:
        places = [(place.provider, place.path) for place in loader.config_search_path.get_path()]
        own = all(path is None or path.startswith(("pkg://", "structured://")) for _, path in places)
        parsed = _parsed(overrides)
        if not own or parsed is None or ConfigStore.instance().repo.keys() & {*extensions.GROUPS}:
            return compose(loader, config_name, overrides, *how, **named)
        values = [each for each in parsed if sets_a_value(each) and not each.is_sweep_override()]
        choices = [str(each.input_line) for each in parsed if each not in values]
        key = repr((places, config_name, choices, how, sorted(named.items()), JobRuntime.instance().get("name")))
        if key not in _composed:
            _composed[key] = pickle.dumps(compose(loader, config_name, choices, *how, **named), 5)
        config = pickle.loads(_composed[key])  # noqa: S301 - bytes of this process
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        _say_what_was_typed(config, [each for each in parsed if not each.is_hydra_override()])
        return config

    ConfigLoaderImpl._load_configuration_impl = composed  # pyright: ignore[reportAttributeAccessIssue]


def _parsed(overrides: list[str]) -> list[Override] | None:
    """None where Hydra has something to say of them, or is to look in other folders."""
    if any("searchpath" in override for override in overrides):
        return None
    try:
        return OverridesParser.create().parse_overrides(overrides)
    except HydraException:
        return None


def _say_what_was_typed(config: Any, overrides: list[Override]) -> None:
    """What a configuration holds of its own command line and of the folder in which it was typed."""
    names = config.hydra.job.config.override_dirname
    with open_dict(config.hydra):
        config.hydra.overrides.task = [each.input_line for each in overrides]
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides, kv_sep=names.kv_sep, item_sep=names.item_sep, exclude_keys=names.exclude_keys
        )
        config.hydra.runtime.cwd = os.getcwd()
