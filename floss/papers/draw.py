"""The pictures of a paper's figures, drawn from what a results folder holds; computes nothing."""

from pathlib import Path

from floss.figures.style import default_style, save
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
    with default_style():
        drawn = reproduction.paper.module(figure).draw(findings)
    return save(drawn, folder / figure)
