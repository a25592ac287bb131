"""The command line: `floss COMMAND key=value ...`, composed by Hydra.

The first word picks the command; everything after it goes to Hydra, so `-m`, `--cfg job`, `--help`, `--info` and tab
completion work as in any Hydra application. Bad input is answered in one line with exit status 2. Torch is imported
only where something is computed, so that `--help` answers at once.
"""

import os
import shlex
import sys
from importlib import import_module
from typing import NoReturn

from floss.errors import ConfigError, RunBusyError
from floss.jobs.help import COMMANDS
from floss.jobs.keys import suggestion
from floss.runtime.messages import show_messages
from floss.runtime.streams import lost_output, settle_streams

USAGE = """floss: see and control the Lyapunov exponents of recurrent networks (Engelken 2023, arXiv 2312.17306)

usage: floss COMMAND [-m] [key=value ...]

commands:
{commands}
`floss COMMAND --help` lists the keys of a command; -m sweeps over values given with commas:
  floss train task=xor d=70 seeds=3 flossing=during
  floss train -m task=xor d=10,20,40,70 flossing=none,pre,during seeds=3
"""


def main() -> NoReturn:
    """Console script `floss`."""
    name = "floss"
    settle_streams()
    show_messages()
    try:
        command, arguments = _command_of(sys.argv[1:])
        name = f"floss {command}"
        import_module(f"floss.commands.{command}").run(command, arguments)
    except SystemExit as stop:
        if stop.code:
            raise
    except ConfigError as error:
        _fail(f"{name}: {error}")
    except RunBusyError as error:
        _fail(f"{name}: {error}", status=1)
    except KeyboardInterrupt:
        _fail(f"{name}: interrupted", status=130)
    except OSError as error:
        _fail(f"{name}: {error.filename or 'a file'}: {error.strerror or error}", status=1)
    if lost := lost_output():
        _fail(f"{name}: {lost}", status=1)
    sys.exit(0)


def _command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The command and its arguments; answers --help and --version, and what the shell wants completed."""
    if "COMP_LINE" in os.environ:
        arguments = _complete_after_command(arguments)
    elif not arguments or arguments[0] in ("-h", "--help", "help"):
        rows = "".join(f"  {name:<10} {command.summary}\n" for name, command in COMMANDS.items())
        print(USAGE.format(commands=rows), end="", flush=True)
        sys.exit(0 if arguments else 2)
    elif arguments[0] == "-V" or "--version" in arguments:  # which Hydra would answer with its own
        from importlib.metadata import version

        print(f"floss {version('floss')}", flush=True)
        sys.exit(0)
    elif arguments[0] not in COMMANDS:
        listing = "; the commands are " + ", ".join(COMMANDS)
        _fail(f"floss: {arguments[0]}: there is no such command{suggestion(arguments[0], list(COMMANDS)) or listing}")
    os.environ["FLOSS_COMMAND"] = shlex.join(["floss", *arguments])
    return arguments[0], arguments[1:]


def _fail(message: str, status: int = 2) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _complete_after_command(arguments: list[str]) -> list[str]:
    """Take the command out of the line that the shell wants completed, and put it first: Hydra knows nothing of it."""
    line, point = os.environ["COMP_LINE"], os.environ.get("COMP_POINT", "")
    line = line[: int(point)] if point.isdecimal() else line  # what is completed ends at the cursor
    program, _, rest = line.partition(" ")
    command, space, rest = rest.lstrip().partition(" ")
    if not space or command not in COMMANDS:
        print(*(name for name in COMMANDS if name.startswith(command) and not space), sep="\n")
        sys.exit(0)
    os.environ["COMP_LINE"] = f"{program} {rest}"
    os.environ["COMP_POINT"] = str(len(os.environ["COMP_LINE"]))
    return [command, *(arguments[1:] if arguments and arguments[0] in COMMANDS else arguments)]
