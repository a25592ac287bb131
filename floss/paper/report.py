"""`floss report`: one HTML page that needs nothing else, every figure of the paper beside its claims and our numbers.

The page loads nothing, runs nothing, names no machine and no path, and is the same bytes for the same data.
"""

import base64
import html
import re
import struct
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from floss.figures.finding import Finding, Findings
from floss.paper.claims.claim import FEWEST, NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, REPLICATES, Result
from floss.paper.experiments import SCALES, Experiment, experiment, figures, label
from floss.paper.findings import Reproduction

VERDICTS = {REPRODUCED: ("✓", "yes"), NOT_REPRODUCED: ("✗", "no"), NOT_ENOUGH: ("○", "open")}
"""Symbol and CSS class of each verdict: never by colour alone."""
TITLE = "Gradient flossing, reproduced"
LARGEST_SVG = 400_000
"""Bytes above which the PNG is taken."""
WIDTH = 110
"""Characters of a line in the terminal."""

_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NONE = "–"


def page(reproduction: Reproduction, results: Sequence[Result], pictures: Path) -> str:
    """The whole page.

    Args:
        reproduction: the data; read, never computed.
        results: all claims, judged.
        pictures: folder of figNN.svg and figNN.png; any of them may be missing.
    """
    found = {figure: reproduction.findings(figure) for figure in figures()}
    claims = {figure: [r for r in results if r.claim.figure == figure] for figure in figures()}
    sections = "".join(
        _section(experiment(figure), found[figure], claims[figure], pictures, reproduction.results)
        for figure in figures()
    )
    style = (resources.files("floss.paper") / "report.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{TITLE}</title>
<style>
{style}</style>
</head>
<body>
<header>
{_introduction(found, results)}</header>
<main>
{_overview(found, claims)}{sections}</main>
<footer>
<p>Made by <code>floss report</code> from the tables of a results folder. The page holds all that it shows.</p>
</footer>
</body>
</html>
"""


def table(results: Sequence[Result]) -> str:
    """The claims as lines of a terminal: what was measured, and the verdict."""
    head = ("figure", "claim", "value [95 % interval]", "criterion", "networks", "verdict")
    rows = [
        (
            label(r.claim.figure),
            r.claim.name,
            _measured(r),
            str(r.claim.criterion),
            str(r.networks or _NONE),
            f"{VERDICTS[r.verdict][0]} {r.verdict}",
        )
        for r in results
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    widths[1] = max(12, min(widths[1], WIDTH - sum(widths) + widths[1] - 2 * (len(head) - 1)))
    lines = []
    for row in [head, *rows]:
        first, *more = textwrap.wrap(row[1], widths[1]) or [""]
        cells = [row[0], first, *row[2:4], row[4].rjust(widths[4]), row[5]]
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        lines += [" " * (widths[0] + 2) + part for part in more]
    return "\n".join(lines) + "\n"


def markdown(results: Sequence[Result]) -> str:
    """The claims as a table in Markdown."""
    lines = ["| figure | claim (our words) | measured | criterion | networks | verdict |", "|---|---|---|---|---|---|"]
    for r in results:
        claim = f"{r.claim.sentence} ({r.claim.place})" if r.claim.place else r.claim.sentence
        cells = [
            label(r.claim.figure),
            claim,
            f"{r.claim.statistic}: {_typeset(_measured(r))}",
            _typeset(str(r.claim.criterion)),
            str(r.networks or _NONE),
            f"{VERDICTS[r.verdict][0]} {r.verdict}",
        ]
        lines.append(f"| {' | '.join(map(_plain_in_markdown, cells))} |")
    return "\n".join(lines) + "\n"


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many claims have each verdict."""
    counter = Counter(r.verdict for r in results)
    return {verdict: counter[verdict] for verdict in VERDICTS}


# --- the parts of the page -------------------------------------------------------------------------------------------


def _introduction(found: Mapping[str, Findings | None], results: Sequence[Result]) -> str:
    tally = "".join(
        f'<li class="{VERDICTS[verdict][1]}"><strong>{number}</strong> {_mark(verdict)}{verdict}</li>'
        for verdict, number in counts(results).items()
    )
    bar = "".join(
        f'<span class="{VERDICTS[verdict][1]}" style="flex-grow:{number}"></span>'
        for verdict, number in counts(results).items()
        if number
    )
    return f"""<h1>{TITLE}</h1>
<p class="lead">The gradient of a recurrent network over many steps is a product of one-step Jacobians, and the Lyapunov
exponents of the network say whether that product vanishes, explodes or becomes ill-conditioned. <em>Gradient
flossing</em> moves the first <i>k</i> of these exponents towards zero, in short episodes before and during training, so
that plain recurrent networks learn longer delays. This page takes what the paper says of it, figure by figure, and sets
beside each statement what networks trained with <code>floss</code> do.</p>
<p class="source">The paper: Rainer Engelken, “Gradient Flossing: Improving Gradient Descent through Dynamic Control of
Jacobians”, NeurIPS 2023, <a href="https://arxiv.org/abs/2312.17306">arXiv 2312.17306</a>.</p>
<h2>{len(results)} {"claim" if len(results) == 1 else "claims"}</h2>
<ul class="tally">{tally}</ul>
<div class="bar" aria-hidden="true">{bar}</div>
<p>Each claim has a criterion, a number that was written down before anybody looked at the data. The measured value
comes with the interval that holds 95&nbsp;% of {REPLICATES} bootstrap replicates over networks, and the interval alone
decides: all of it meets the criterion (reproduced), none of it does (not reproduced), or it lies on both sides (not yet
enough data). Fewer than {FEWEST} independent networks give no verdict.</p>
<p class="legend">{_EXAMPLE}<span>Beside each value: the interval (bar), the value (dot), and the values with which the
claim holds (shaded, from the dashed line on).</span></p>
{_data(found)}"""


def _data(found: Mapping[str, Findings | None]) -> str:
    """When, where and with what the numbers of the page were made."""
    complete = [findings for findings in found.values() if findings is not None]
    scales = Counter(_smallest(findings) for findings in complete if findings)
    environments = [e for findings in complete for finding in findings.values() for e in finding.environments]
    drawn = [f"{scales[scale]} at {scale} scale" for scale in SCALES if scales[scale]]
    drawn += [f"{len(found) - len(complete)} without data"] if len(complete) < len(found) else []
    pairs = [
        ("Figures", f"{len(found)}: {', '.join(drawn)}"),
        ("Data of", _dates(environments)),
        ("Hardware", _listed(e.get("device") for e in environments)),
        ("Software", _software(environments)),
        ("Source", _commits(environments)),
    ]
    note = (
        "Paper scale has the sizes, delays and networks of the paper; small scale has fewer delays and networks; smoke scale "
        "only tries the program, and gives no verdict."
    )
    return f'<h2>The data</h2>\n<dl class="facts">{_pairs(pairs)}</dl>\n<p class="note">{note}</p>\n'


def _overview(found: Mapping[str, Findings | None], claims: Mapping[str, list[Result]]) -> str:
    head = "".join(
        f'<th scope="col" role="columnheader">{name}</th>'
        for name in ("Claim", "Value [95&nbsp;% interval]", "Criterion", "Networks", "Verdict")
    )
    groups = []
    for figure, results in claims.items():
        title = f'<a href="#{figure}">{label(figure)}</a> <span>{_e(experiment(figure).title)}</span>'
        if found[figure] is None:
            title += ' <span class="missing">no data yet</span>'
        rows = [f'<tr role="row"><th scope="rowgroup" role="rowheader" colspan="5">{title}</th></tr>']
        rows += [_overview_row(result) for result in results]
        groups.append(f'<tbody role="rowgroup">\n{"".join(row + chr(10) for row in rows)}</tbody>\n')
    return f"""<section id="overview">
<h2>Overview</h2>
<table class="overview" role="table">
<thead role="rowgroup"><tr role="row">{head}</tr></thead>
{"".join(groups)}</table>
</section>
"""


def _overview_row(result: Result) -> str:
    claim = f'<a href="#{_anchor(result)}">{_e(result.claim.sentence)}</a>'
    cells = [
        ("Value", _value(result)),
        ("Criterion", _formula(result)),
        ("Networks", str(result.networks or _NONE)),
        ("Verdict", _badge(result)),
    ]
    others = "".join(
        f'<td role="cell" class="{name.lower()}"><span class="head" aria-hidden="true">{name}</span>{content}</td>'
        for name, content in cells
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{claim}</th>{others}</tr>'


def _section(one: Experiment, findings: Findings | None, results: list[Result], pictures: Path, folder: Path) -> str:
    parts = [_picture(one, findings, pictures) if findings is not None else _how_to_compute(one)]
    parts += [f'<div class="claims">\n{"".join(map(_claim, results))}</div>\n'] if results else []
    parts += [_provenance(findings, results, folder)] if findings else []
    return f"""<section class="figure" id="{one.figure}">
<h2><span class="label">{one.label}</span> {_e(one.title)}</h2>
{"".join(parts)}<p class="up"><a href="#overview">↑ Overview</a></p>
</section>
"""


def _how_to_compute(one: Experiment) -> str:
    command = f"floss reproduce fig={_fig(one.figure)} scale="
    return f"""<div class="empty">
<p><strong>No data yet.</strong> {_e(_caption(one.figure))}</p>
<p>To compute it, with the sizes of the paper or with fewer networks:</p>
<pre><code>{command}paper
{command}small</code></pre>
</div>
"""


def _picture(one: Experiment, findings: Findings, pictures: Path) -> str:
    source = _embedded(pictures / f"{one.figure}.svg", pictures / f"{one.figure}.png")
    if source is None:
        what = f"floss figures fig={_fig(one.figure)}"
        body = f'<p class="empty">The picture is not there; <code>{what}</code> draws it from the tables.</p>'
    else:
        address, (width, height) = source
        wide = ' class="wide"' if width > 1.5 * height else ""
        alt = f"{one.label}, drawn from the data of this reproduction: {one.title}"
        body = f'<div class="card"><img{wide} src="{address}" width="{width}" height="{height}" alt="{_e(alt)}"></div>'
    caption = f"<strong>{one.label}.</strong> {_e(_caption(one.figure))}"
    return f'<figure>\n{body}\n<figcaption>{caption} <span class="scale">{_e(_scales(findings))}</span></figcaption>\n</figure>\n'


def _scales(findings: Findings) -> str:
    """The scale of each run's data, and how many networks they are of."""
    if not findings:
        return "A drawing made by code, from no data."
    each = {name: _scale_of(finding) for name, finding in findings.items()}
    if len(each) == 1:
        return f"Data: {next(iter(each.values()))}."
    return f"Data: {'; '.join(f'{_words(name)} – {text}' for name, text in each.items())}."


def _scale_of(finding: Finding) -> str:
    """Paper scale: 480 networks."""
    return f"{finding.scale} scale" + (f": {_plural(finding.networks, 'network')}" if finding.networks else "")


def _claim(result: Result) -> str:
    claim = result.claim
    networks = str(result.networks or _NONE)
    if result.units not in (0, result.networks):
        networks += f" in {_plural(result.units, 'independent sample')}"
    pairs = [
        ("Measured", _e(claim.statistic)),
        ("Value", _value(result)),
        ("Criterion", _formula(result)),
        ("Networks", networks + (f" ({_e(', '.join(result.scales))} scale)" if result.scales else "")),
        ("Verdict", f"{_e(_reason(result))}"),
    ]
    tried = f'<p class="tried"><strong>What else was tried.</strong> {_e(claim.tried)}</p>\n' if claim.tried else ""
    return f"""<article class="claim {VERDICTS[result.verdict][1]}" id="{_anchor(result)}">
<p class="top">{_badge(result)}<span class="place">{_e(claim.place)}</span></p>
<h3>{_e(claim.sentence)}</h3>
<div class="evidence">
<dl>{_pairs(pairs, escape=False)}</dl>
{_ruler(result)}</div>
{tried}</article>
"""


def _reason(result: Result) -> str:
    """Why the verdict is what it is."""
    if result.verdict == REPRODUCED:
        return "all of the interval meets the criterion"
    if result.verdict == NOT_REPRODUCED:
        return "none of the interval meets the criterion"
    if not result.units:
        return "no data"
    if "smoke" in result.scales:
        return "smoke scale only tries the program"
    if result.units < FEWEST:
        return f"{_plural(result.units, 'independent sample')} of the {FEWEST} that a verdict needs"
    if not np.isfinite([result.low, result.high]).all():
        return "the data give no finite interval"
    return "the interval lies on both sides of the criterion"


def _provenance(findings: Findings, results: list[Result], folder: Path) -> str:
    """Command lines behind the numbers, and where and with what they were computed."""
    rows = "".join(
        f"<dt>{_e(_words(name))} <span>{_e(_scale_of(finding))}</span></dt>"
        f"<dd><pre><code>{_e(finding.command)}</code></pre></dd>\n"
        for name, finding in findings.items()
    )
    own = {finding.command for finding in findings.values()}
    others = dict.fromkeys(line for result in results for line in result.commands if line not in own)
    if others:
        rows += f"<dt>Runs of other figures that the claims use</dt><dd>{''.join(map(_code, others))}</dd>\n"
    places = dict.fromkeys(_relative(path, folder) for finding in findings.values() for path in finding.folders)
    listed = "".join(f"<li><code>{_e(place)}</code></li>" for place in places)
    machines = _machines([e for finding in findings.values() for e in finding.environments])
    return f"""<details>
<summary>Commands, configuration and environment</summary>
<h3>Command lines behind the numbers</h3>
<dl class="commands">
{rows}</dl>
<h3>Tables</h3>
<p>In the results folder, each with its <code>config.yaml</code> and <code>environment.json</code>:</p>
<ul class="folders">{listed}</ul>
<h3>Computed</h3>
{"".join(map(_machine, machines)) or "<p>No environment is recorded.</p>"}
</details>
"""


# --- environments ----------------------------------------------------------------------------------------------------


@dataclass
class _Machine:
    """What environments with the same hardware and software have recorded."""

    environments: list[Mapping[str, Any]] = field(default_factory=list)


def _machines(environments: Iterable[Mapping[str, Any]]) -> list[_Machine]:
    machines: dict[tuple[str, ...], _Machine] = {}
    for environment in environments:
        if environment:
            kind = tuple(str(environment.get(name)) for name in ("device", "threads", "engine", "system"))
            machines.setdefault((*kind, _software([environment])), _Machine()).environments.append(environment)
    return list(machines.values())


def _machine(machine: _Machine) -> str:
    first = machine.environments[0]
    threads = first.get("threads")
    device = f"{first.get('device', _NONE)}" + (f", {_plural(threads, 'thread')}" if isinstance(threads, int) else "")
    commands = dict.fromkeys(_anonymous(str(e["command"])) for e in machine.environments if e.get("command"))
    pairs = [
        ("Device", _e(device)),
        ("Engine", _e(str(first.get("engine", "torch")))),
        ("System", _e(str(first.get("system", _NONE)))),
        ("Software", _e(_software(machine.environments))),
        ("Source", _e(_commits(machine.environments))),
        ("Date", _e(_dates(machine.environments))),
        ("Command given", "".join(map(_code, commands)) or _NONE),
    ]
    return f'<dl class="facts">{_pairs(pairs, escape=False)}</dl>\n'


def _software(environments: Iterable[Mapping[str, Any]]) -> str:
    """Every version of every package that was used."""
    versions: dict[str, list[str]] = {}
    for environment in environments:
        packages = environment.get("packages")
        own = {"floss": environment.get("floss"), "Python": environment.get("python")}
        for name, version in {**own, **(packages if isinstance(packages, Mapping) else {})}.items():
            if version is not None and str(version) not in versions.setdefault(str(name), []):
                versions[str(name)].append(str(version))
    return ", ".join(f"{name} {' and '.join(several)}" for name, several in versions.items()) or _NONE


def _commits(environments: Iterable[Mapping[str, Any]]) -> str:
    found = dict.fromkeys(str(e["commit"]) for e in environments if e.get("commit"))
    short = [f"{commit[:10]}{' with changes' if commit.endswith('+') else ''}" for commit in found]
    return f"commit{'s' if len(short) > 1 else ''} {', '.join(short)}" if short else _NONE


def _dates(environments: Iterable[Mapping[str, Any]]) -> str:
    dates = sorted({str(e["date"]) for e in environments if e.get("date")})
    if not dates:
        return _NONE
    return dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"


def _anonymous(command: str) -> str:
    """A command line without the folders of the machine it ran on: of an absolute path stays the last part."""
    return re.sub(r"(?<![^\s=,'\"\[:])[~/](?:[^\s,'\"\]]*/)?([^\s/,'\"\]]*)", r"…/\1", command)


def _relative(path: Path, folder: Path) -> str:
    """A folder of rows as seen from the results folder."""
    for inside, root in ((path, folder), (path.absolute(), folder.absolute())):
        if inside.is_relative_to(root):
            return inside.relative_to(root).as_posix()
    return path.name


# --- pictures --------------------------------------------------------------------------------------------------------


def _embedded(svg: Path, png: Path) -> tuple[str, tuple[int, int]] | None:
    """A picture as a data: address, and its size in CSS pixels; None where there is none that can be read.

    A picture of its own document, rather than part of this one: the identifiers in matplotlib's SVG files clash.
    """
    for path, size, kind in ((svg, _svg_size, "svg+xml"), (png, _png_size, "png"), (svg, _svg_size, "svg+xml")):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if kind != "png" and len(content) > LARGEST_SVG and png.is_file():
            continue
        if (pixels := size(content)) is not None:
            return f"data:image/{kind};base64,{base64.b64encode(content).decode()}", pixels
    return None


def _svg_size(content: bytes) -> tuple[int, int] | None:
    found = re.search(rb'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"', content[:4000])
    return (round(float(found[1]) * 4 / 3), round(float(found[2]) * 4 / 3)) if found else None


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Of a picture with 150 dots per inch, where CSS has 96."""
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return round(width * 96 / 150), round(height * 96 / 150)


def _caption(figure: str) -> str:
    """What is to be seen: the comment with which the figure's experiment begins."""
    lines = (resources.files("floss.conf.experiment") / f"{figure}.yaml").read_text(encoding="utf-8").splitlines()
    comment = [
        line.lstrip("# ") for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    ]
    text = re.sub(r"^(Fig\. \d+|Table \d+|Appendix [A-Z]): ", "", " ".join(comment))
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


# --- the interval as a drawing ---------------------------------------------------------------------------------------


def _ruler(result: Result) -> str:
    """Value and interval beside the values that meet the criterion; nothing where there is no interval."""
    criterion = result.claim.criterion
    return _drawn_ruler(result.value, result.low, result.high, criterion.above, criterion.below)


def _drawn_ruler(value: float, low: float, high: float, above: float, below: float) -> str:
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
        f'<text x="{min(max(x(bound), 16), 304):g}" y="39" text-anchor="middle">{_e(_typeset(f"{bound:g}"))}</text>'
        for bound in bounds
    )
    note = '<text class="log" x="319" y="39" text-anchor="end">log</text>' if logarithmic else ""
    # An interval without length is still to be seen.
    tips = f'<path class="interval" d="M{x(low):g} 14H{x(high):g}M{x(low):g} 9V19M{x(high):g} 9V19"/>'
    return (
        '<svg class="ruler" viewBox="0 0 320 42" aria-hidden="true" focusable="false">'
        f'<rect class="holds" x="{start:g}" y="2" width="{round(end - start, 1):g}" height="24"/>'
        f'<path class="axis" d="M0 26H320"/>{marks}{note}{tips}<circle class="value" cx="{x(value):g}" cy="14" r="4.5"/></svg>\n'
    )


# --- numbers and texts -----------------------------------------------------------------------------------------------


def _numbers(result: Result) -> list[str]:
    """Value and ends of the interval, with two digits of the interval's length.

    Where rounding would put a number on the other side of the criterion than it is, it is given more digits.
    """
    numbers = [result.value, result.low, result.high]
    finite = [abs(number) for number in numbers if np.isfinite(number)]
    largest = max(finite, default=0.0)
    length = result.high - result.low
    scientific = largest >= 1e5 or 0 < largest < 1e-3
    if scientific:
        digits = 2
    elif np.isfinite(length) and length > 0:
        digits = int(np.clip(2 - np.ceil(np.log10(length)), 0, 6))
    else:
        digits = int(np.clip(2 - np.floor(np.log10(largest)), 0, 6)) if largest else 0
    bounds = [b for b in (result.claim.criterion.above, result.claim.criterion.below) if np.isfinite(b)]
    for more in range(5):
        texts = [_rounded(number, digits + more, "e" if scientific else "f") for number in numbers]
        pairs = [(number, float(text)) for number, text in zip(numbers, texts, strict=True) if np.isfinite(number)]
        if all(np.sign(number - bound) == np.sign(shown - bound) for number, shown in pairs for bound in bounds):
            return texts
    return [_rounded(number, digits, "e" if scientific else "f") for number in numbers]


def _rounded(number: float, digits: int, kind: str) -> str:
    if not np.isfinite(number):
        return _NONE if np.isnan(number) else f"{number}"
    text = f"{number:.{digits}{kind}}"
    return text.lstrip("-") if float(text) == 0 else re.sub(r"e([+-])0*(\d+)", _exponent, text)


def _exponent(found: re.Match[str]) -> str:
    return f"e{found[1].replace('+', '')}{found[2]}"


def _measured(result: Result) -> str:
    """Value [low, high], as a terminal shows it."""
    value, low, high = _numbers(result)
    return f"{value} [{low}, {high}]" if not np.isnan([result.low, result.high]).any() else value


def _value(result: Result) -> str:
    value, _, interval = _typeset(_measured(result)).partition(" [")
    return f'<b>{value}</b> <span class="range">[{interval}</span>' if interval else f"<b>{value}</b>"


def _formula(result: Result) -> str:
    return _e(_typeset(str(result.claim.criterion)))


def _typeset(text: str) -> str:
    """Numbers as print has them: 1.2 × 10⁻⁶, −3, ∞."""
    text = re.sub(r"(?<![\w.])1e([+-]?\d+)", lambda found: "10" + _power(found[1]), text)
    text = re.sub(r"(\d)e([+-]?\d+)", lambda found: f"{found[1]} × 10{_power(found[2])}", text)
    return re.sub(r"-(?=\d|inf)", "−", text).replace("inf", "∞")


def _power(digits: str) -> str:
    return str(int(digits)).translate(_POWERS)


def _plain_in_markdown(text: str) -> str:
    """Text that Markdown leaves as it is, in one cell of a table."""
    return " ".join(re.sub(r"([\\|<>&*_`])", r"\\\1", text).split())


def _e(text: str) -> str:
    return html.escape(text)


def _code(line: str) -> str:
    return f"<pre><code>{_e(line)}</code></pre>"


def _mark(verdict: str) -> str:
    return f'<span class="mark" aria-hidden="true">{VERDICTS[verdict][0]}</span> '


def _badge(result: Result) -> str:
    return f'<span class="badge {VERDICTS[result.verdict][1]}">{_mark(result.verdict)}{result.verdict}</span>'


def _pairs(pairs: Iterable[tuple[str, str]], *, escape: bool = True) -> str:
    return "".join(f"<div><dt>{name}</dt><dd>{_e(text) if escape else text}</dd></div>" for name, text in pairs)


def _anchor(result: Result) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", result.claim.name).strip("-")
    return f"{result.claim.figure}-{name}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _fig(figure: str) -> str:
    """What `fig=` calls it."""
    return str(int(figure[3:])) if figure.startswith("fig") else figure


def _smallest(findings: Findings) -> str:
    return max((finding.scale for finding in findings.values()), key=SCALES.index)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or _NONE


_EXAMPLE = _drawn_ruler(0.92, 0.87, 0.96, 0.8, np.inf).replace('class="ruler"', 'class="ruler example"').rstrip()
