"""A figure of ours: flossing until the exponents are near zero instead of for 500 epochs.

Three of seven networks that were flossed before and during training and failed at d = 70 (Fig. 4) had not been flossed
to the end: their flossing loss was ten times that of the others.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import CHANCE, Group, accuracy_axis, courses, epoch_axis, legend_below
from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing.outcomes import SOLVES, more_solve, outcomes, solved
from floss.papers.samples import middle

RUNS = {"fixed": "500 epochs each time", "until": "until the loss is below 0.001"}
"""The runs of conf/experiment/until.yaml."""
D = 70


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch (A), at the end (B), and against flossing loss (C) and epochs (D)."""
    with house_style():
        figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.2, 6))
        styles = [(COLOURS[i], MARKERS[i], DASHES[i]) for i in range(len(RUNS))]
        for (name, label), style in zip(RUNS.items(), styles, strict=True):
            finding = findings[name]
            courses(a, Group(label, finding.training, *style), "accuracy")
            table = finding.summary.set_index("network")
            accuracy = table["final_accuracy"].fillna(CHANCE)
            reached = last_loss(finding).reindex(accuracy.index)
            for axes, x in ((c, reached), (d, table["floss_epochs"])):
                axes.plot(x, accuracy, style[1], color=style[0], markersize=4, alpha=0.8)
        groups = [
            Group(label, findings[name].summary, *style)
            for (name, label), style in zip(RUNS.items(), styles, strict=True)
        ]
        outcomes(b, groups, "B  at the end, and how many exceed 95 %")
        c.set_xscale("log")
        c.set_xlabel("flossing loss at the end of the second episode")
        d.set_xlabel("flossing epochs in all")
        epoch_axis(a, findings["fixed"].training)
        a.set_title(f"A  flossed before and during training, d = {findings['fixed'].summary['d'].iloc[0]}")
        c.set_title("C  the same networks")
        d.set_title("D  the same networks")
        for axes in (a, c, d):
            accuracy_axis(axes)
        for axes in (a, c):
            axes.set_ylabel("test accuracy" if axes is a else "final test accuracy")
        legend_below(figure, [a], title="an episode lasts  (A: single networks thin, their mean thick)", ncols=3)
        return figure


def last_loss(finding: Finding) -> pd.Series:
    """Flossing loss at the end of the last episode of each network."""
    rows = finding.metrics
    rows = rows[rows["phase"] == "floss"].sort_values("epoch")
    return rows.groupby("network")["floss_loss"].last()


# --- claims ---


def _more(findings: Findings) -> Sample:
    return more_solve(*(solved(findings[name].summary, d=D) for name in ("until", "fixed")))


def _cost(findings: Findings) -> Sample:
    rows = findings["until"].summary
    return middle(rows[rows["d"] == D]["floss_epochs"])


def _fixed_cost(findings: Findings) -> Sample:
    rows = findings["fixed"].summary
    return middle(rows[rows["d"] == D]["floss_epochs"])


CLAIMS = [
    Claim(
        name="until.more_solve",
        figure="until",
        place="Sec. 7",
        sentence="Flossed before and during training until the loss is below 0.001, more networks bridge 70 steps than"
        " flossed for 500 epochs each time.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = {D}, during, until minus fixed",
        criterion=Criterion(above=0.0),
        sample=_more,
        ours=True,
    ),
    Claim(
        name="until.costs_no_more",
        figure="until",
        place="Sec. 7",
        sentence="Flossing until the loss is below 0.001 takes most networks no more epochs than 500 each time.",
        statistic=f"flossing epochs in all, median over networks, temporal XOR, d = {D}, during, until",
        criterion=Criterion(below=1000.0),
        sample=_cost,
        control=_fixed_cost,
        control_says="two episodes of 500 epochs",
        ours=True,
    ),
]
