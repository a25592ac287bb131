"""A figure of ours: temporal XOR over d = 80 steps with N = 80 units, one for each bit that is stored, and with more.

At d = 80 nearly all networks of the paper's size fail. A longer chain of products, or no room for 80 bits?
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from floss.figures.panels import Group, accuracy_axis, courses, epoch_axis, legend_below
from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.outcomes import SOLVES, more_solve, outcomes, solved, solvers, when
from floss.papers.samples import number_of

SMALL, LARGE = 80, 112
D = 80


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch (A, B) and at the end (C, D), by the number of units; a column for each schedule."""
    finding = findings["sizes"]
    summary = finding.summary
    units = number_of(finding.training["network"], summary.set_index("network")["arch.n"])
    training = finding.training.assign(**{"arch.n": units})
    sizes = sorted(summary["arch.n"].unique())
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8.2, 5.8), sharey="row")
        for column, schedule in enumerate(("during", "early")):
            upper, lower = panels[:, column]
            groups = []
            for place, n in enumerate(sizes):
                style = (COLOURS[place], MARKERS[place], DASHES[place])
                rows, ends = (t[(t["flossing"] == schedule) & (t["arch.n"] == n)] for t in (training, summary))
                courses(upper, Group(f"N = {n}", rows, *style), "accuracy")
                groups.append(Group(f"N = {n}", ends, *style))
            outcomes(lower, groups, f"{'CD'[column]}  at the end, and how many exceed 95 %")
            epoch_axis(upper, training)
            accuracy_axis(upper)
            upper.set_title(f"{'AB'[column]}  {when(schedule)}, d = {summary['d'].iloc[0]}")
        panels[0, 0].set_ylabel("test accuracy")
        panels[1, 0].set_ylabel("final test accuracy")
        legend_below(figure, panels[0], title="units  (A, B: single networks thin, their mean thick)", ncols=3)
        return figure


# --- claims ---


def _solve(findings: Findings, n: int, schedule: str) -> Sample:
    return solvers(findings["sizes"].summary, d=D, flossing=schedule, arch__n=n)


def _more(findings: Findings, schedule: str) -> Sample:
    summary = findings["sizes"].summary
    return more_solve(*(solved(summary, d=D, flossing=schedule, arch__n=n) for n in (LARGE, SMALL)))


_KNOWN = "four networks of each kind with other seeds"
CLAIMS = [
    Claim(
        name="capacity.larger_solves",
        figure="capacity",
        place="Sec. 7.1",
        sentence="With 112 units, networks with five early episodes bridge 80 steps, which they do not with 80 units.",
        statistic=f"networks with a {SOLVES}, temporal XOR, d = {D}, early, N = {LARGE}",
        criterion=Criterion(above=0.5),
        sample=partial(_solve, n=LARGE, schedule="early"),
        control=partial(_solve, n=SMALL, schedule="early"),
        control_says=f"networks with N = {SMALL}",
        after_data=_KNOWN,
        ours=True,
    ),
    Claim(
        name="capacity.larger_helps_during",
        figure="capacity",
        place="Sec. 7.1",
        sentence="With 112 units, more networks flossed before and during training bridge 80 steps than with 80 units.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = {D}, during, N = {LARGE} minus N = {SMALL}",
        criterion=Criterion(above=0.0),
        sample=partial(_more, schedule="during"),
        after_data=_KNOWN,
        ours=True,
    ),
]
