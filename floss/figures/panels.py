"""What the panels of several figures share: groups of networks against the delay, against k, and against the epoch."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
from omegaconf import OmegaConf

from floss.figures.schedules import SCHEDULES, in_words
from floss.figures.style import COLOURS, MARKERS, legend_outside, look
from floss.training.schedule import episode_starts

CHANCE = 0.5
"""Accuracy of guessing."""
DELAY = 70
"""The delay d of panels that show one delay, where the networks have it."""
FLOOR = 1e-14
"""Gradient norms below this, and those that are zero in the arithmetic used, are drawn at the lower edge."""
NORM = "gradient norm ‖∂L/∂h₀‖"
"""What axes call the gradient norm."""
TASKS = {
    "copy": "delayed copy",
    "xor_continuous": "continuous temporal XOR",
    "xor": "binary temporal XOR",
    "spatial_xor": "spatial XOR",
}
"""What titles call the tasks."""
_MOST_POINTS = 5_000
"""Thin lines with more points than this become pixels in an SVG, which would have megabytes otherwise."""

Dashes = str | tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Group:
    """Networks that a legend calls by one name, and how they look."""

    label: str
    rows: pd.DataFrame
    colour: Any
    marker: str
    dashes: Dashes


def count(rows: pd.DataFrame, by: str | list[str], measure: str) -> str:
    """How many networks have a value at each place: n = 5, or n = 3-5."""
    n = rows.dropna(subset=[measure]).groupby(by)[measure].count()
    low, high = (n.min(), n.max()) if len(n) else (0, 0)
    return f"n = {low}-{high}" if low < high else f"n = {low}"


def by_schedule(table: pd.DataFrame, counted: str = "") -> list[Group]:
    """The networks of each schedule, called by its words, in the order of their colours; `counted` says how many."""
    present = set(table["flossing"])
    names = [name for name in SCHEDULES if name in present] + sorted(present - set(SCHEDULES))
    end = f" ({counted})" if counted else ""
    return [Group(f"{in_words(name)}{end}", table[table["flossing"] == name], *look(name, names)) for name in names]


def by_value(table: pd.DataFrame, column: str) -> list[Group]:
    """The networks of each value of a numeric column, from dark to light, each with a marker of its own."""
    values = sorted(table[column].unique())
    colours = plt.get_cmap(_RAMPS[column])(np.linspace(0, 0.88, len(values)))
    return [
        Group(f"{column} = {value}", table[table[column] == value], tuple(colour), _MARKERS[i % len(_MARKERS)], "-")
        for i, (value, colour) in enumerate(zip(values, colours, strict=True))
    ]


_MARKERS = (*MARKERS, "X", "*", "<", ">")
_RAMPS = {"k": "viridis", "d": "plasma"}


def by_network(training: pd.DataFrame) -> list[Group]:
    """Each network by its seed, with a colour and marker of its own."""
    networks = training.groupby(["seed", "network"]).size().index
    rows = dict(list(training.groupby("network")))
    turn = len(COLOURS)
    return [
        Group(f"seed {seed}", rows[key], COLOURS[i % turn], MARKERS[(i + i // turn) % len(MARKERS)], "-")
        for i, (seed, key) in enumerate(networks)
    ]


def at_delay(table: pd.DataFrame, wanted: int = DELAY) -> tuple[int, pd.DataFrame]:
    """The rows of one delay: the wanted one, or the largest where there is none such."""
    d = wanted if (table["d"] == wanted).any() else int(table["d"].max())
    return d, table.loc[table["d"] == d]


# --- against the delay, or k ----------------------------------------------------------------------------------------


def against(
    axes: Axes,
    groups: Sequence[Group],
    x: str,
    measure: str,
    *,
    percentiles: tuple[float, float] = (0.2, 0.8),
    step: float = 0.16,
) -> None:
    """Mean, percentiles, and every network as a dot, moved sideways by `step` of the gap between places and groups."""
    rows = [group.rows.dropna(subset=[measure]) for group in groups]
    places = np.array(sorted({value for each in rows for value in each[x]}))
    gap = min(np.diff(places).min(), np.ptp(places) / 8) if len(places) > 1 else 1
    for place, (group, finite) in enumerate(zip(groups, rows, strict=True)):
        if finite.empty:
            continue
        values = finite.groupby(x)[measure]
        mean, low, high = values.mean(), *(values.quantile(percentile) for percentile in percentiles)
        shift = step * gap * (place - (len(groups) - 1) / 2)
        axes.fill_between(mean.index, low, high, color=group.colour, alpha=0.15, linewidth=0)
        axes.plot(finite[x] + shift, finite[measure], ".", color=group.colour, markersize=4, alpha=0.6)
        axes.plot(
            mean.index,
            mean,
            color=group.colour,
            marker=group.marker,
            linestyle=group.dashes,
            markersize=5,
            label=group.label,
        )


def sweep_panel(axes: Axes, summary: pd.DataFrame, x: Literal["d", "k"], title: str) -> None:
    """Final accuracy against the delay, one line for each k, or the other way round: mean, quartiles, dots."""
    groups = by_value(summary, "k" if x == "d" else "d")
    against(axes, groups, x, "final_accuracy", percentiles=(0.25, 0.75), step=0.5 / len(groups))
    if x == "d":
        delay_axis(axes, summary)
    else:
        number_axis(axes, summary)
    handles, labels = axes.get_legend_handles_labels()
    accuracy_axis(axes)
    axes.set_ylabel("final test accuracy")
    axes.set_title(title)
    axes.legend(
        handles,
        labels,
        title=f"{count(summary, ['d', 'k'], 'final_accuracy')} networks each: dots, mean, quartiles shaded",
        title_fontsize=8,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=4,
        handlelength=2.4,
        columnspacing=1.2,
    )


def delay_axis(axes: Axes, summary: pd.DataFrame) -> None:
    """Ticks at the delays."""
    axes.set_xticks(sorted(summary["d"].unique()))
    axes.set_xlabel("delay d (steps)")


def number_axis(axes: Axes, summary: pd.DataFrame) -> None:
    """Ticks at the numbers of flossed exponents, whose labels keep clear of each other."""
    values = sorted(summary["k"].unique())
    least = (values[-1] - values[0]) / 12
    kept: list[int] = []
    for value in reversed(values):  # the largest, k = N, is always labelled
        if not kept or kept[-1] - value >= least:
            kept.append(value)
    axes.set_xticks(kept[::-1])
    axes.set_xticks(values, minor=True)
    axes.set_xlabel("number k of flossed exponents")


# --- against the epoch ----------------------------------------------------------------------------------------------


def course(rows: pd.DataFrame, measure: str, floor: float | None = None) -> pd.DataFrame:
    """A measure, one row for each epoch and one column for each network, by seed; nothing in it is below the floor."""
    finite = rows[np.isfinite(rows[measure])]
    table = finite.pivot_table(index="epoch", columns=["seed", "network"], values=measure)
    return table if floor is None else table.clip(lower=floor)


def thin(axes: Axes, table: pd.DataFrame, colour: Any, *, linewidth: float = 0.5, alpha: float = 0.45) -> None:
    """Every network as a thin line."""
    rasterized = table.size > _MOST_POINTS
    axes.plot(table.index, table.to_numpy(), color=colour, linewidth=linewidth, alpha=alpha, rasterized=rasterized)


def courses(
    axes: Axes, group: Group, measure: str, centre: Literal["mean", "median"] = "mean", floor: float | None = None
) -> None:
    """Every network thin, and what is in their centre thick."""
    table = course(group.rows, measure, floor)
    thin(axes, table, group.colour)
    middle = table.mean(axis=1) if centre == "mean" else table.median(axis=1)
    axes.plot(table.index, middle, color=group.colour, linestyle=group.dashes, linewidth=2, label=group.label)


def mark_episodes(axes: Axes, starts: Sequence[int], place: int, colour: Any) -> None:
    """Triangles above the axes, in the row `place`; they would confuse the layout, which is told to pass them over."""
    heights = [1.025 + 0.035 * place] * len(starts)
    above = axes.get_xaxis_transform()
    marks = axes.plot(starts, heights, "v", color=colour, markersize=4, clip_on=False, transform=above)
    marks[0].set_in_layout(False)


def episodes(schedule: str, epochs: int) -> tuple[int, ...]:
    """Training epochs of a training of so many epochs before which a schedule of conf/flossing has an episode."""
    at, every = _schedule(schedule)
    return episode_starts(at, every, epochs)


@functools.cache
def _schedule(name: str) -> tuple[tuple[int, ...], int | None]:
    file = resources.files("floss.conf.flossing") / f"{name}.yaml"
    content: Any = OmegaConf.create(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return tuple(content.get("at", ())), content.get("every")


def mark_schedules(axes: Axes, training: pd.DataFrame) -> int:
    """Triangles at the episodes in the range of these rows, in a line for each schedule; returns how many lines."""
    first, last = int(training["epoch"].min()), int(training["epoch"].max())
    flossed = []
    for group in by_schedule(training):
        schedule = group.rows["flossing"].iloc[0]
        if starts := [start for start in episodes(schedule, last + 1) if start >= first]:
            flossed.append((group, starts))
    for place, (group, starts) in enumerate(reversed(flossed)):
        mark_episodes(axes, starts, place, group.colour)
    if flossed:
        axes.plot([], [], "v", color="0.3", markersize=4, label="flossing episode")
    return len(flossed)


def pad(rows: int) -> float:
    """Space between the axes and the title, for so many lines of triangles."""
    return 6 + 5 * rows


def epoch_axis(axes: Axes, training: pd.DataFrame) -> None:
    """The training epoch, linear, from the first to the last of these rows."""
    first, last = int(training["epoch"].min()), int(training["epoch"].max())
    margin = 0.03 * max(last - first, 1)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("training epoch")


def first_epochs(axes: Axes, training: pd.DataFrame, until: int) -> None:
    """A linear axis of the first epochs of a training, which says so where there are more."""
    epoch_axis(axes, training)
    epochs = int(training["epoch"].max()) + 1
    if epochs > until:
        axes.set_xlim(-0.02 * until, until)
        axes.set_xlabel(f"training epoch (the first {until} of {epochs})")


def norms(rows: pd.DataFrame) -> pd.DataFrame:
    """‖∂L/∂h₀‖, one row for each epoch and one column for each network, as a logarithmic axis can show it."""
    return course(rows, "grad_norm_h0", FLOOR)


def norm_axis(axes: Axes) -> None:
    """A logarithmic axis of gradient norms, whose lowest tick says that smaller ones are drawn there."""
    axes.set_yscale("log")
    highest = axes.dataLim.ymax  # not finite where nothing is drawn
    high = 3 * max(highest if np.isfinite(highest) else 1.0, 1.0)
    axes.set_ylim(FLOOR / 5, high)
    lowest = round(np.log10(FLOOR))
    powers = range(lowest, int(np.floor(np.log10(high))) + 1, 4)
    axes.set_yticks([10.0**p for p in powers], [f"{'≤ ' * (p == lowest)}10$^{{{p}}}$" for p in powers])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(NORM)


def accuracy_axis(axes: Axes) -> None:
    """From below chance, which is marked, to 1."""
    axes.axhline(CHANCE, color="0.6", linewidth=0.8, zorder=0, label="chance")
    axes.set_ylim(0.4, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def legend_below(figure: Figure, panels: Iterable[Axes], *, title: str | None = None, ncols: int = 4) -> None:
    """One legend for all panels, below them, with each label once."""
    handle_of: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        handle_of |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in handle_of}
    if handle_of:
        lines, labels = list(handle_of.values()), list(handle_of)
        legend_outside(figure, lines, labels, title=title, ncols=ncols, handlelength=3.2, title_size=8)
