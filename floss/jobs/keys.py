"""Keys of a command line: declared once, as dataclass fields with a check and a meaning; built from plain values.

A wrong value is a `ConfigError`: one line with the key, its value and what is allowed.
"""

import contextlib
import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from floss.errors import ConfigError

T = TypeVar("T")


_NEVER = object()


@dataclass(frozen=True)
class Check:
    """How a value of the command line becomes a checked one: `convert` returns it or raises ValueError."""

    convert: Callable[[Any], Any]
    allowed: str
    text: bool = False
    """Whether it takes texts, which are then the characters that were typed, and never read as numbers."""
    null: bool = False
    """Whether null is a value."""


def whole(least: int, most: int | None = None) -> Check:
    """A whole number from `least` to `most`; 1e4 is one too."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValueError
        if value < least or (most is not None and value > most):
            raise ValueError
        return int(value)

    return Check(convert, f"a whole number >= {least}" + ("" if most is None else f" and <= {most}"))


def real(least: float = -math.inf, *, above: bool = False, below: float = math.inf) -> Check:
    """A finite number, at least (or above) `least`, and below `below`."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        if value < least or (above and value == least) or value >= below:
            raise ValueError
        return float(value)

    bound = "" if least == -math.inf else f" {'>' if above else '>='} {least:g}"
    bound += "" if below == math.inf else f" and < {below:g}"
    return Check(convert, f"a finite number{bound}")


def one_of(*names: str) -> Check:
    """One of a few words."""

    def convert(value: Any) -> str:
        if value not in names:
            raise ValueError
        return value

    return Check(convert, "one of " + ", ".join(names), text=True)


def optional(check: Check) -> Check:
    """Null, or what `check` takes."""

    def convert(value: Any) -> Any:
        return None if value is None else check.convert(value)

    return Check(convert, f"null or {check.allowed}", check.text, null=True)


def list_of(check: Check, *, least: int = 0) -> Check:
    """A list of different values, at least so many, kept sorted."""

    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError
        items = tuple(sorted(check.convert(item) for item in value))
        if len(set(items)) != len(items) or len(items) < least:
            raise ValueError
        return items

    return Check(convert, f"a list [a,b,...] of different values, each {check.allowed}", check.text)


def one_or_more(check: Check) -> Check:
    """One value, or a list of different ones, kept sorted."""
    several = list_of(check, least=1)

    def convert(value: Any) -> tuple[Any, ...]:
        return several.convert(value if isinstance(value, list | tuple) else [value])

    return Check(convert, f"{check.allowed}, or a list [a,b,...] of different ones", check.text)


def either(*checks: Check) -> Check:
    """What any of the checks takes."""

    def convert(value: Any) -> Any:
        for check in checks:
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                return check.convert(value)
        raise ValueError

    return Check(convert, ", or ".join(check.allowed for check in checks))


def switch() -> Check:
    """True or false."""

    def convert(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Check(convert, "true or false")


def text() -> Check:
    """A word that is not empty. Of a file it may be a whole number; what else a file turned into a number is lost."""

    def convert(value: Any) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
            raise ValueError
        return str(value)

    return Check(convert, "a text that is not empty", text=True)


def key(
    check: Check, meaning: str, *, hashed: bool = True, added: Any = _NEVER, renewed: Mapping[str, str] | None = None
) -> Any:
    """A field with its check and meaning.

    `hashed=False` for what does not change the numbers. A key that came later has in `added` the value that stands for
    how it was before: with it a configuration keeps the hash that it had without the key, and finds its old results.
    `renewed` has the words whose meaning has changed, and what stands for each in the hash instead of the word: what
    was computed when it meant something else is not found under it any more.
    """
    metadata = {"check": check, "meaning": meaning, "hashed": hashed, "added": added, "renewed": renewed or {}}
    return dataclasses.field(metadata=metadata)


def known_keys(config: type, prefix: str = "") -> dict[str, dataclasses.Field[Any]]:
    """Every key of the command line with its field, in the order of the dataclasses."""
    keys = {}
    for field in dataclasses.fields(config):
        if "check" in field.metadata:
            keys[prefix + field.name] = field
        elif isinstance(field.type, type):
            keys |= known_keys(field.type, f"{prefix}{field.name}.")
    return keys


def suggestion(word: str, among: list[str]) -> str:
    """'; did you mean X?', or nothing where no word is close."""
    close = difflib.get_close_matches(word, among, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_key(name: str, names: Iterable[str]) -> ConfigError:
    """The error for a key that is none of `names`, nor one of the groups that those are in."""
    names = list(names)
    groups = list(dict.fromkeys(allowed.partition(".")[0] for allowed in names if "." in allowed))
    hint = suggestion(name, [*groups, *names]) or "; --help lists the keys"
    return ConfigError(f"{name}: there is no such key{hint}")


def build(config: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """A checked dataclass from plain nested values; a key that came later may be missing, as in files from before.

    Raises:
        ConfigError: a key that does not exist or is missing, or a value that its check does not take.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in fields:
            raise unknown_key(prefix + str(name), known_keys(config, prefix))
    checked: dict[str, Any] = {}
    for name, field in fields.items():
        added = field.metadata.get("added", _NEVER)
        if name not in values and added is _NEVER:
            raise ConfigError(f"{prefix}{name}: this key has no value")
        value = values.get(name, added)
        if "check" not in field.metadata:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name}={value}: this is a group of keys, not a value")
            checked[name] = build(field.type, value, f"{prefix}{name}.")  # pyright: ignore[reportArgumentType]
            continue
        check: Check = field.metadata["check"]
        try:
            checked[name] = check.convert(value)
        except (ValueError, TypeError, OverflowError):
            shown = "null" if value is None else str(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise ConfigError(f"{prefix}{name}={shown}: must be {check.allowed}") from None
    return config(**checked)
