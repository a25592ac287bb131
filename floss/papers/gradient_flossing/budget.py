"""A figure of ours: the same number of flossing epochs, spent before training at once, or in parts during training.

In the paper's protocols flossing before training has 500 epochs, early episodes 2500; what is due to when they happen?
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.panels import Group
from floss.figures.schedules import in_words
from floss.figures.style import house_style, look
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.outcomes import SOLVES, more_solve, outcomes, solved, solvers

EPISODES = {"pre": 1, "during": 2, "early": 5}
"""Episodes of each schedule, in the order of the panels."""
D = 70


def draw(findings: Findings) -> Figure:
    """The final accuracy of every network, by schedule; a panel for each number of flossing epochs in all."""
    spent = {name: with_budget(findings[name].summary, name) for name in EPISODES}
    totals = [sorted(table["budget"].unique()) for table in spent.values()]
    with house_style():
        figure, panels = plt.subplots(1, len(totals[0]), figsize=(8.2, 3.4), sharey=True, squeeze=False)
        for place, axes in enumerate(panels[0]):
            groups = [
                Group(in_words(name), table[table["budget"] == budgets[place]], *look(name, list(EPISODES)))
                for (name, table), budgets in zip(spent.items(), totals, strict=True)
            ]
            outcomes(axes, groups, f"{'ABC'[place]}  {totals[0][place]} flossing epochs in all")
        panels[0][0].set_ylabel(f"final test accuracy, d = {spent['pre']['d'].iloc[0]}")
        figure.supxlabel("every network as a symbol; above, how many exceed 95 % (dotted)", fontsize=8)
        return figure


def with_budget(summary: pd.DataFrame, schedule: str) -> pd.DataFrame:
    """The same with the column `budget`, flossing epochs in all; NaN where they are not told apart."""
    return summary.assign(budget=summary.reindex(columns=["flossing.epochs"]).iloc[:, 0] * EPISODES[schedule])


# --- claims ---


def _solved(findings: Findings, schedule: str, budget: int) -> pd.Series:
    return solved(with_budget(findings[schedule].summary, schedule), d=D, budget=budget)


def _solve(findings: Findings, schedule: str, budget: int) -> Sample:
    return solvers(with_budget(findings[schedule].summary, schedule), d=D, budget=budget)


def _more(findings: Findings, more: tuple[str, int], less: tuple[str, int]) -> Sample:
    return more_solve(_solved(findings, *more), _solved(findings, *less))


CLAIMS = [
    Claim(
        name="budget.cannot_be_replaced",
        figure="budget",
        place="Sec. 7.1",
        sentence="Flossing during training cannot be replaced by as many epochs of flossing before it.",
        statistic=f"networks with a {SOLVES}, temporal XOR, d = {D}, pre with 2500 flossing epochs",
        criterion=Criterion(below=0.5),
        sample=partial(_solve, schedule="pre", budget=2500),
        control=partial(_solve, schedule="early", budget=2500),
        control_says="the same seeds with as many epochs in five early episodes",
        after_data="of other seeds, 2 of 5 networks flossed for 2500 epochs before training were known to solve it",
        ours=True,
    ),
    Claim(
        name="budget.more_before_helps",
        figure="budget",
        place="Sec. 7.1",
        sentence="Of networks flossed before training only, more solve the task when they are flossed for longer.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = {D}, pre, 2500 flossing epochs minus 500",
        criterion=Criterion(above=0.0),
        sample=partial(_more, more=("pre", 2500), less=("pre", 500)),
        after_data="of other seeds, 2 of 5 networks with 2500 epochs and 0 of 20 with 500 were known to solve it",
        ours=True,
    ),
    Claim(
        name="budget.early_beats_pre",
        figure="budget",
        place="Sec. 7.1",
        sentence="2500 flossing epochs in five early episodes let more networks solve the task than at once before.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = {D}, 2500 flossing epochs, early minus pre",
        criterion=Criterion(above=0.0),
        sample=partial(_more, more=("early", 2500), less=("pre", 2500)),
        after_data="of other seeds, 2 of 5 networks against 5 of 5 were known to solve it",
        ours=True,
    ),
    Claim(
        name="budget.early_beats_pre_with_500",
        figure="budget",
        place="Sec. 7.1",
        sentence="500 flossing epochs in five early episodes let more networks solve the task than at once before.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = {D}, 500 flossing epochs, early minus pre",
        criterion=Criterion(above=0.0),
        sample=partial(_more, more=("early", 500), less=("pre", 500)),
        ours=True,
    ),
]
