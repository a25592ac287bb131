"""Where numbers come from: devices, versions, dates and commands, without names of machines and folders."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floss.papers.report.typesetting import NONE
from floss.papers.words import plural

Environment = Mapping[str, Any]
"""What environment.json holds."""


@dataclass(frozen=True)
class Machine:
    """What environments with the same hardware and software have recorded."""

    facts: list[tuple[str, str]]
    """Names and values."""
    commands: list[str]
    """Command lines that were given, without folders of the machine."""


def machines(environments: Sequence[Environment]) -> list[Machine]:
    """What environments have recorded, those with the same hardware and software together."""
    alike: dict[tuple[str, ...], list[Environment]] = {}
    for environment in filter(None, environments):
        kind = tuple(str(environment.get(name)) for name in ("device", "threads", "engine", "system"))
        alike.setdefault((*kind, instructions(environment), software([environment])), []).append(environment)
    return [_machine(several) for several in alike.values()]


def lost(environments: Sequence[Environment]) -> str:
    """A sentence that says that environments are not recorded, where any are not."""
    if all(environments) and environments:
        return ""
    return f"No environment is recorded{' for some of them' if any(environments) else ''}."


def _machine(environments: Sequence[Environment]) -> Machine:
    first = environments[0]
    threads = first.get("threads")
    number = f", {plural(threads, 'thread')}" if isinstance(threads, int) else ""
    facts = [
        ("Device", f"{first.get('device', NONE)}{number}"),
        ("Engine", str(first.get("engine", "torch"))),
        ("Instructions", instructions(first)),
        ("System", str(first.get("system", NONE))),
        ("Software", software(environments)),
        ("Source", commits(environments)),
        ("Date", dates(environments)),
    ]
    commands = dict.fromkeys(anonymous(str(e["command"])) for e in environments if e.get("command"))
    return Machine(facts, list(commands))


def instructions(environment: Environment) -> str:
    """The vector instructions, on which bits depend, of each part of the program that computed with them."""
    parts = (("native_instructions", "native engine"), ("torch_instructions", "torch"))
    used = [f"{environment[key]} ({part})" for key, part in parts if environment.get(key)]
    built = [f"built by {environment['compiler']}"] if environment.get("compiler") else []
    return ", ".join([*used, *built]) or NONE


def software(environments: Iterable[Environment]) -> str:
    """Every version of every package that was used."""
    versions: dict[str, list[str]] = {}
    for environment in environments:
        packages = environment.get("packages")
        base = {"floss": environment.get("floss"), "Python": environment.get("python")}
        for name, version in {**base, **(packages if isinstance(packages, Mapping) else {})}.items():
            if version is not None and str(version) not in versions.setdefault(str(name), []):
                versions[str(name)].append(str(version))
    return ", ".join(f"{name} {' and '.join(several)}" for name, several in versions.items()) or NONE


def commits(environments: Iterable[Environment]) -> str:
    """The first digits of every commit."""
    every = dict.fromkeys(str(e["commit"]) for e in environments if e.get("commit"))
    short = [f"{commit[:10]}{' with changes' if commit.endswith('+') else ''}" for commit in every]
    return f"commit{'s' if len(short) > 1 else ''} {', '.join(short)}" if short else NONE


def dates(environments: Iterable[Environment]) -> str:
    """The day, or the first and the last one."""
    days = sorted({str(e["date"]) for e in environments if e.get("date")})
    if not days:
        return NONE
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def anonymous(command: str) -> str:
    """A command line without the folders of the machine it ran on: of an absolute path stays the last part."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        words = command.split()
    return shlex.join(re.sub(r"""(?:(?<=[=,:\['"])|^)(?:~[\w.-]*)?/(?:[^,\]'"]*/)?""", ".../", word) for word in words)


def relative(path: Path, folder: Path) -> str:
    """A folder of rows as seen from the results folder."""
    for inside, root in ((path, folder), (path.absolute(), folder.absolute())):
        if inside.is_relative_to(root):
            return inside.relative_to(root).as_posix()
    return path.name
