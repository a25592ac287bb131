"""Fig. 13: first and tenth Lyapunov exponent of networks trained on the spatial XOR task, against the delay."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from floss.figures.panels import CHANCE, TASKS, count, delay_axis, legend_below
from floss.figures.style import house_style
from floss.papers.finding import Findings

_SUCCESS = 0.95
"""Networks whose final accuracy is above this are successful."""
_WIDTH = 0.6
"""Width over which the networks of one delay are spread, by seed, as a part of the smallest gap between delays."""
_EXPONENTS = {"lambda_1": "λ₁", "lambda_10": "λ₁₀"}
_SCHEDULES = {"none": "without flossing", "during": "flossed before and during training"}
_COLOURS, _MAP = Normalize(CHANCE, 1), "cividis"


def draw(findings: Findings) -> Figure:
    """λ₁ (A, B) and λ₁₀ (C, D) at the end of training: unflossed networks left, flossed during training right.

    The end of training is the last logged epoch at which both exponents were measured.
    """
    finding = findings["spatial"]
    summary = _with_exponents(finding.summary, finding.training)
    n = count(summary, ["d", "flossing"], "lambda_1")
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8.2, 6.8), sharex=True, sharey="row")
        for place, axes in enumerate(panels.flat):
            (column, name), schedule = list(_EXPONENTS.items())[place // 2], list(_SCHEDULES)[place % 2]
            _networks(axes, summary, schedule, column)
            _guide(axes, summary)
            axes.set_title(f"{'ABCD'[place]}  {name}, {_SCHEDULES[schedule]}")
            axes.set_ylabel(f"{name} after training (nats per step)")
            delay_axis(axes, summary)
            axes.label_outer()
        colours = ScalarMappable(_COLOURS, _MAP)
        figure.colorbar(
            colours, ax=panels, label="final test accuracy", aspect=40, format=PercentFormatter(1, symbol=" %")
        )
        legend_below(figure, panels.flat, title=f"{TASKS[summary['task'].iloc[0]]}, {n} networks for each delay")
        return figure


def _with_exponents(summary: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """The networks with the exponents of their last row in which they are known."""
    known = training.dropna(subset=list(_EXPONENTS)).sort_values("epoch").groupby("network").last()
    return summary.assign(**{column: summary["network"].map(known[column]) for column in _EXPONENTS})


def _networks(axes: Axes, summary: pd.DataFrame, schedule: str, column: str) -> None:
    """Every network at its delay, moved sideways by its seed."""
    delays, seeds = sorted(summary["d"].unique()), sorted(summary["seed"].unique())
    gap = min(np.diff(delays)) if len(delays) > 1 else 1
    shift = {seed: _WIDTH * gap * ((place + 0.5) / len(seeds) - 0.5) for place, seed in enumerate(seeds)}
    own = summary[(summary["flossing"] == schedule) & summary[column].notna()]
    accuracy = own["final_accuracy"]
    for label, marker, where in (
        (f"accuracy > {100 * _SUCCESS:g} %", "o", accuracy > _SUCCESS),
        (f"accuracy ≤ {100 * _SUCCESS:g} %", "X", accuracy <= _SUCCESS),
        ("stopped early (diverged)", "s", accuracy.isna()),
    ):
        rows = own[where]
        if rows.empty:
            continue
        colours = [plt.get_cmap(_MAP)(_COLOURS(value)) if value == value else "0.8" for value in rows["final_accuracy"]]
        place = rows["d"] + rows["seed"].map(shift)
        axes.scatter(place, rows[column], c=colours, marker=marker, edgecolors="black", linewidths=0.3, s=28)
        axes.plot([], [], marker, color="0.5", markeredgecolor="black", markeredgewidth=0.3, label=label)


def _guide(axes: Axes, summary: pd.DataFrame) -> None:
    d = np.linspace(summary["d"].min(), summary["d"].max(), 100)
    axes.plot(d, -0.2 * np.exp(-0.03 * d), color="black", linestyle="--", linewidth=1, label="−0.2 exp(−0.03 d)")
