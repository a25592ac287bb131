"""What `floss reproduce`, `floss figures` and `floss report` ask for."""

from dataclasses import dataclass
from typing import Any

from floss.jobs.keys import Check, key, one_of, optional, real, text

_FIGURE = "all, 1 to 16, table1, overlap, or a list of them"


def _figures(value: Any) -> int | str | tuple[int | str, ...]:
    """Numbers and names of figures; which there are is known where they are looked up."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, bool) or not isinstance(one, int | str):
            raise ValueError
    return tuple(value) if isinstance(value, list | tuple) else value


_FIGURES = Check(_figures, _FIGURE)


@dataclass(frozen=True, kw_only=True)
class FiguresJob:
    """All keys of `floss figures`."""

    fig: int | str | tuple[int | str, ...] | None = key(optional(_FIGURES), "draw only these")
    results: str = key(text(), "folder whose finished runs are drawn, with all folders below it")


@dataclass(frozen=True, kw_only=True)
class ReproduceJob:
    """All keys of `floss reproduce`."""

    fig: int | str | tuple[int | str, ...] = key(_FIGURES, "figures of the paper")
    scale: str = key(one_of("paper", "small", "smoke"), "the paper's own grid, fewer networks, or a mere trial")
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute")
    engine: str = key(one_of("auto", "torch", "native"), "which implementation of the hot loops")
    memory_limit: float | None = key(
        optional(real(0.0, above=True)), "gigabytes that one ensemble may take; null: half of what is free"
    )
    results: str = key(text(), "folder of the networks, the analyses and the figures")


@dataclass(frozen=True, kw_only=True)
class ReportJob:
    """All keys of `floss report`."""

    results: str = key(text(), "folder of floss reproduce")
    to: str = key(text(), "folder of claims.csv and report.html")
