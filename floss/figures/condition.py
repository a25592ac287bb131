"""The condition number of the long-term Jacobian: against time, against dimensions, computed against predicted."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from floss.figures.analysed import count, looks, variants, with_variant
from floss.figures.style import COLOURS, MARKERS, house_style, legend_outside, panels, save

_MOST_PANELS = 3
_GUIDE = 5
"""log10 κ₂ of the guide to the eye (Fig. 2B)."""


def draw_condition(table: pd.DataFrame, stem: Path) -> list[Path]:
    """A: against time, one panel for each m; B: against m; C: computed against predicted (Fig. 2). PNG and SVG."""
    table = with_variant(table)
    exact = table[table["method"] == "exact"]
    over_time = exact.groupby("m")["horizon"].nunique()
    dims = sorted(over_time[over_time == over_time.max()].index)
    dims = dims if len(dims) <= _MOST_PANELS else [*dims[: _MOST_PANELS - 1], dims[-1]]
    at = exact.groupby("horizon")["m"].nunique().idxmax()
    with house_style():
        columns = len(dims) + 2
        figure, (axes,) = panels(1, columns, (3.3 * columns, 3.6))
        for panel, m in zip(axes, dims, strict=False):
            _against(panel, table[table["m"] == m], "horizon")
            panel.set_title(f"A  m = {m}" if m == dims[0] else f"m = {m}")
            panel.set_xlabel("time horizon (steps)")
        _against(axes[-2], table[table["horizon"] == at], "m")
        axes[-2].axhline(_GUIDE, color="0.6", linestyle=":", zorder=0)
        axes[-2].set_title(f"B  after {at} steps")
        axes[-2].set_xlabel("tangent dimensions m")
        axes[0].set_ylabel("log₁₀ κ₂")
        _computed_against_predicted(axes[-1], table)
        handles, labels = axes[0].get_legend_handles_labels()
        legend_outside(figure, handles, labels, ncols=4)
        return save(figure, stem)


def _against(axes: Axes, table: pd.DataFrame, x: str) -> None:
    """Every network thin, medians thick; predicted dashed, with a limited precision dotted."""
    styles = looks(variants(table))
    precise = [method for method in dict.fromkeys(table["method"]) if method.startswith("bits")]
    for label in variants(table):
        colour = styles[label][0]
        for method, dashes, width in (("exact", "-", 1.8), ("theory", "--", 1.2), *((p, ":", 1.8) for p in precise)):
            rows = table[(table["variant"] == label) & (table["method"] == method)]
            if rows.empty:
                continue
            curves = rows.pivot_table(index=x, columns="network", values="log10_condition", dropna=False)
            if method == "exact":
                axes.plot(curves.index, curves.to_numpy(), color=colour, linewidth=0.4, alpha=0.4)
            method_name = {"exact": "computed", "theory": "predicted (Eq. 10)"}.get(
                method, f"{method[5:]} bits per float"
            )
            axes.plot(
                curves.index,
                curves.median(axis=1),
                color=colour,
                linestyle=dashes,
                linewidth=width,
                label=f"{label}: {method_name}" + (f" ({count(curves)})" if method == "exact" else ""),
            )
    for method in precise if x == "horizon" else []:
        _say_where_it_saturates(axes, table, method, x)


def _say_where_it_saturates(axes: Axes, table: pd.DataFrame, method: str, x: str) -> None:
    """A note at the plateau of a precision that is too small: it is a ceiling, not a measurement."""
    pairs = _pairs(table, method)
    off = pairs[pairs["log10_condition"] - pairs["log10_condition_other"] > 1.0]
    if off.empty:
        return
    level = off["log10_condition_other"].median()
    axes.annotate(
        f"{method[5:]} bits saturate near 10^{level:.0f}",
        (table[x].max(), level),
        xytext=(0, -11),
        textcoords="offset points",
        horizontalalignment="right",
        fontsize=7.5,
        color="0.3",
    )


def _pairs(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """What was computed, and beside it (`_other`) what another method says of the same network, time and m."""
    keys = ["variant", "network", "m", "horizon"]
    exact, other = (table[table["method"] == name] for name in ("exact", method))
    return exact.merge(other, on=keys, suffixes=("", "_other"))


def _computed_against_predicted(axes: Axes, table: pd.DataFrame) -> None:
    pairs = _pairs(table, "theory")
    pairs = pairs[pairs["m"] > 1]
    for place, label in enumerate(variants(table)):
        rows = pairs[pairs["variant"] == label]
        axes.plot(
            rows["log10_condition_other"],
            rows["log10_condition"],
            MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            markersize=2.5,
            alpha=0.5,
            linewidth=0,
        )
    largest = float(np.nanmax(pairs[["log10_condition", "log10_condition_other"]].to_numpy(), initial=1.0))
    axes.plot([0, largest], [0, largest], color="0.5", linewidth=0.8, zorder=0)
    axes.set_title("C  all networks, times and m")
    axes.set_xlabel("predicted log₁₀ κ₂")
    axes.set_ylabel("computed log₁₀ κ₂")
