"""`floss report`: one HTML page that needs nothing else, every figure of the paper beside its claims and our numbers.

The page loads nothing, runs nothing, names no machine and no path, and is the same bytes for the same data.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import takewhile
from pathlib import Path

import numpy as np

from floss.papers.claim import FEWEST, NOT_REPRODUCED, REPLICATES, REPRODUCED, Result
from floss.papers.experiments import SCALES, Experiment, experiment, figures, label
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction
from floss.papers.report.embedding import embedded
from floss.papers.report.provenance import commits, dates, machines_html, relative, software
from floss.papers.report.tables import VERDICTS, counts
from floss.papers.report.typesetting import (
    NONE,
    code,
    drawn_ruler,
    escape,
    formula_html,
    listed,
    pairs_html,
    plural,
    prose,
    ruler,
    value_html,
)

TITLE = "Gradient flossing, reproduced"


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
    style = (resources.files("floss.papers.report") / "report.css").read_text(encoding="utf-8")
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
<p>Each claim has a criterion, a number chosen from the words of the paper and not changed since; a claim that was added
after its data says so. The measured value comes with the interval that holds 95&nbsp;% of {REPLICATES} bootstrap
replicates over networks, and the interval alone decides: all of it meets the criterion (reproduced), none of it does
(not reproduced), or it lies on both sides (not yet enough data). Fewer than {FEWEST} independent samples (networks, in
most claims) give no verdict.</p>
<p class="legend">{_EXAMPLE}<span>Beside each value: the interval (bar), the value (dot), and the values with which the
claim holds (shaded, from the dashed line on).</span></p>
{_data(found)}"""


def _data(found: Mapping[str, Findings | None]) -> str:
    """When, where and with what the numbers of the page were made."""
    complete = [findings for findings in found.values() if findings is not None]
    scales = Counter(_smallest(findings) for findings in complete if findings)
    environments = [e for findings in complete for finding in findings.values() for e in finding.environments]
    drawn = [f"{scales[scale]} at {scale} scale" for scale in SCALES if scales[scale]]
    drawn += [f"{complete.count({})} drawn by code from no data"] if {} in complete else []
    drawn += [f"{len(found) - len(complete)} without data"] if len(complete) < len(found) else []
    pairs = [
        ("Figures", f"{len(found)}: {', '.join(drawn)}"),
        ("Data of", escape(dates(environments))),
        ("Hardware", escape(listed(e.get("device") for e in environments))),
        ("Software", escape(software(environments))),
        ("Source", escape(commits(environments))),
    ]
    note = (
        "Paper scale has the sizes, delays and networks of the paper; small scale has fewer delays and networks; "
        "smoke scale only tries the program, and gives no verdict."
    )
    return f'<h2>The data</h2>\n<dl class="facts">{pairs_html(pairs)}</dl>\n<p class="note">{note}</p>\n'


