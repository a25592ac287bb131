"""Numbers and texts as print has them."""

import html
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from markupsafe import Markup

from floss.papers.claim import Result

NONE = "–"
"""Where there is no number."""
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _numbers(result: Result) -> list[str]:
    """Value and ends of the interval, with two digits of the interval's length.

    Where rounding would put a number on the other side of the criterion than it is, it is given more digits.
    """
    numbers = [result.value, result.low, result.high]
    finite = [abs(number) for number in numbers if np.isfinite(number)]
    largest = max(finite, default=0.0)
    length = result.high - result.low
    kind = "f"
    if min(numbers) > 0 and max(numbers) > 1e4 * min(numbers):
        kind, digits = "g", 3
    elif largest >= 1e5 or 0 < largest < 1e-3:
        kind, digits = "e", 1
    elif np.isfinite(length) and length > 0:
        digits = min(max(1 - _exponent(length) + _is_power(length), 0), 6)
    else:
        digits = min(max(2 - _exponent(largest), 0), 6) if largest else 0
    bounds = [b for b in (result.claim.criterion.above, result.claim.criterion.below) if np.isfinite(b)]
    for more in range(5):
        texts = [_rounded(number, digits + more, kind) for number in numbers]
        pairs = [(number, float(text)) for number, text in zip(numbers, texts, strict=True) if np.isfinite(number)]
        if all(np.sign(number - bound) == np.sign(shown - bound) for number, shown in pairs for bound in bounds):
            return texts
    return [_rounded(number, digits, kind) for number in numbers]


def _exponent(number: float) -> int:
    """⌊log₁₀ x⌋ of a positive number, exactly; a logarithm would depend on the processor at powers of ten."""
    return int(f"{number:.16e}".partition("e")[2])


def _is_power(number: float) -> bool:
    """Whether a positive number is a power of ten, in the digits that it has."""
    return float(f"{number:.16e}".partition("e")[0]) == 1.0


def _rounded(number: float, digits: int, kind: str) -> str:
    if not np.isfinite(number):
        return NONE if np.isnan(number) else f"{number}"
    text = f"{number:.{digits}{kind}}"
    return text.lstrip("-") if float(text) == 0 else _short(text)


def _short(text: str) -> str:
    """Without the plus sign and zeros of exponents: 1e-6, 1e10."""
    return re.sub(r"e\+?(-?)0*(\d)", r"e\1\2", text)


def criterion(result: Result) -> str:
    """The criterion, as a terminal shows it."""
    return _short(str(result.claim.criterion)).replace(" and", ",")


def measured(result: Result) -> str:
    """Value [low, high], or n of N [low, high], as a terminal shows it; of a formula the value alone."""
    value, low, high = _numbers(result)
    if result.counted is not None:
        value = f"{result.counted} of {result.units}"
    if result.formula:
        return value
    return f"{value} [{low}, {high}]" if not np.isnan([result.low, result.high]).any() else value


def typeset(text: str) -> str:
    """Numbers as print has them: 1.2 × 10⁻⁶, −3, ∞."""
    text = re.sub(r"(?<![\w.])1e([+-]?\d+)", lambda match: "10" + _power(match[1]), text)
    text = re.sub(r"(\d)e([+-]?\d+)", lambda match: f"{match[1]} × 10{_power(match[2])}", text)
    return re.sub(r"-(?=\d|inf)", "−", text).replace("inf", "∞")


def _power(digits: str) -> str:
    return str(int(digits)).translate(_POWERS)


def anchor(name: str) -> str:
    """Identifier of a claim's card on the page."""
    return "claim-" + re.sub(r"[^A-Za-z0-9]+", "-", name)


def plain_in_markdown(text: str) -> str:
    """Text that Markdown leaves as it is, in one cell of a table."""
    return " ".join(re.sub(r"[\\|<*_`]|&(?=#?\w+;)", r"\\\g<0>", text).split())


_FINER = (
    (r" - (?=\S)", " − "),
    (r"(?<![\w-])-(?=\d)", "−"),
    (r"(?<=[A-Z\d])-(?=[A-Z\d])", "–"),
    (r"(?<=\w)'", "’"),
    (r"(?<=\d)%", "\xa0%"),
    (r"(?<=\d) (?=%)|(?<=Fig\.) |(?<=Figs\.) |(?<=Sec\.) |(?<=App\.) |(?<=Eq\.) |(?<=log₁₀) ", "\xa0"),
    (r"(?<=[\w|]) ([=<>≤≥≈]) (?=[\w−])", "\xa0\\1\xa0"),
)
"""Minus signs, dashes, apostrophes, and spaces at which no line ends."""


def prose(text: str) -> Markup:
    """A sentence as HTML, set as in print: λ_i with an index, -1 with a minus sign, d = 70 on one line."""
    for plain, finer in _FINER:
        text = re.sub(plain, finer, text)
    text = re.sub(r"\|([^|]{1,24})\|", lambda match: "|\u2060" + match[1].replace(" ", "\xa0") + "|", text)
    return Markup(re.sub(r"\b([^\W\d_])_([a-z\d])\b", r"\1<sub>\2</sub>", html.escape(text)))


def listed(values: Iterable[Any]) -> str:
    """What differs of some values, with commas."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or NONE
