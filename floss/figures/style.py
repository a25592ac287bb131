"""One look for all figures: colour-blind safe, never by colour alone, the same bytes when drawn twice."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from floss.figures.palette import COLOURS, DASHES, MARKERS
from floss.figures.schedules import place
from floss.runtime.files import write_whole

_FORMATS: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Kinds of pictures, and what none of them says."""
_width_in_inches: ContextVar[float | None] = ContextVar("width_in_inches", default=None)


@contextlib.contextmanager
def column_width(inches: float | None) -> Iterator[None]:
    """Pictures within it are as wide as a column of a paper, with smaller letters; None: as wide as they need."""
    token = _width_in_inches.set(inches)
    try:
        yield
    finally:
        _width_in_inches.reset(token)


@contextlib.contextmanager
def default_style() -> Iterator[None]:
    """Matplotlib's own defaults, whatever a user's `matplotlibrc`, a style or a program has set."""
    with plt.rc_context():
        matplotlib.rcdefaults()
        yield


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib settings of all figures: its defaults, and our own."""
    settings: Any = {
        "figure.dpi": 150,
        "savefig.dpi": 150,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "legend.fontsize": 8,
        "svg.hashsalt": "floss",
        "figure.constrained_layout.use": True,
    }
    in_a_column: Any = {
        "savefig.dpi": 300,
        "font.size": 7,
        "axes.titlesize": 7,
        "axes.linewidth": 0.6,
        "legend.fontsize": 6,
        "pdf.fonttype": 42,  # letters stay letters
    }
    with default_style():
        matplotlib.rcParams.update(settings)
        if _width_in_inches.get() is not None:
            matplotlib.rcParams.update(in_a_column)
        yield


def panels(
    rows: int, columns: int, size: tuple[float, float], *, sharex: bool = False, sharey: bool | str = False
) -> tuple[Figure, Any]:
    """A figure and its axes [rows, columns]; in a paper's column what lies side by side is put below one another.

    Args:
        rows: of panels.
        columns: of panels.
        size: width and height of the whole in inches, where no width is wanted.
        sharex: whether all panels share the horizontal axis.
        sharey: whether panels share the vertical one, or "row".
    """
    width = _width_in_inches.get()
    if width is None or columns == 1:
        if width is not None:
            size = (width, max(size[1] * width / size[0], 0.65 * width))
        return plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=sharex, sharey=sharey)  # pyright: ignore
    height = (0.3 + 0.62 * width / rows) * columns + 0.4
    shared = "col" if sharey == "row" else sharey
    figure, axes = plt.subplots(
        columns,
        rows,
        figsize=(width, height),
        squeeze=False,
        sharex=sharex,
        sharey=shared,  # pyright: ignore
    )
    return figure, axes.T


def outer_panels(axes: Any) -> tuple[list[list[Axes]], list[Axes]]:
    """Of panels [rows, columns] those that name the vertical axis of each row, and those that name the horizontal one.

    That are the first column and the last row; in a paper's column, where rows are columns, all of them and the lowest.
    """
    if _width_in_inches.get() is None or axes.shape[1] == 1:
        return [[row[0]] for row in axes], list(axes[-1])
    return [list(row) for row in axes], list(axes[:, -1])


def look(label: str, labels: Sequence[str]) -> tuple[str, str, str | tuple[int, tuple[int, ...]]]:
    """Colour, marker and line style of one of several labelled groups; a schedule's own wherever it is named alone."""
    own = place(label)
    i = sorted(labels).index(label) if own is None else own
    return COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]


def legend_outside(
    figure: Figure,
    handles: Sequence[Any],
    labels: Sequence[str],
    *,
    ncols: int,
    title_size: float | None = None,
    **how: Any,
) -> Legend:
    """A legend below the panels, in at most so many columns: in fewer where they do not fit, then in a wider figure."""

    def made(ncols: int) -> Legend:
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=ncols, **how)
        if title_size is not None:
            legend.get_title().set_fontsize(title_size)
        return legend

    legend = made(ncols)
    while (width := _width(figure, legend)) > 1.0 and ncols > 1:
        legend.remove()
        ncols -= 1
        legend = made(ncols)
    if width > 1.0 and _width_in_inches.get() is not None:
        for text in legend.get_texts():
            text.set_fontsize(0.97 * float(text.get_fontsize()) / width)
    elif width > 1.0:
        figure.set_figwidth(width * figure.get_figwidth() + 0.1)
    return legend


def legend_inside(axes: Axes, **how: Any) -> None:
    """A legend within a panel that is about as wide as its figure; below it where it is too wide for that."""
    figure: Any = axes.get_figure()
    legend = axes.legend(**how)
    if _width(figure, legend) > _WIDEST:
        legend.remove()
        legend_outside(figure, *axes.get_legend_handles_labels(), ncols=2, title=how.get("title"))


_WIDEST = 0.8
"""Share of a figure's width that a legend within its only panel may have."""


def _width(figure: Figure, legend: Legend) -> float:
    """Width of a legend as a share of its figure's; nothing is laid out for it."""
    canvas: Any = figure.canvas
    return legend.get_window_extent(canvas.get_renderer()).width / figure.bbox.width


_LAID_OUT: dict[Any, bool] = {"figure.constrained_layout.use": False}
"""For figures that have their layout: with an engine, also one called "none", saving would draw each of them twice."""


def _settle(figure: Figure) -> None:
    """Lay a figure out, and round the places of its axes to a millionth of its size.

    The last digits of a layout depend on the processor, and names within an SVG are made of all of them.
    """
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)  # drawing without rendering does this, and then takes as long again for nothing
    figure.set_layout_engine(None)
    for axes in figure.axes:
        axes.apply_aspect()
        axes.set_position(Bbox.from_bounds(*(round(place, 6) for place in axes.get_position().bounds)))


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg, whole or not at all, without dates, and close the figure.

    In a paper's column the names say the width, `stem`-3.3in.png, and there is a PDF as well.
    """
    width, kinds = _width_in_inches.get(), dict(_FORMATS)
    name = stem.name if width is None else f"{stem.name}-{width:g}in"
    if width is None:
        del kinds[".pdf"]
    with house_style(), plt.rc_context(_LAID_OUT):
        _settle(figure)
    paths = []
    for suffix, metadata in kinds.items():
        buffer = io.BytesIO()
        with house_style(), plt.rc_context(_LAID_OUT):  # names within an SVG are made when it is written
            figure.savefig(buffer, format=suffix[1:], metadata=metadata)
        path = stem.with_name(f"{name}{suffix}")
        write_whole(path, buffer.getvalue())
        paths.append(path)
    plt.close(figure)
    return paths
