"""Composing with Hydra: values and jobs from overrides, with every complaint turned into one line."""

import argparse
import contextlib
import copy
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from typing import Any, TypeVar

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException, SearchPathException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.globs import leave_out_misfits
from floss.jobs.help import COMMANDS, help_node
from floss.jobs.keys import known_keys, suggestion, unknown_key
from floss.jobs.options import GROUPS, store_extensions

Job = TypeVar("Job")


CONFIG_MODULE = "floss.conf"


PLUGINS = "hydra_plugins.floss"
"""The package as which `floss/commands/hydra_plugin` is installed."""


# Hydra 1.3 warns without a version base, Hydra 1.4 warns with one.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


for _command in COMMANDS:
    ConfigStore.instance().store(group="hydra/help", name=f"floss_{_command}", node=help_node(_command))


# Hydra's own protocol for plugins.
for _kind, _name, _class, _more in (
    ("launcher", "stacked", "StackedLauncher", {}),
    ("sweeper", "checked", "CheckedSweeper", {"max_batch_size": None, "params": None}),
):
    _plugin = {"_target_": f"{PLUGINS}.{_class}", **_more}
    ConfigStore.instance().store(group=f"hydra/{_kind}", name=_name, node=_plugin, provider="floss")


# What another package adds is an option like a file of conf/; its own defaults come when it is asked for.
for _key in extensions.GROUPS:
    for _name in extensions.added(_key):
        ConfigStore.instance().store(_name, extensions.values(_key, _name, load=False), group=_key, provider="floss")


def selection(command: str, overrides: list[str]) -> dict[str, Any]:
    """Key and value, or values given with commas, of each override; no value of a file is read.

    Raises:
        ConfigError: an override that is not key=value.
    """
    with as_config_errors(command), contextlib.ExitStack() as held:
        globs = any(re.search(r"\bglob\s*\(", override) for override in overrides)
        loader = held.enter_context(_composer(command, None).hydra()) if globs else None  # which has names to match
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
        return {override.get_key_element(): _selected(override) for override in parsed}


def _selected(override: Override) -> Any:
    """The value of an override, or the values given with commas or matched by glob()."""
    if override.type != OverrideType.CHANGE or override.is_interval_sweep():
        raise ConfigError(f"{override.input_line}: cannot be read as key=value")
    if not override.is_sweep_override():
        return override.value()
    several = [v.text if isinstance(v, QuotedString) else v for v in override.sweep_iterator()]
    if not several:
        raise ConfigError(f"{override.input_line}: matches nothing; the names that glob() matches are files")
    return several


def defaults_of(command: str) -> dict[str, Any]:
    """The values that stand in the command's own file, which are all that it has."""
    values = plain(OmegaConf.create((resources.files(CONFIG_MODULE) / f"{command}.yaml").read_text(encoding="utf-8")))
    return {name: value for name, value in values.items() if name != "defaults"}


def sweep_jobs(
    command: str,
    overrides: list[str],
    make: Callable[[dict[str, Any], list[str]], Job],
    options: argparse.Namespace | None = None,
) -> list[Job]:
    """All jobs of a sweep, composed and checked by `make` (values, explicit keys).

    Args:
        command: whose jobs they are.
        overrides: of the sweep.
        make: makes a job of the values that were composed, and the keys that were given.
        options: of the command line, which may name a folder of further files, and a file that stands for the command.

    Raises:
        ConfigError: for the first job that is wrong.
    """
    store_extensions(overrides)
    folder, name = (options.config_dir, options.config_name) if options else (None, None)
    with as_config_errors(command):
        composer = _composer(name or command, folder and os.path.abspath(folder))
        jobs = [make(composer.values(batch), explicit_keys(batch)) for batch in composer.batches(overrides)]
    if not jobs:
        raise ConfigError(
            f"{' '.join(overrides)}: a sweep without a single job; the names that glob() matches are files"
        )
    return jobs


@functools.cache
def _composer(name: str, folder: str | None) -> "Composer":
    """For all sweeps of this process: the figures of a paper are dozens."""
    return Composer(name, folder)


