"""The figures of the paper, drawn from what a results folder holds; computes nothing."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from floss.figures.style import save
from floss.papers.findings import Reproduction

FIGURES = "figures"
"""Folder of the pictures in a reproduction's folder."""


def draw_figure(reproduction: Reproduction, figure: str) -> list[Path]:
    """Draw a figure of which every run is complete at some scale; the files written, PNG and SVG."""
    findings = reproduction.findings(figure)
    if findings is None:
        return []
    folder = reproduction.results / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    return save(import_module(f"floss.papers.gradient_flossing.{figure}").draw(findings), folder / figure)


def draw_figures(reproduction: Reproduction, figures: Sequence[str]) -> tuple[int, int]:
    """Draw figures and print the files; how many were drawn, and how many cannot be."""
    drawn = damaged = 0
    for figure in figures:
        try:
            paths = draw_figure(reproduction, figure)
        except (OSError, ValueError, KeyError) as error:
            damaged += 1
            text = " ".join(str(error).split()) or type(error).__name__
            print(f"floss: {reproduction.results}: {figure} cannot be drawn: {text}", file=sys.stderr)
            continue
        drawn += bool(paths)
        for path in paths:
            print(path, flush=True)
    return drawn, damaged
