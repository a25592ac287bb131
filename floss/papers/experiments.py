"""Which runs each figure of a paper needs: `FIGURE.yaml`, one file for each, in the folder of the paper's experiments.

A run is a command line of one kind of job (`floss train -m`, `floss spectrum`, ...): what all scales share, and what a
scale adds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from itertools import takewhile
from typing import Any

from omegaconf import OmegaConf

from floss.papers.kind import Kind, Run

SCALES = ("paper", "small", "smoke")
"""From the largest to the smallest."""


@dataclass(frozen=True)
class Experiment:
    """The data behind one figure of a paper."""

    figure: str
    """Name of the file: fig01, ..., fig16, table1, or another word."""
    label: str
    """The paper's name for it: Fig. 1, Table 1, App. D."""
    title: str
    """What is to be seen, in our words."""
    caption: str
    """The comment with which the file begins, without the label."""
    scales: dict[str, dict[str, Run]]
    """The runs by scale and name; a run that is the same at a larger scale is that of the larger one."""


def read_experiment(paper: str, file: Traversable, kinds: Sequence[Kind]) -> Experiment:
    """The experiment in a file.

    Raises:
        ValueError: a run that is of no kind, or of several.
    """
    figure, text = file.name.removesuffix(".yaml"), file.read_text(encoding="utf-8")
    content: Any = OmegaConf.to_container(OmegaConf.create(text))
    by_command = {kind.command: kind for kind in kinds}
    scales: dict[str, dict[str, Run]] = {scale: {} for scale in SCALES}
    for name, lines in content["runs"].items():
        commands = [word for word in lines if word not in SCALES]
        if len(commands) != 1 or commands[0] not in by_command:
            kinds_of_run = ", ".join(commands) or "no kind of job"
            raise ValueError(f"{file.name}: {name}: has {kinds_of_run}, and must have one of {', '.join(by_command)}")
        run_of: dict[tuple[str, ...], Run] = {}
        for scale in SCALES:
            overrides = tuple(f"{lines[commands[0]] or ''} {lines.get(scale) or ''}".split())
            run = Run(paper, figure, name, scale, by_command[commands[0]], overrides)
            scales[scale][name] = run_of.setdefault(overrides, run)
    label = content.get("label", default_label(figure))
    return Experiment(figure, label, content["title"], _caption(text), scales)


def default_label(figure: str) -> str:
    """The label of a figure whose file names none: Fig. 4 of fig04, Table 1 of table1."""
    if not (parts := re.fullmatch(r"([a-z]+?)(\d+)", figure)):
        return figure.replace("_", " ").capitalize()
    kind, number = parts.groups()
    return f"{'Fig.' if kind == 'fig' else kind.capitalize()} {int(number)}"


def order(figure: str) -> tuple[int, int, str]:
    """Sorts figures first, then tables, then all else."""
    kind, number = re.match(r"(\D*)(\d*)", figure).groups()  # pyright: ignore[reportOptionalMemberAccess]
    kinds = ("fig", "table")
    return (kinds.index(kind) if kind in kinds else len(kinds), int(number or 0), figure)


def _caption(text: str) -> str:
    comment = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines())]
    caption = re.sub(r"^(Fig\. \d+|Table \d+|Appendix [A-Z]): ", "", " ".join(comment))
    return caption[:1].upper() + caption[1:] if caption[:1].isascii() else caption
