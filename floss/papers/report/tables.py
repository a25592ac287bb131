"""Tables of text: the claims for the terminal; claims and figures in Markdown."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence

from floss.papers.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Result
from floss.papers.draw import FIGURES
from floss.papers.findings import Reproduction
from floss.papers.paper import Paper
from floss.papers.report.typesetting import NONE, criterion, measured, plain_in_markdown, typeset
from floss.papers.summary import SHOWN, UNMEASURED, Stated, independent_sets, tally
from floss.papers.words import plural

VERDICTS = {REPRODUCED: ("✓", "yes"), NOT_REPRODUCED: ("✗", "no"), NOT_ENOUGH: ("○", "open")}
"""Symbol and CSS class of each verdict: never by colour alone."""
WIDTH = 110
"""Characters of a line in the terminal."""


def table(results: Sequence[Result], paper: Paper) -> str:
    """The claims of a paper as lines of a terminal: what was measured, and the verdict."""
    head = ("figure", "claim", "value [95 % interval]", "criterion", "networks", "verdict")
    rows = [
        (
            paper.label(r.claim.figure),
            r.claim.name.removeprefix(f"{r.claim.figure}."),
            measured(r),
            criterion(r),
            str(r.networks or NONE),
            f"{VERDICTS[r.verdict][0]} {r.verdict}",
        )
        for r in results
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    widths[1] = max(12, min(widths[1], WIDTH - sum(widths) + widths[1] - 2 * (len(head) - 1)))
    lines = []
    for row in [head, *rows]:
        parts = textwrap.wrap(re.sub(r"([._-])", r"\1 ", row[1]), widths[1]) or [""]
        first, *more = [part.replace(" ", "") for part in parts]
        cells = [row[0], first, *row[2:4], row[4].rjust(widths[4]), row[5]]
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        lines += [" " * (widths[0] + 2) + part for part in more]
    return "\n".join(lines) + "\n"


def claims_markdown(results: Sequence[Result], paper: Paper, *, ours: bool = False) -> str:
    """The claims of a paper in Markdown: how many have each verdict, and a table.

    Args:
        results: all claims, judged.
        paper: whose claims they are.
        ours: those that the paper does not make, instead of its own.
    """
    results = [r for r in results if r.claim.ours == ours]
    tally = ", ".join(f"{number} {verdict}" for verdict, number in counts(results, ours=ours).items())
    whose = " of ours" if ours else ""
    lines = [f"**{plural(len(results), 'claim')}{whose}: {tally}.**", ""]
    lines += ["| figure | claim (our words) | measured | criterion | networks | verdict |", "|---|---|---|---|---|---|"]
    for r in results:
        claim = f"{r.claim.sentence} ({r.claim.place})" if r.claim.place else r.claim.sentence
        cells = [
            paper.label(r.claim.figure),
            claim,
            f"{r.claim.statistic}: {typeset(measured(r))}{beside(r)}",
            typeset(str(r.claim.criterion)),
            str(r.networks or NONE),
            f"{VERDICTS[r.verdict][0]} {r.verdict}",
        ]
        lines.append(f"| {' | '.join(map(plain_in_markdown, cells))} |")
    return "\n".join(lines) + "\n"


def figures_markdown(reproduction: Reproduction, pictures: str = "") -> str:
    """The figures as a table in Markdown: title, and the scale and number of networks that each is drawn from.

    Args:
        reproduction: whose figures they are.
        pictures: their folder as seen from where the table stands; that of the paper in the repository if empty.
    """
    paper, pictures = reproduction.paper, pictures or f"{reproduction.paper.results_folder}/{FIGURES}"
    lines = ["| figure | shows | data |", "|---|---|---|"]
    for figure in paper.figures():
        findings, title, label = reproduction.findings(figure), paper.experiment(figure).title, paper.label(figure)
        if findings is None:
            lines.append(f"| {label} | {title} | none yet |")
            continue
        networks = Counter[str]()
        for finding in findings.values():
            networks[finding.scale] += finding.networks
        scales = [f"{s} scale" + (f", {plural(n, 'network')}" if n else "") for s, n in networks.items()]
        data = "; ".join(scales) or "a drawing"
        lines.append(f"| [{label}]({pictures}/{figure}.png) | {title} | {data} |")
    return "\n".join(lines) + "\n"


def beside(result: Result) -> str:
    """The control of a claim, in words, to be set after its value; empty where it has none."""
    if result.control is None:
        return ""
    verdict = "misses the criterion" if result.control.misses else "does not miss the criterion"
    return f"; control, {result.claim.control_says}: {typeset(measured(result.control))}, {verdict}"


def changes_markdown(results: Sequence[Result], paper: Paper) -> str:
    """The claims whose statistic or criterion was changed, or that were added when data were known, as a list."""
    lines = []
    for r in results:
        notes = [r.claim.changed] if r.claim.changed else []
        notes += [f"Added after data: {r.claim.after_data}"] if r.claim.after_data else []
        if notes:
            lines.append(f"- `{r.claim.name}` ({paper.label(r.claim.figure)}): {plain_in_markdown(' '.join(notes))}")
    return "\n".join(lines or ["None."]) + "\n"


def overview(statements: Sequence[Stated], results: Sequence[Result]) -> str:
    """In two sentences: how many statements there are and what became of them, and on how many networks that rests."""
    numbers = tally(statements)
    measured_ones = sum(numbers[verdict] for verdict in VERDICTS)
    verdicts = ", ".join(f"{numbers[verdict]} {verdict}" for verdict in VERDICTS)
    with_networks = [r for r in results if r.identities and not r.claim.ours]
    sets = independent_sets(with_networks)
    return (
        f"The paper makes {plural(len(statements), 'statement')} about what is seen: {measured_ones} are measured"
        f" ({verdicts}), {numbers[SHOWN]} {'are' if numbers[SHOWN] != 1 else 'is'} shown in a panel, and for"
        f" {numbers[UNMEASURED]} it is said why nothing measures them."
        f" The {plural(len(with_networks), 'claim')} that measure them on networks stand on"
        f" {plural(len(sets), 'set')} of networks that share none."
    )


def statements_markdown(statements: Sequence[Stated]) -> str:
    """The statements of a paper as a table in Markdown: what measures each, and the verdict of all of that together."""
    lines = ["| where | the paper says (our words) | measured by | verdict |", "|---|---|---|---|"]
    for one in statements:
        said, names = one.statement, ", ".join(r.claim.name for r in one.results)
        by = names or (f"panel {', '.join(said.panels)}" if said.panels else said.unmeasured)
        mark = f"{VERDICTS[one.verdict][0]} {one.verdict}" if one.verdict in VERDICTS else one.verdict
        lines.append(f"| {' | '.join(map(plain_in_markdown, (said.place, said.sentence, by, mark)))} |")
    return "\n".join(lines) + "\n"


def counts(results: Sequence[Result], *, ours: bool = False) -> dict[str, int]:
    """How many claims have each verdict: of the paper's, or of ours."""
    counter = Counter(r.verdict for r in results if r.claim.ours == ours)
    return {verdict: counter[verdict] for verdict in VERDICTS}
