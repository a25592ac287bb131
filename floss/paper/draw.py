"""The figures of the paper, drawn from what a results folder holds; computes nothing."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from floss.figures.style import save
from floss.paper.findings import Reproduction

FIGURES = "figures"
"""Folder of the pictures in a reproduction's folder."""


def draw_figures(reproduction: Reproduction, figures: Sequence[str]) -> Iterator[Path]:
    """Draw those figures of which every run is complete at some scale; the files written, PNG and SVG."""
    folder = reproduction.results / FIGURES
    for figure in figures:
        findings = reproduction.findings(figure)
        if findings is not None:
            folder.mkdir(parents=True, exist_ok=True)
            yield from save(import_module(f"floss.figures.{figure}").draw(findings), folder / figure)
