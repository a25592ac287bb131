"""Tables of text: the claims for the terminal, claims and figures in Markdown."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence

from floss.paper.claims.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Result
from floss.paper.experiments import experiment, figures, label
from floss.paper.findings import Reproduction
from floss.paper.typesetting import NONE, criterion, measured, plain_in_markdown, plural, typeset

VERDICTS = {REPRODUCED: ("✓", "yes"), NOT_REPRODUCED: ("✗", "no"), NOT_ENOUGH: ("○", "open")}
"""Symbol and CSS class of each verdict: never by colour alone."""
WIDTH = 110
"""Characters of a line in the terminal."""


def table(results: Sequence[Result]) -> str:
    """The claims as lines of a terminal: what was measured, and the verdict."""
    head = ("figure", "claim", "value [95 % interval]", "criterion", "networks", "verdict")
    rows = [
        (
            label(r.claim.figure),
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


def claims_markdown(results: Sequence[Result]) -> str:
    """The claims in Markdown: how many have each verdict, and a table."""
    tally = ", ".join(f"{number} {verdict}" for verdict, number in counts(results).items())
    lines = [f"**{plural(len(results), 'claim')}: {tally}.**", ""]
    lines += ["| figure | claim (our words) | measured | criterion | networks | verdict |", "|---|---|---|---|---|---|"]
    for r in results:
        claim = f"{r.claim.sentence} ({r.claim.place})" if r.claim.place else r.claim.sentence
        cells = [
            label(r.claim.figure),
            claim,
            f"{r.claim.statistic}: {typeset(measured(r))}",
            typeset(str(r.claim.criterion)),
            str(r.networks or NONE),
            f"{VERDICTS[r.verdict][0]} {r.verdict}",
        ]
        lines.append(f"| {' | '.join(map(plain_in_markdown, cells))} |")
    return "\n".join(lines) + "\n"


def figures_markdown(reproduction: Reproduction, pictures: str) -> str:
    """The figures as a table in Markdown: title, and the scale and number of networks that each is drawn from.

    Args:
        reproduction: the data.
        pictures: address of the folder of figNN.png, as a link of the page has it.
    """
    lines = ["| figure | shows | data |", "|---|---|---|"]
    for figure in figures():
        findings, title = reproduction.findings(figure), experiment(figure).title
        if findings is None:
            lines.append(f"| {label(figure)} | {title} | none yet |")
            continue
        networks = Counter[str]()
        for finding in findings.values():
            networks[finding.scale] += finding.networks
        scales = [f"{s} scale" + (f", {plural(n, 'network')}" if n else "") for s, n in networks.items()]
        data = "; ".join(scales) or "a drawing"
        lines.append(f"| [{label(figure)}]({pictures}/{figure}.png) | {title} | {data} |")
    return "\n".join(lines) + "\n"


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many claims have each verdict."""
    counter = Counter(r.verdict for r in results)
    return {verdict: counter[verdict] for verdict in VERDICTS}
