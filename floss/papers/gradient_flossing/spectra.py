"""A figure of ours: how many exponents are near zero along training, and how fast they fall back after an episode.

Along a direction with |λ| < 1/d a gradient loses or gains less than a factor e over the delay.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import CHANCE, accuracy_axis, by_schedule, count, courses, epoch_axis, legend_below
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import AT_CHANCE, SOLVED
from floss.papers.gradient_flossing.outcomes import SOLVES
from floss.papers.samples import middle

AFTER, LATER = 0, 480
"""Logged epochs right after the episode before training, and before the one at epoch 500."""


def draw(findings: Findings) -> Figure:
    """Exponents near zero (A) and accuracy (B) against the epoch, and one against the other at the end (C)."""
    summary, training = findings["watched"].summary, findings["watched"].training
    d = summary["d"].iloc[0]
    with house_style():
        figure, (a, b, c) = plt.subplots(1, 3, figsize=(10, 3.6))
        n = count(summary, ["d", "flossing"], "final_accuracy")
        last = _last(training).rename("near")
        for group in by_schedule(training, n):
            courses(a, group, "near_zero", "median")
            courses(b, group, "accuracy", "median")
            own = summary[summary["network"].isin(group.rows["network"])].join(last, on="network")
            accuracy = own["final_accuracy"].fillna(CHANCE)
            c.plot(own["near"], accuracy, group.marker, color=group.colour, markersize=4, alpha=0.8)
        for axes in (a, b):
            epoch_axis(axes, training)
        for axes in (b, c):
            accuracy_axis(axes)
        near = f"exponents with |λ| < 1/{d}"
        a.set_ylabel(near)
        b.set_ylabel("test accuracy")
        c.set_xlabel(near)
        c.set_ylabel("final test accuracy")
        for letter, axes, name in zip("ABC", (a, b, c), ("near zero", "accuracy", "last logged epoch"), strict=True):
            axes.set_title(f"{letter}  {name}, d = {d}")
        legend_below(figure, [a, b], title="single networks thin, their median thick", ncols=4)
        return figure


def _last(training: pd.DataFrame) -> pd.Series:
    """Exponents near zero at the last logged epoch that has them, of each network."""
    measured = training.dropna(subset=["near_zero"]).sort_values("epoch")
    return measured.groupby("network")["near_zero"].last()


# --- claims ---


def _solvers_have_more(findings: Findings) -> Sample:
    """Median number of networks that solve the task minus that of networks at chance."""
    finding = findings["watched"]
    table = finding.summary.set_index("network").join(_last(finding.training).rename("near"))
    table = table.dropna(subset=["near"])
    rows = table[["near"]].assign(accuracy=table["final_accuracy"].fillna(CHANCE)).to_numpy(dtype=float)

    def statistic(rows: np.ndarray) -> float:
        solve, guess = (rows[keep, 0] for keep in (rows[:, 1] > SOLVED, rows[:, 1] < AT_CHANCE))
        return float(np.median(solve) - np.median(guess)) if len(solve) and len(guess) else np.nan

    return Sample(rows, statistic, len(rows))


def _falls_back(findings: Findings, schedule: str = "during") -> Sample:
    """Exponents near zero at epoch 480 relative to right after the episode at 0, of each network."""
    rows = findings["watched"].training
    rows = rows[rows["flossing"] == schedule]
    table = rows.pivot_table(index="network", columns="epoch", values="near_zero", dropna=False)
    table = table.reindex(columns=[AFTER, LATER])
    return middle(table[LATER] / table[AFTER])


CLAIMS = [
    Claim(
        name="spectra.solvers_have_more",
        figure="spectra",
        place="Sec. 7",
        sentence="At the end of training, networks that bridge 70 steps have more exponents near zero than those that"
        " do not.",
        statistic=f"exponents with |λ| < 1/d at the last logged epoch, median over networks with a {SOLVES} minus over"
        f" those below {AT_CHANCE:.0%}, temporal XOR, d = 70, all schedules together",
        criterion=Criterion(above=0.0),
        sample=_solvers_have_more,
        ours=True,
    ),
    Claim(
        name="spectra.fall_back",
        figure="spectra",
        place="Sec. 7",
        sentence="Within 500 epochs of training after an episode, most exponents have left the neighbourhood of zero.",
        statistic=f"exponents with |λ| < 1/d at epoch {LATER} relative to epoch {AFTER}, right after the first episode,"
        " median over networks, temporal XOR, d = 70, during",
        criterion=Criterion(below=0.5),
        sample=_falls_back,
        after_data="the flossing loss of other seeds, which at the beginning of a second episode is up to 500 times"
        " that at the end of the first",
        ours=True,
    ),
]
