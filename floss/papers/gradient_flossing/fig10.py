"""Fig. 10: singular values of the gradient of the recurrent weights, ∂L/∂W, and accuracy, of one network."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.panels import accuracy_axis, at_delay, by_schedule, epoch_axis, legend_below, mark_schedules, pad
from floss.figures.style import house_style
from floss.papers.finding import Findings

_VALUES = {"sv_1": ("σ₁", "-"), "sv_20": ("σ₂₀", "--"), "sv_40": ("σ₄₀", ":")}
"""What the legend calls each singular value, and its line style."""


def draw(findings: Findings, *, latest: bool = False) -> Figure:
    """Singular values (A) and accuracy (B) against the epoch, of one seed without flossing and with early episodes.

    The flossed networks are put in the order in which they leave chance: by the epoch from which on their accuracy
    stays above 60 %, then by seed, and those that never leave it last. Shown is the first of them; with `latest` the
    last other one that leaves chance, or the next in the order where no other does.
    """
    d, training = at_delay(findings["gradient"].training)
    seed, departure = _chosen(training, latest)
    one = training[training["seed"] == seed]
    when = "does not leave chance" if departure is None else f"leaves chance at epoch {departure}"
    with house_style():
        figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6.4), sharex=True, height_ratios=(3, 2))
        for group in by_schedule(one):
            _singular_values(upper, group.rows, group.label, group.colour)
            lower.plot(group.rows["epoch"], group.rows["accuracy"], color=group.colour, linewidth=1.5)
        rows = mark_schedules(upper, training)
        upper.set_title(
            f"A  gradient of the recurrent weights, d = {d}, seed {seed} (flossed, it {when})", pad=pad(rows)
        )
        upper.set_yscale("log")
        upper.set_ylabel("singular value σᵢ of ∂L/∂W")
        lower.set_title("B  accuracy of the same networks")
        accuracy_axis(lower)
        lower.set_ylabel("test accuracy")
        epoch_axis(lower, training)
        legend_below(figure, (upper, lower), title="n = 1 network each", ncols=4)
        return figure


def _singular_values(axes: Axes, rows: pd.DataFrame, label: str, colour: str) -> None:
    for column, (name, dashes) in _VALUES.items():
        if column in rows:  # a network of fewer units does not have it
            values = rows[column].where(rows[column] > 0)  # zero cannot be shown
            axes.plot(rows["epoch"], values, color=colour, linestyle=dashes, linewidth=1.4, label=f"{label}: {name}")


def _chosen(training: pd.DataFrame, latest: bool) -> tuple[int, int | None]:
    """The seed to show, and the epoch when its flossed network leaves chance."""
    flossed = training[training["flossing"] != "none"]
    table = pd.DataFrame({"seed": flossed.groupby("network")["seed"].first(), "epoch": leaves_chance(flossed)})
    order = table.sort_values(["epoch", "seed"])
    row, others = order.iloc[0], order.iloc[1:]
    if latest and len(others):
        row = others[others["epoch"].notna()].iloc[-1] if others["epoch"].notna().any() else others.iloc[0]
    return int(row["seed"]), None if np.isnan(row["epoch"]) else int(row["epoch"])
