"""Texts of a command line as they were typed: `results=2024_01_02` names the folder 2024_01_02, not 20240102.

Hydra's grammar reads a value that looks like a number, a truth value or null as one, whatever the key is, and none with
letters that ASCII does not have, or an equals sign. The values of keys that take a text are put between quotation marks
before Hydra reads them.
"""

import re
from collections.abc import Mapping

from floss.jobs.keys import Check, known_keys

_HYDRA = dict.fromkeys(
    (
        "hydra.job.name",
        *(
            f"hydra.launcher.{name}"
            for name in ("partition", "qos", "account", "comment", "constraint", "exclude", "gres", "name", "nodelist")
        ),
    ),
    True,
)
"""Hydra's own keys, and those of its SLURM launcher, that take a text; all of them take null as well."""

_PIECE = re.compile(
    r"""
    '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"       # quoted already
    | \$\{[^}]*\}*                              # an interpolation
    | (?:range|interval|int|float|bool|json_str)\s*\([^()]*\)   # numbers, asked for by name
    | [,\[\]()] | [^,\[\]()'"$]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)


def text_keys(config: type) -> dict[str, bool]:
    """The keys of a command that take a text, and whether null is no text for them."""
    checks: dict[str, Check] = {name: field.metadata["check"] for name, field in known_keys(config).items()}
    return {name: check.null for name, check in checks.items() if check.text} | _HYDRA


def as_typed(override: str, keys: Mapping[str, bool]) -> str:
    """An override whose value, and each value of a list or a sweep, Hydra reads as the text that was typed."""
    name, equals, value = override.partition("=")
    key = name.lstrip("+")
    if key not in keys or name.startswith("~") or not equals or value.startswith("="):
        return override
    return name + equals + "".join(_quoted(piece, null=keys[key]) for piece in _PIECE.findall(value))


_UNREADABLE = re.compile(r"[^\x20-\x7e]|[=#&;<>^!`]")
"""What Hydra takes between quotation marks alone."""


def _quoted(piece: str, *, null: bool) -> str:
    word = piece.strip()
    return piece.replace(word, f"'{word}'") if _is_no_text(word) and not (null and word == "null") else piece


def _is_no_text(word: str) -> bool:
    """Whether Hydra does not read a word as a text."""
    if word[:1] in ("'", '"') or word.startswith("${"):
        return False
    if word.lower() in ("true", "false", "null") or _UNREADABLE.search(word):
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True
