"""`floss report`: one HTML page that needs nothing else, every figure of a paper beside its claims and our numbers.

The page loads nothing, runs nothing, names no machine and no path, and is the same bytes for the same data. What stands
where is in report.html.j2; here is what it shows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from floss.papers.claim import FEWEST, NOT_REPRODUCED, REPRODUCED, Result
from floss.papers.experiments import SCALES, Experiment
from floss.papers.finding import Finding, Findings
from floss.papers.findings import Reproduction
from floss.papers.intervals import REPLICATES
from floss.papers.report.embedding import embedded
from floss.papers.report.provenance import commits, dates, lost, machines, relative, software
from floss.papers.report.ruler import drawn_ruler
from floss.papers.report.tables import VERDICTS, counts, overview
from floss.papers.report.templates import TEMPLATES
from floss.papers.report.typesetting import NONE, anchor, listed, measured
from floss.papers.summary import stated
from floss.papers.words import plural


@dataclass(frozen=True)
class Section:
    """A figure on the page."""

    experiment: Experiment
    findings: Findings | None
    claims: list["ShownClaim"]
    keys: str
    """The keys that name the figure on a command line."""
    picture: tuple[str, tuple[int, int]] | None
    """Address, and width and height in CSS pixels."""
    provenance: dict[str, Any] | None

    @property
    def figure(self) -> str:
        """Name of the figure."""
        return self.experiment.figure

    @property
    def computed(self) -> bool:
        """Whether the figure has any data at all; else it is a mere drawing."""
        return any(self.experiment.scales.values())

    @property
    def data(self) -> str:
        """The scale of each run's data, and how many networks they are of; nothing of a drawing without data."""
        if not self.findings:
            return ""
        each = {name: scale_of(finding) for name, finding in self.findings.items()}
        if len(each) == 1:
            return f"Data: {next(iter(each.values()))}."
        return f"Data: {'; '.join(f'{_words(name)} – {text}' for name, text in each.items())}."


@dataclass(frozen=True)
class ShownClaim:
    """A claim beside the data, in the words of the page."""

    result: Result

    @property
    def anchor(self) -> str:
        """Identifier of the claim's card."""
        return anchor(self.result.claim.name)

    @property
    def value(self) -> tuple[str, str]:
        """The value, and its interval in brackets, which may be empty."""
        value, _, interval = measured(self.result).partition(" [")
        return value, f"[{interval}" if interval else ""

    @property
    def ruler(self) -> Markup:
        """The interval beside the criterion, as a drawing."""
        criterion = self.result.claim.criterion
        return drawn_ruler(self.result.value, self.result.low, self.result.high, criterion.above, criterion.below)

    @property
    def control(self) -> "ShownClaim | None":
        """The control, where the claim has one."""
        return None if self.result.control is None else ShownClaim(self.result.control)

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What must be known of the claim's history and of what else was tried, each with a name."""
        claim = self.result.claim
        return [
            (name, text)
            for name, text in (
                ("Changed.", claim.changed),
                ("Added when data were known.", claim.after_data),
                ("What else was tried.", claim.tried),
            )
            if text
        ]

    @property
    def size(self) -> str:
        """How many networks, in how many samples where these are not the networks, and at which scale."""
        result = self.result
        numbers = [str(result.networks)] if result.networks else []
        if result.units != result.networks and not result.formula:
            numbers.append(plural(result.units, "independent sample"))
        scale = f" ({' and '.join(result.scales)} scale)" if result.scales else ""
        return " in ".join(numbers) + scale

    @property
    def reason(self) -> str:
        """Why the verdict is what it is."""
        result = self.result
        if result.verdict == REPRODUCED:
            return "the value meets the criterion" if result.formula else "all of the interval meets the criterion"
        if result.verdict == NOT_REPRODUCED:
            return "the value misses the criterion" if result.formula else "none of the interval meets the criterion"
        if not result.units:
            return "no data"
        if "smoke" in result.scales:
            return "smoke scale only tries the program"
        if result.units < FEWEST and not result.formula:
            return f"{result.units} of the {FEWEST} independent samples that a verdict needs"
        if not np.isfinite([result.low, result.high]).all():
            return "the data give no finite interval"
        return "the interval lies on both sides of the criterion"