def _overview(found: Mapping[str, Findings | None], claims: Mapping[str, list[Result]]) -> str:
    head = "".join(
        f'<th scope="col" role="columnheader">{name}</th>'
        for name in ("Claim", "Value [95&nbsp;% interval]", "Criterion", "Networks", "Verdict")
    )
    groups = []
    for figure, results in claims.items():
        title = f'<a href="#{figure}">{label(figure)}</a> <span>{prose(experiment(figure).title)}</span>'
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
    claim = f'<a href="#{_anchor(result)}">{prose(result.claim.sentence)}</a>'
    cells = [
        ("Value", value_html(result)),
        ("Criterion", formula_html(result)),
        ("Networks", str(result.networks or NONE)),
        ("Verdict", _badge(result)),
    ]
    others = "".join(
        f'<td role="cell" class="{name.lower()}"><span class="head" aria-hidden="true">{name} </span>{content}</td>'
        for name, content in cells
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{claim}</th>{others}</tr>'


def _section(one: Experiment, findings: Findings | None, results: list[Result], pictures: Path, folder: Path) -> str:
    parts = [_picture(one, findings, pictures) if findings is not None else _how_to_compute(one)]
    parts += [f'<div class="claims">\n{"".join(map(_claim, results))}</div>\n'] if results else []
    parts += [_provenance(findings, results, folder)] if findings else []
    return f"""<section class="figure" id="{one.figure}">
<h2><span class="label">{one.label}</span> {prose(one.title)}</h2>
{"".join(parts)}<p class="up"><a href="#overview">↑ Overview</a></p>
</section>
"""


def _how_to_compute(one: Experiment) -> str:
    command = f"floss reproduce fig={_fig(one.figure)} scale="
    if not any(one.scales.values()):
        return f"""<div class="empty">
<p><strong>Not drawn yet.</strong> {prose(_caption(one.figure))}</p>
<pre><code>{command}paper</code></pre>
</div>
"""
    return f"""<div class="empty">
<p><strong>No data yet.</strong> {prose(_caption(one.figure))}</p>
<p>To compute it, with the sizes of the paper or with fewer networks:</p>
<pre><code>{command}paper
{command}small</code></pre>
</div>
"""


def _picture(one: Experiment, findings: Findings, pictures: Path) -> str:
    source = embedded(pictures / f"{one.figure}.svg", pictures / f"{one.figure}.png")
    if source is None:
        what = f"floss figures fig={_fig(one.figure)}"
        body = f'<p class="empty">The picture is not there; <code>{what}</code> draws it from the tables.</p>'
    else:
        address, (width, height) = source
        alt = f"{one.label}, drawn from the data of this reproduction: {one.title}"
        size = f'width="{width}" height="{height}" style="--natural:{width}px"'
        body = f'<div class="card"><img src="{address}" {size} alt="{escape(alt)}"></div>'
    data = f'<span class="scale">{prose(_scales(findings))}</span>'
    caption = f"<strong>{one.label}.</strong> {prose(_caption(one.figure))} {data}"
    return f"<figure>\n{body}\n<figcaption>{caption}</figcaption>\n</figure>\n"


def _scales(findings: Findings) -> str:
    """The scale of each run's data, and how many networks they are of; nothing of a drawing without data."""
    if not findings:
        return ""
    each = {name: _scale_of(finding) for name, finding in findings.items()}
    if len(each) == 1:
        return f"Data: {next(iter(each.values()))}."
    return f"Data: {'; '.join(f'{_words(name)} – {text}' for name, text in each.items())}."


def _scale_of(finding: Finding) -> str:
    """Paper scale: 480 networks."""
    return f"{finding.scale} scale" + (f": {plural(finding.networks, 'network')}" if finding.networks else "")


def _claim(result: Result) -> str:
    claim = result.claim
    pairs = [("Measured", prose(claim.statistic)), ("Criterion", formula_html(result))]
    if result.units:
        pairs.insert(1, ("Value", value_html(result)))
        pairs.append(("Networks" if result.networks else "Samples", _size(result)))
    tried = f'<p class="tried"><strong>What else was tried.</strong> {prose(claim.tried)}</p>\n' if claim.tried else ""
    return f"""<article class="claim {VERDICTS[result.verdict][1]}" id="{_anchor(result)}">
<h3>{prose(claim.sentence)} <span class="place">{prose(claim.place)}</span></h3>
<p class="verdict">{_badge(result)} <span>{escape(_reason(result))}</span></p>
<div class="evidence">
<dl>{pairs_html(pairs)}</dl>
{ruler(result)}</div>
{tried}</article>
"""


def _size(result: Result) -> str:
    """How many networks, in how many samples where these are not the networks, and at which scale."""
    numbers = [str(result.networks)] if result.networks else []
    if result.units != result.networks:
        numbers.append(plural(result.units, "independent sample"))
    scale = f" ({escape(' and '.join(result.scales))} scale)" if result.scales else ""
    return " in ".join(numbers) + scale


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
        return f"{result.units} of the {FEWEST} independent samples that a verdict needs"
    if not np.isfinite([result.low, result.high]).all():
        return "the data give no finite interval"
    return "the interval lies on both sides of the criterion"


def _provenance(findings: Findings, results: list[Result], folder: Path) -> str:
    """Command lines behind the numbers, and where and with what they were computed."""
    rows = "".join(
        f"<dt>{escape(_words(name))} <span>{escape(_scale_of(finding))}</span></dt>"
        f"<dd><pre><code>{escape(finding.command)}</code></pre></dd>\n"
        for name, finding in findings.items()
    )
    own = {finding.command for finding in findings.values()}
    others = dict.fromkeys(line for result in results for line in result.commands if line not in own)
    if others:
        rows += f"<dt>Runs of other figures that the claims use</dt><dd>{''.join(map(code, others))}</dd>\n"
    places = dict.fromkeys(relative(path, folder) for finding in findings.values() for path in finding.folders)
    items = "".join(f"<li><code>{escape(place)}</code></li>" for place in places)
    environments = [e for finding in findings.values() for e in finding.environments]
    return f"""<details>
<summary>Commands, configuration and environment</summary>
<h3>Command lines behind the numbers</h3>
<dl class="commands">
{rows}</dl>
<h3>Tables</h3>
<p>In the results folder, each with its <code>config.yaml</code> and <code>environment.json</code>:</p>
<ul class="folders">{items}</ul>
<h3>Computed</h3>
{machines_html(environments)}</details>
"""


def _caption(figure: str) -> str:
    """What is to be seen: the comment with which the figure's experiment begins."""
    lines = (
        (resources.files("floss.conf.experiment.gradient_flossing") / f"{figure}.yaml")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    comment = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]
    text = re.sub(r"^(Fig\. \d+|Table \d+|Appendix [A-Z]): ", "", " ".join(comment))
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def _mark(verdict: str) -> str:
    return f'<span class="mark" aria-hidden="true">{VERDICTS[verdict][0]}</span> '


def _badge(result: Result) -> str:
    return f'<span class="badge {VERDICTS[result.verdict][1]}">{_mark(result.verdict)}{result.verdict}</span>'


def _anchor(result: Result) -> str:
    return "claim-" + re.sub(r"[^A-Za-z0-9]+", "-", result.claim.name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _fig(figure: str) -> str:
    """What `fig=` calls it."""
    return str(int(figure[3:])) if figure.startswith("fig") else figure


def _smallest(findings: Findings) -> str:
    return max((finding.scale for finding in findings.values()), key=SCALES.index)


_EXAMPLE = drawn_ruler(0.92, 0.87, 0.96, 0.8, np.inf).replace('class="ruler"', 'class="ruler example"').rstrip()