class Composer:
    """Composes the jobs of a sweep as Hydra does, in a fiftieth of the time.

    Hydra reads and merges all files again for each job. Only a choice between files (`arch=lstm`) needs that; a value
    (`seed=3`) is set last in any case, so it can be set in a copy of what was composed with the same choices.
    """

    def __init__(self, name: str, folder: str | None = None) -> None:
        """For jobs that begin with a file.

        Args:
            name: of the file, which is the command's name.
            folder: of further files; within a run of Hydra, which knows of it, it need not be given.
        """
        self.name = name
        self.folder = folder
        self._composed: dict[tuple[str, ...], Any] = {}

    def batches(self, overrides: list[str]) -> list[list[str]]:
        """The overrides of each job of a sweep."""
        with self.hydra() as loader:
            parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
            for override in parsed:
                if override.is_interval_sweep():
                    raise ConfigError(f"{override.input_line}: has no end of values; range(a,b) has")
            leave_out_misfits(parsed)
            return BasicSweeper.split_arguments(parsed, None)[0]

    def values(self, overrides: list[str]) -> dict[str, Any]:
        """The composed configuration of one job as nested plain values.

        Raises:
            HydraException, OmegaConfBaseException: what Hydra would raise.
        """
        parsed = [_parsed(override) for override in overrides]
        choices = [o for o in parsed if not sets_a_value(o)]
        key = tuple(str(o.input_line) for o in choices)
        if key not in self._composed:
            with self.hydra():
                self._composed[key] = hydra.compose(self.name, overrides=list(key))
        values = [o for o in parsed if o not in choices]
        with _spared(self._composed[key], {o.key_or_group.partition(".")[0] for o in values}) as config:
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
            return plain(config)

    @contextlib.contextmanager
    def hydra(self) -> Iterator[ConfigLoader]:
        """Hydra with the files of conf/ and those of the folder; the one that runs, within a run."""
        running = GlobalHydra.instance()
        if running.is_initialized():
            yield running.config_loader()
            return
        with hydra.initialize_config_module(CONFIG_MODULE, "floss", **VERSION_BASE):
            if self.folder:
                running.clear()
                Hydra.create_main_hydra2("floss", _search_path(self.folder))
            yield running.config_loader()


@functools.cache
def _parsed(override: str) -> Override:
    """One override; the jobs of a sweep differ in few of theirs."""
    return OverridesParser.create().parse_override(override)


@contextlib.contextmanager
def _spared(config: Any, names: Iterable[str]) -> Iterator[Any]:
    """A configuration of which some nodes are exchanged for copies meanwhile: copying all of it takes far longer."""
    nodes = {name: node for name in names if (node := config._content.get(name)) is not None}
    config._content.update(copy.deepcopy(nodes))
    try:
        yield config
    finally:
        config._content.update(nodes)


def _search_path(folder: str) -> ConfigSearchPath:
    """The files of conf/ and of a folder, whose files come first, as with Hydra's own --config-dir."""
    if not os.path.isdir(folder):
        raise SearchPathException(f"Additional config directory '{folder}' not found")
    path = create_config_search_path(f"pkg://{CONFIG_MODULE}")
    path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    return path


def sets_a_value(override: Override) -> bool:
    """Whether an override is `key=value` for a key that is there: no choice between files, and none of Hydra's own."""
    key = override.get_key_element()
    return override.type == OverrideType.CHANGE and key not in GROUPS and not key.startswith("hydra")


def plain(config: Any) -> dict[str, Any]:
    """A composed configuration as nested plain values."""
    return OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportReturnType]


def explicit_keys(overrides: list[str] | None = None) -> list[str]:
    """The keys that were given on the command line, of the Hydra job that runs or of some overrides."""
    explicit = list(HydraConfig.get().overrides.task) if overrides is None else overrides
    return [override.partition("=")[0].lstrip("+") for override in explicit]


@contextlib.contextmanager
def as_config_errors(command: str) -> Iterator[None]:
    """Turn Hydra's and OmegaConf's exceptions into a ConfigError."""
    try:
        yield
    except MissingConfigException as error:
        group, _, value = (error.missing_cfg_file or "").rpartition("/")
        options = error.options or []
        if group and options:
            allowed = list(options)
            hint = suggestion(value, allowed)
            raise ConfigError(f"{group}={value}: must be one of {', '.join(allowed)}{hint}") from None
        raise ConfigError(first_line(error)) from None
    except OverrideParseException as error:
        raise ConfigError(f"{error.override}: cannot be read as key=value") from None
    except (HydraException, OmegaConfBaseException) as error:
        text = str(error)
        if match := re.search(r"Could not override '([^']+)'", text):
            names = known_keys(COMMANDS[command].job)
            if any(name.startswith(f"{match[1]}.") for name in names):
                raise ConfigError(f"{match[1]}: this is a group of keys, not a value") from None
            if match[1] in names:
                raise ConfigError(f"{match[1]}: the file of --config-name does not have this key") from None
            raise unknown_key(match[1], names) from None
        if match := re.search(r"Ambiguous value for argument '(.+)'", text):
            typed = match[1].replace("'", "")  # without the marks of a text
            raise ConfigError(f"{typed}: several values make a sweep, which needs -m; a list is [a,b]") from None
        if match := re.match(r"Error merging override (.+)", text):
            raise ConfigError(f"{match[1]}: is no value of this key; --help says what is allowed") from None
        place = getattr(error, "full_key", None)
        raise ConfigError(f"{place}: {first_line(error)}" if place else first_line(error)) from None


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().splitlines()[0]
