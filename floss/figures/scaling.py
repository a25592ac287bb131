"""How the cost of both hot loops grows with each size, every engine and peer: drawn from bench.csv alone."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

from floss.figures.growth import SIZES, Growth, cost, growth, of_tanh_networks
from floss.figures.style import COLOURS, DASHES, MARKERS, house_style, legend_outside, save

_LOOPS = {"train": "training", "floss": "flossing", "spectrum": "spectrum"}
_NAMES = {"n": "units", "t": "steps", "k": "exponents", "batch": "batch", "networks": "networks"}
_ENGINES = ("torch", "native", "jax", "torch-single", "clvlib", "lyapax", "graph")
"""In the order of their colours, so that an engine looks the same in every panel; `floss` of the spectra is torch's."""

_ORDERS = "orders of Table 1"
_APART = 1.35
"""Least ratio of the heights of two texts."""


def draw_scaling(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Cost of a network and epoch against every size that varies, one row of panels for each loop. PNG and SVG.

    Medians, and their spread as bars; at each line's end the fitted power. Nothing is drawn where nothing varies.
    """
    table = of_tanh_networks(table)
    fits = growth(table)
    rows = {loop: [size for size in SIZES if _of(fits, loop, size)] for loop in _LOOPS}
    rows = {loop: sizes for loop, sizes in rows.items() if sizes}
    if not rows:
        return []
    columns = max(map(len, rows.values()))
    with house_style():
        figure, axes = plt.subplots(
            len(rows), columns, figsize=(0.7 + 2.75 * columns, 0.7 + 2.7 * len(rows)), squeeze=False, sharey="row"
        )
        for panels, (loop, sizes) in zip(axes, rows.items(), strict=True):
            for panel, size in zip(panels, sizes, strict=False):
                _panel(panel, _of(fits, loop, size), table)
            panels[0].set_ylabel(f"{_LOOPS[loop]}: ms per network and epoch")
            for panel in panels[len(sizes) :]:
                panel.set_axis_off()
        handle_of = dict(
            item for panel in axes.flat for item in zip(*panel.get_legend_handles_labels()[::-1], strict=True)
        )
        names = sorted(handle_of, key=lambda name: (name == _ORDERS, _place(name)))
        legend_outside(figure, [handle_of[name] for name in names], names, ncols=6)
        return save(figure, stem)


def _of(fits: list[Growth], loop: str, size: str) -> list[Growth]:
    return [fit for fit in fits if (fit.loop, fit.size) == (loop, size)]


def _panel(axes: Axes, fits: list[Growth], table: pd.DataFrame) -> None:
    """One size of one loop."""
    loop, size = fits[0].loop, fits[0].size
    letters = SIZES | ({"t": "T_f"} if loop == "floss" else {})
    below = 0.0
    for fit in sorted(fits, key=lambda fit: fit.ms[-1]):
        colour, marker, dashes = _look(fit.engine)
        ms = np.array(fit.ms)
        axes.plot(fit.values, ms, color=colour, marker=marker, linestyle=dashes, markersize=4, label=fit.engine)
        factor = 1 + np.array(fit.spread) / (2 * ms)
        axes.vlines(fit.values, ms / factor, ms * factor, color=colour, linewidth=4, alpha=0.25)
        below = max(ms[-1], _APART * below)
        power = f"${letters[size]}^{{{fit.exponent:.2f}}}$"
        place = {"xytext": (6, 0), "textcoords": "offset points", "verticalalignment": "center"}
        axes.annotate(power, (fit.values[-1], below), color=colour, fontsize=10, **place)
    if size == "networks":
        _single(axes, fits[0], table)
    else:
        _orders(axes, fits)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_apart(sorted({value for fit in fits for value in fit.values}))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    by_orders = "" if size == "networks" else f" (Table 1: ${letters[size]}^{{{fits[0].orders:.2f}}}$)"
    axes.set_xlabel(f"{_NAMES[size]} {letters[size]}{by_orders}")
    fixed = [f"{letters[name]} = {value}" for name, value in fits[0].fixed.items() if _matters(loop, name)]
    axes.set_title(", ".join(fixed), fontsize=8, color="0.35")


def _matters(loop: str, size: str) -> bool:
    """Whether a loop knows a size: training has no exponents, and flossing is of one trajectory."""
    return size != ("k" if loop == "train" else "batch")


def _place(engine: str) -> int:
    return _ENGINES.index(engine) if engine in _ENGINES else 0


def _look(engine: str) -> tuple[str, str, str | tuple[int, tuple[int, ...]]]:
    place = _place(engine)
    return COLOURS[place], MARKERS[place], DASHES[place]


def _single(axes: Axes, fit: Growth, table: pd.DataFrame) -> None:
    """Engines that take one network at a time: a level to compare with."""
    loop = table[table["loop"] == fit.loop]
    several = set(loop[loop["networks"] > 1]["engine"])
    for name, value in fit.fixed.items():
        loop = loop[loop[name] == value]
    for engine, ms in zip(loop["engine"], loop["ms_per_network_epoch"], strict=True):
        if engine not in several and engine in _ENGINES:  # a user's step is no engine
            colour, marker, dashes = _look(engine)
            axes.axhline(ms, color=colour, linestyle=dashes, linewidth=1, alpha=0.6, zorder=1)
            axes.plot([1], [ms], color=colour, linestyle=dashes, marker=marker, markersize=4, label=engine)


def _orders(axes: Axes, fits: list[Growth]) -> None:
    """The orders of Table 1, through the last point of the slowest engine."""
    slowest = max(fits, key=lambda fit: fit.ms[-1])
    # A straight line, of one term with the size, needs no vertices, at which its stroke would bend by rounding errors.
    bends = slowest.loop != "train" and slowest.size in ("n", "k")
    x = np.geomspace(slowest.values[0], slowest.values[-1], 50 if bends else 2)
    y = np.array([cost(slowest.loop, **{**slowest.fixed, slowest.size: value}) for value in x])
    axes.plot(x, y * slowest.ms[-1] / y[-1], color="0.6", linewidth=1, linestyle=":", zorder=1, label=_ORDERS)


def _apart(values: list[int]) -> list[int]:
    """Those that do not come too close to the one before, on a logarithmic axis."""
    kept = values[:1]
    for value in values[1:]:
        if value >= 1.5 * kept[-1]:
            kept.append(value)
    return kept
