"""Hydra's own options and the overrides of a command line, apart, before anything is composed."""

import argparse
import os
import re
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.help import COMMANDS
from floss.jobs.typed import as_typed, text_keys

GROUPS = ("task", "arch", "flossing", "scale")
"""Keys that take the name of a file."""

_FOLDER = "results are in one folder of their own, and nothing is written beside it"
_OF_FLOSS = {
    "hydra.mode": "-m makes a sweep",
    **dict.fromkeys(("hydra.run", "hydra.sweep", "hydra.output_subdir", "hydra.job.chdir"), _FOLDER),
    **dict.fromkeys(("hydra/job_logging", "hydra.job_logging"), _FOLDER),
    **dict.fromkeys(("hydra/hydra_logging", "hydra.hydra_logging"), _FOLDER),
}
"""Hydra's own keys that floss sets: with others Hydra writes files, also for input that is refused."""


def parse(command: str, arguments: list[str], groups: tuple[str, ...] = GROUPS) -> argparse.Namespace:
    """Hydra's own options and the overrides among the arguments.

    Besides what Hydra has: `typed`, the overrides as they were typed, of which `overrides` is what Hydra is to read,
    and `arguments` with these at the end.

    Args:
        command: whose arguments they are.
        arguments: what follows the command.
        groups: keys that take the name of a file; none for a command that is not composed of files.

    Raises:
        ConfigError: an option that Hydra does not have, or a file that cannot stand for the command's.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise ConfigError(f"{message}; `floss {command} --help` lists the options")

    parser.error = error
    options = parser.parse_intermixed_args(arguments)  # options may stand between overrides
    texts = text_keys(COMMANDS[command].job) | dict.fromkeys(groups, False)
    options.typed = options.overrides
    options.overrides = [as_typed(override, texts) for override in options.typed]
    # Hydra's own parser takes overrides in one piece alone.
    options.arguments = [*(word for word in arguments if word not in options.typed), *options.overrides]
    if options.config_path:
        raise ConfigError("--config-path: floss has files of its own; --config-dir adds a folder of further ones")
    for name, value in vars(options).items():
        if name.startswith("experimental") and value:  # it would run what is pickled in a file
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option}: the same command again finds what is done, and goes on from there")
    if options.multirun and (options.cfg or options.info or options.shell_completion):
        raise ConfigError("-m cannot go together with --cfg, --info or --shell-completion")
    for override in options.typed:
        name, _, value = override.partition("=")
        if not name:
            raise ConfigError(f"{override}: cannot be read as key=value")
        if name in groups and value in ("", "null"):
            raise ConfigError(f"{override}: must be a name; --help lists them")
        if name in groups and value.startswith("["):
            raise ConfigError(
                f"{override}: takes one name; several make a sweep, -m {override.replace('[', '').strip(']')}"
            )
        if key := next((key for key in _OF_FLOSS if re.match(rf"[+~]*{key}\b", name)), ""):
            raise ConfigError(f"{key}: cannot be set; {_OF_FLOSS[key]}")
    if groups:
        _check_config_name(command, options)
    store_extensions(options.overrides)
    return options


def _check_config_name(command: str, options: argparse.Namespace) -> None:
    """Raise a ConfigError where the file that is to stand for the command's own is not there, or is another command's.

    Another command's own file has other keys, so that each key of this one would be refused, and for a wrong reason.
    """
    if not options.config_name or any("hydra.searchpath" in override for override in options.overrides):
        return
    name, folder = options.config_name.removesuffix(".yaml"), options.config_dir
    if folder and (not os.path.isdir(folder) or os.path.isfile(os.path.join(folder, f"{name}.yaml"))):
        return
    if name in COMMANDS and COMMANDS[name].job is COMMANDS[command].job:
        return
    what = f"is the file of floss {name}" if name in COMMANDS else "there is no such file"
    where = f"in --config-dir {folder}" if folder else "in a folder that --config-dir names"
    raise ConfigError(f"--config-name {name}: {what}; it takes {command}, or a file of one's own {where}")


def refuse_files(options: argparse.Namespace) -> None:
    """Raise a ConfigError for the options of files, for a command that is not composed of files."""
    for option in ("cfg", "info"):
        if getattr(options, option):
            raise ConfigError("--cfg and --info: there is nothing composed to show; --help lists the keys")
    for option in ("config_dir", "config_name"):
        if getattr(options, option):
            raise ConfigError(f"--{option.replace('_', '-')}: this command reads no such files; --help lists the keys")


def store_extensions(overrides: list[str]) -> None:
    """Let Hydra know the own defaults of what other packages add and the overrides name.

    Raises:
        ConfigError: one of them cannot be used.
    """
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        for name in set(re.findall(r"\w+", value)) if key in extensions.GROUPS else ():
            if name in extensions.added(key):
                ConfigStore.instance().store(name, extensions.values(key, name, load=True), group=key, provider="floss")