def page(reproduction: Reproduction, results: Sequence[Result], pictures: Path) -> str:
    """The whole page.

    Args:
        reproduction: the data; read, never computed.
        results: all claims, judged.
        pictures: folder of FIGURE.svg and FIGURE.png; any of them may be missing.
    """
    paper = reproduction.paper
    statements = stated(paper.statements(), results)
    sections = [_section(reproduction, figure, results, pictures) for figure in paper.figures()]
    style = (resources.files("floss.papers.report") / "report.css").read_text(encoding="utf-8")
    return TEMPLATES.get_template("report.html.j2").render(
        paper=paper,
        style=Markup(style),
        sections=sections,
        claims=plural(sum(not result.claim.ours for result in results), "claim"),
        tally=counts(results),
        questions=counts(results, ours=True) if any(result.claim.ours for result in results) else None,
        verdicts=VERDICTS,
        overview=overview(statements, results) if statements else "",
        statements=statements,
        data=_data(sections),
        example=drawn_ruler(0.92, 0.87, 0.96, 0.8, np.inf, example=True),
        replicates=REPLICATES,
        fewest=FEWEST,
        nothing=NONE,
    )


def _section(reproduction: Reproduction, figure: str, results: Sequence[Result], pictures: Path) -> Section:
    paper, findings = reproduction.paper, reproduction.findings(figure)
    claims = [result for result in results if result.claim.figure == figure]
    return Section(
        experiment=paper.experiment(figure),
        findings=findings,
        claims=list(map(ShownClaim, claims)),
        keys=paper.keys(figure),
        picture=None if findings is None else embedded(pictures / f"{figure}.svg", pictures / f"{figure}.png"),
        provenance=_provenance(findings, claims, reproduction.results) if findings else None,
    )


def _data(sections: Sequence[Section]) -> list[tuple[str, str]]:
    """When, where and with what the numbers of the page were made."""
    complete = [section.findings for section in sections if section.findings is not None]
    scales = Counter(_smallest(findings) for findings in complete if findings)
    environments = [e for findings in complete for finding in findings.values() for e in finding.environments]
    drawn = [f"{scales[scale]} at {scale} scale" for scale in SCALES if scales[scale]]
    drawn += [f"{complete.count({})} drawn by code from no data"] if {} in complete else []
    drawn += [f"{len(sections) - len(complete)} without data"] if len(complete) < len(sections) else []
    return [
        ("Figures", f"{len(sections)}: {', '.join(drawn)}"),
        ("Data of", dates(environments)),
        ("Hardware", listed(e.get("device") for e in environments)),
        ("Software", software(environments)),
        ("Source", commits(environments)),
    ]


def _provenance(findings: Findings, results: Sequence[Result], folder: Path) -> dict[str, Any]:
    """Command lines behind the numbers, and where and with what they were computed."""
    commands = {finding.command for finding in findings.values()}
    places = dict.fromkeys(relative(path, folder) for finding in findings.values() for path in finding.folders)
    environments = [e for finding in findings.values() for e in finding.environments]
    return {
        "runs": [(_words(name), scale_of(finding), finding.command) for name, finding in findings.items()],
        "further": list(dict.fromkeys(line for r in results for line in r.commands if line not in commands)),
        "folders": list(places),
        "machines": machines(environments),
        "lost": lost(environments),
    }


def scale_of(finding: Finding) -> str:
    """Paper scale: 480 networks."""
    return f"{finding.scale} scale" + (f": {plural(finding.networks, 'network')}" if finding.networks else "")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _smallest(findings: Findings) -> str:
    return max((finding.scale for finding in findings.values()), key=SCALES.index)
