"""Numbers and texts as print has them, and a claim's interval beside its criterion as a drawing."""

import html
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

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
        digits = int(np.clip(2 - np.ceil(np.log10(length)), 0, 6))
    else:
        digits = int(np.clip(2 - np.floor(np.log10(largest)), 0, 6)) if largest else 0
    bounds = [b for b in (result.claim.criterion.above, result.claim.criterion.below) if np.isfinite(b)]
    for more in range(5):
        texts = [_rounded(number, digits + more, kind) for number in numbers]
        pairs = [(number, float(text)) for number, text in zip(numbers, texts, strict=True) if np.isfinite(number)]
        if all(np.sign(number - bound) == np.sign(shown - bound) for number, shown in pairs for bound in bounds):
            return texts
    return [_rounded(number, digits, kind) for number in numbers]


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
    """Value [low, high], as a terminal shows it."""
    value, low, high = _numbers(result)
    return f"{value} [{low}, {high}]" if not np.isnan([result.low, result.high]).any() else value


def value_html(result: Result) -> str:
    """The same as HTML."""
    value, _, interval = typeset(measured(result)).partition(" [")
    return f'<b>{value}</b> <span class="range">[{interval}</span>' if interval else f"<b>{value}</b>"


def formula_html(result: Result) -> str:
    """The criterion as HTML."""
    return escape(typeset(str(result.claim.criterion)))


def typeset(text: str) -> str:
    """Numbers as print has them: 1.2 × 10⁻⁶, −3, ∞."""
    text = re.sub(r"(?<![\w.])1e([+-]?\d+)", lambda found: "10" + _power(found[1]), text)
    text = re.sub(r"(\d)e([+-]?\d+)", lambda found: f"{found[1]} × 10{_power(found[2])}", text)
    return re.sub(r"-(?=\d|inf)", "−", text).replace("inf", "∞")


def _power(digits: str) -> str:
    return str(int(digits)).translate(_POWERS)


def plain_in_markdown(text: str) -> str:
    """Text that Markdown leaves as it is, in one cell of a table."""
    return " ".join(re.sub(r"[\\|<*_`]|&(?=#?\w+;)", r"\\\g<0>", text).split())


def escape(text: str) -> str:
    """Any text as HTML, also within quotation marks."""
    return html.escape(text)


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


def prose(text: str) -> str:
    """A sentence as HTML, set as in print: λ_i with an index, -1 with a minus sign, d = 70 on one line."""
    for plain, finer in _FINER:
        text = re.sub(plain, finer, text)
    text = re.sub(r"\|([^|]{1,24})\|", lambda found: "|\u2060" + found[1].replace(" ", "\xa0") + "|", text)
    return re.sub(r"\b([^\W\d_])_([a-z\d])\b", r"\1<sub>\2</sub>", escape(text))


def code(line: str) -> str:
    """A command line as HTML."""
    return f"<pre><code>{escape(line)}</code></pre>"


def pairs_html(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they have, both HTML, as the inside of a `dl`."""
    return "".join(f"<div><dt>{name}</dt><dd>{content}</dd></div>" for name, content in pairs)


def plural(number: int, noun: str) -> str:
    """A count: 1 network, 2 networks."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(values: Iterable[Any]) -> str:
    """What differs of some values, with commas."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or NONE


def ruler(result: Result) -> str:
    """Value and interval beside the values that meet the criterion; nothing where there is no interval."""
    bounds = result.claim.criterion
    return drawn_ruler(result.value, result.low, result.high, bounds.above, bounds.below)


def drawn_ruler(value: float, low: float, high: float, above: float, below: float) -> str:
    """The same of any numbers, as SVG without identifiers; logarithmic where the numbers are far apart."""
    if not np.isfinite([value, low, high]).all():
        return ""
    bounds = [bound for bound in (above, below) if np.isfinite(bound)]
    shown = [value, low, high, *bounds]
    logarithmic = min(shown) > 0 and max(shown) > 1000 * min(shown)
    scale = np.log10 if logarithmic else np.asarray
    ends = [float(scale(min(shown))), float(scale(max(shown)))]
    margin = 0.18 * (ends[1] - ends[0]) or max(abs(ends[0]), 1.0)
    left, right = ends[0] - margin, ends[1] + margin

    def x(number: float) -> float:
        if np.isinf(number):
            return 0.0 if number < 0 else 320.0
        return round(320 * (float(scale(number)) - left) / (right - left), 1)

    start, end = x(above), x(below)
    marks = "".join(
        f'<path class="bound" d="M{x(bound):g} 2V26"/>'
        f'<text x="{min(max(x(bound), 16), 304):g}" y="39" text-anchor="middle">{escape(typeset(f"{bound:g}"))}</text>'
        for bound in bounds
    )
    note = '<text class="log" x="319" y="39" text-anchor="end">log</text>' if logarithmic else ""
    interval = f"M{x(low):g} 14H{x(high):g}M{x(low):g} 9V19M{x(high):g} 9V19"
    return (
        '<svg class="ruler" viewBox="0 0 320 42" aria-hidden="true" focusable="false">'
        f'<rect class="holds" x="{start:g}" y="2" width="{round(end - start, 1):g}" height="24"/>'
        f'<path class="axis" d="M0 26H320"/>{marks}{note}<path class="interval" d="{interval}"/>'
        f'<circle class="value" cx="{x(value):g}" cy="14" r="4.5"/></svg>\n'
    )
