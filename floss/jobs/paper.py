"""The configuration of `floss reproduce`, `floss figures` and `floss report`, and which papers there are."""

import re
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

from floss.jobs.keys import Check, key, one_of, optional, real, text

DEFAULT_PAPER = "gradient_flossing"
"""The paper that is meant where `paper=` is not given."""
ENTRY_POINTS = "floss.papers"
"""Group of entry points by which an installed package brings a paper: its name, and where its `PAPER` is."""


def paper_names() -> list[str]:
    """Every value of `paper=`: the folders of conf/experiment, and the papers of installed packages."""
    folders = [folder.name for folder in resources.files("floss.conf.experiment").iterdir() if folder.is_dir()]
    names = sorted(name for name in folders if not name.startswith("_"))
    return list(dict.fromkeys([*names, *(entry.name for entry in metadata.entry_points(group=ENTRY_POINTS))]))


def figure_key(figure: str) -> str:
    """The value of `fig=` that means a figure: 4 for fig04, and otherwise its name."""
    return str(int(number[1])) if (number := re.fullmatch(r"fig(\d+)", figure)) else figure


def figure_keys(paper: str, figure: str) -> str:
    """The keys that name a figure on a command line."""
    named = "" if paper == DEFAULT_PAPER else f"paper={paper} "
    return f"{named}fig={figure_key(figure)}"


def _figures(value: Any) -> Any:
    """Numbers and names of figures; which of them a paper has is known where the paper is read."""
    for figure in value if isinstance(value, list | tuple) else [value]:
        if isinstance(figure, bool) or not isinstance(figure, int | float | str):
            raise ValueError
    return tuple(value) if isinstance(value, list | tuple) else value


_FIGURES = Check(_figures, "all, a number, a name, or a list of them", text=True)


@dataclass(frozen=True, kw_only=True)
class FigureConfig:
    """Keys `figure.*`."""

    width: float | None = key(
        optional(real(2.5, below=50.0)),
        "inches: pictures of runs and analyses for a column of a paper, beside the others; null: as wide as they need",
    )


@dataclass(frozen=True, kw_only=True)
class FiguresJob:
    """All keys of `floss figures`."""

    paper: str | None = key(
        optional(text()), f"draw only the figures of this paper; null: of every one, or with fig= of {DEFAULT_PAPER}"
    )
    fig: int | float | str | tuple[int | float | str, ...] | None = key(optional(_FIGURES), "draw only these figures")
    figure: FigureConfig
    results: str = key(text(), "folder whose finished runs are drawn, with all folders below it")


@dataclass(frozen=True, kw_only=True)
class ReproduceJob:
    """All keys of `floss reproduce`."""

    paper: str = key(text(), "which paper")
    fig: int | float | str | tuple[int | float | str, ...] = key(_FIGURES, "figures of the paper")
    scale: str = key(one_of("paper", "small", "smoke"), "the paper's own grid, fewer networks, or a mere trial")
    data: str | None = key(
        optional(text()),
        "file of your own embeddings [sequence, token, feature] in the place of the surrogate of curse_of_memory"
        " (Figs 5 and 12 to 15): .npy, .safetensors or .pt",
    )
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute")
    engine: str = key(one_of("auto", "torch", "native"), "which implementation of the hot loops")
    memory_limit: float | None = key(
        optional(real(0.0, above=True)), "gigabytes that one ensemble may take; null: half of what is free"
    )
    results: str | None = key(
        optional(text()),
        f"folder of networks, analyses and figures; null: results/PAPER, or results/paper of {DEFAULT_PAPER}; with"
        " data= results/PAPER-HASH",
    )


@dataclass(frozen=True, kw_only=True)
class ReportJob:
    """All keys of `floss report`."""

    paper: str = key(text(), "which paper")
    results: str | None = key(optional(text()), "folder of floss reproduce; null: the one that it takes by itself")
    to: str | None = key(
        optional(text()),
        f"folder of claims.csv and report.html; null: that of the reproduction, or results of {DEFAULT_PAPER}",
    )
