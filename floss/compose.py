"""Hydra, wrapped: parse, compose and run, with every complaint turned into one line."""

import argparse
import contextlib
import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from floss.help import JOBS, help_node
from floss.keys import ConfigError, known_keys, suggestion, unknown_key

Job = TypeVar("Job")

CONFIG_MODULE = "floss.conf"
# Hydra 1.3 warns without a version base, Hydra 1.4 warns with one.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


for _command in JOBS:
    ConfigStore.instance().store(group="hydra/help", name=f"floss_{_command}", node=help_node(_command))


class _Stop(BaseException):
    """Carries an error out of a job past Hydra, which would add lines of its own to an Exception."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def parse(command: str, arguments: list[str]) -> argparse.Namespace:
    """Hydra's own options and the overrides among the arguments.

    Raises:
        ConfigError: an option that Hydra does not have.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise ConfigError(f"{message}; `floss {command} --help` lists the options")

    parser.error = error
    options = parser.parse_args(arguments)
    if options.multirun and (options.cfg or options.info or options.shell_completion):
        raise ConfigError("-m cannot go together with --cfg, --info or --shell-completion")
    for override in options.overrides:
        name, _, value = override.partition("=")
        if not name:
            raise ConfigError(f"{override}: cannot be read as key=value")
        if name in ("task", "arch", "flossing", "scale") and value in ("", "null"):
            raise ConfigError(f"{override}: must be a name; --help lists them")
        if re.match(r"(task|arch|flossing|scale)=\[", override):
            raise ConfigError(
                f"{override}: takes one name; several make a sweep, -m {override.replace('[', '').strip(']')}"
            )
    if any(override.lstrip("+").startswith("hydra.mode") for override in options.overrides):
        raise ConfigError("hydra.mode: cannot be set; -m makes a sweep")
    return options


def sweep_jobs(command: str, overrides: list[str], make: Callable[[dict[str, Any], list[str]], Job]) -> list[Job]:
    """All jobs of a sweep, composed and checked by `make` (values, explicit keys).

    Raises:
        ConfigError: for the first job that is wrong.
    """
    with one_line(command), hydra.initialize_config_module(CONFIG_MODULE, job_name="floss", **VERSION_BASE):
        batches = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(overrides), None)
        composed = [(hydra.compose(command, overrides=list(job)), list(job)) for job in batches[0]]
        return [make(plain(config), explicit_keys(given)) for config, given in composed]


def plain(config: Any) -> dict[str, Any]:
    """A composed configuration as nested plain values."""
    return OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportReturnType]


def explicit_keys(overrides: list[str] | None = None) -> list[str]:
    """The keys that were given on the command line, of the Hydra job that runs or of some overrides."""
    given = list(HydraConfig.get().overrides.task) if overrides is None else overrides
    return [override.partition("=")[0].lstrip("+") for override in given]


def run_hydra(command: str, arguments: list[str], function: Callable[[Any], Any]) -> None:
    """Run a function of the composed configuration as a Hydra application, once or for each job of a sweep.

    Raises:
        ConfigError: input that Hydra or `function` does not take.
    """
    parse(command, arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, to be answered in one line
    program, saved = sys.argv[0], sys.argv

    @functools.wraps(function)
    def job(config: Any) -> Any:
        try:
            with one_line(command):
                return function(config)
        except Exception as error:
            raise _Stop(error) from error

    stopped: _Stop | None = None
    with one_line(command), tempfile.TemporaryDirectory(prefix="floss-") as folder:
        os.environ["FLOSS_SWEEP_DIR"] = folder
        sys.argv = [program, *arguments]
        try:
            hydra.main(config_path=f"pkg://{CONFIG_MODULE}", config_name=command, **VERSION_BASE)(job)()
        except _Stop as stop:
            stopped = stop
        except ValueError as error:  # Hydra's own, since those of a job come as _Stop
            raise ConfigError(_first_line(error)) from None
        finally:
            sys.argv = saved
    if stopped:
        raise stopped.error


@contextlib.contextmanager
def one_line(command: str) -> Iterator[None]:
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
        raise ConfigError(_first_line(error)) from None
    except OverrideParseException as error:
        raise ConfigError(f"{error.override}: cannot be read as key=value") from None
    except (HydraException, OmegaConfBaseException) as error:
        text = str(error)
        if found := re.search(r"Could not override '([^']+)'", text):
            names = known_keys(JOBS[command])
            if any(name.startswith(f"{found[1]}.") for name in names):
                raise ConfigError(f"{found[1]}: this is a group of keys, not a value") from None
            raise unknown_key(found[1], names) from None
        if found := re.search(r"Ambiguous value for argument '([^']+)'", text):
            raise ConfigError(f"{found[1]}: several values make a sweep, which needs -m; a list is [a,b]") from None
        place = getattr(error, "full_key", None)
        raise ConfigError(f"{place}: {_first_line(error)}" if place else _first_line(error)) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
