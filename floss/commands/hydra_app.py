"""Running Hydra: the command line as a Hydra application, with every complaint turned into one line."""

import argparse
import contextlib
import functools
import importlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import hydra
from hydra.core.plugins import Plugins

from floss.errors import ConfigError, LaunchError, one_line
from floss.jobs.compose import CONFIG_MODULE, PLUGINS, VERSION_BASE, as_config_errors, first_line
from floss.jobs.help import COMMANDS
from floss.jobs.keys import known_keys
from floss.jobs.options import parse
from floss.runtime.messages import show_messages

_running = "train"

WRITE_NOTHING = (
    *("hydra/hydra_logging=none", "hydra/job_logging=none", "hydra.output_subdir=null", "hydra.job.chdir=false"),
    *("hydra.run.dir=.", "hydra.sweep.dir=${oc.env:FLOSS_SWEEP_DIR,.}", "hydra.sweep.subdir=."),
)
"""What conf/command.yaml says, with which Hydra writes nothing."""


def running_command() -> str:
    """The command whose jobs Hydra runs now, whatever file it composes them from."""
    return _running


class Stop(BaseException):
    """Carries an error out of a job past Hydra, which would add lines of its own to an Exception."""

    def __init__(self, error: Exception) -> None:
        """The error that is carried."""
        super().__init__(str(error))
        self.error = error


def answered_by_hydra(command: str, arguments: list[str], options: argparse.Namespace) -> bool:
    """Let Hydra answer --help, --cfg, --info and tab completion; whether it was asked for one of them."""
    asked = any((options.help, options.hydra_help, options.cfg, options.info, options.shell_completion))
    if asked:
        run_hydra(command, arguments, lambda config: None)  # noqa: ARG005
    return asked


def run_hydra(command: str, arguments: list[str], function: Callable[[Any], Any]) -> None:
    """Run a function of the composed configuration as a Hydra application, once or for each job of a sweep.

    Raises:
        ConfigError: input that Hydra or `function` does not take.
        LaunchError: a launcher that starts other processes could not, or lost one.
    """
    global _running
    _running = command
    options = parse(command, arguments)
    if options.multirun:
        _register_plugins()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, to be answered in one line
    program, saved = sys.argv[0], sys.argv

    @functools.wraps(function)
    def job(config: Any) -> Any:
        show_messages()  # a launcher may run it in another process
        try:
            with as_config_errors(command):
                return function(config)
        except LaunchError:  # of a job in another process, which Hydra carries home
            raise
        except Exception as error:
            raise Stop(error) from error

    stopped: Stop | None = None
    with as_config_errors(command), tempfile.TemporaryDirectory(prefix="floss-") as folder:
        os.environ["FLOSS_SWEEP_DIR"] = folder
        own = WRITE_NOTHING if options.config_name else ()  # a file of one's own may lack them
        sys.argv = [program, *options.arguments, *own]
        if options.help or options.hydra_help:  # which say the same whatever else was typed, right or wrong
            sys.argv = [program, *(word for word in arguments if word not in options.typed)]
        try:
            with _answering(command, options):
                hydra.main(config_path=f"pkg://{CONFIG_MODULE}", config_name=command, **VERSION_BASE)(job)()
        except Stop as stop:
            stopped = stop
        except ValueError as error:  # Hydra's own, since those of a job come as Stop
            raise ConfigError(first_line(error)) from None
        except RuntimeError as error:
            raise LaunchError(one_line(error, 300)) from None
        finally:
            sys.argv = saved
    if stopped:
        raise stopped.error


@contextlib.contextmanager
def _answering(command: str, options: argparse.Namespace) -> Iterator[None]:
    """Within it Hydra answers as floss does."""
    if options.cfg:
        with _complaining():
            yield
    elif options.shell_completion:
        if "COMP_LINE" not in os.environ and any(word.startswith("query=") for word in options.overrides):
            raise ConfigError("query=: is for the shell, which sets COMP_LINE")
        with _completion(command):
            yield
    else:
        yield


@contextlib.contextmanager
def _complaining() -> Iterator[None]:
    """What Hydra writes to standard error before it leaves with a status is a complaint about the input."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stop:
        if stop.code and said.getvalue():
            raise ConfigError(said.getvalue()) from None
        raise
    sys.stderr.write(said.getvalue())


@contextlib.contextmanager
def _completion(command: str) -> Iterator[None]:
    """Put what Hydra offers to the shell right: a list is a value, `flossing.at=`, and no group of keys."""
    keys = known_keys(COMMANDS[command].job)
    offered, complaint = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(offered), contextlib.redirect_stderr(complaint):
            yield
    except (Exception, SystemExit):
        if "COMP_LINE" not in os.environ:
            raise
        return  # nothing completes a line that cannot be read, and a prompt is no place to say so

    def right(match: re.Match[str]) -> str:
        word = match[0]
        name, dot, rest = word.lstrip("+~").rpartition(".")
        if word == "experiment/" or (name in keys and rest):
            return ""
        return f"{word[:-1]}=" if name in keys and dot else word

    print(re.sub(r"\S+", right, offered.getvalue()), end="")


def _register_plugins() -> None:
    """Tell Hydra of our plugins, which it does not find where floss is installed as editable."""
    module = importlib.import_module(PLUGINS)
    for name in ("StackedLauncher", "CheckedSweeper"):
        Plugins.instance().register(getattr(module, name))
