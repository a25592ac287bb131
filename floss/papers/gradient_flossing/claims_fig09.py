"""What the paper claims of Fig. 9: the gradient grows before the accuracy."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false, reportOptionalOperand=false

import pandas as pd

from floss.figures.departure import LARGE, leaves_chance, rises
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.claims_fig08 import norms
from floss.papers.samples import CHANCE, middle


def last_small(findings: Findings) -> pd.Series:
    """The last epoch with a gradient norm below the threshold, of each network; -1 where there is none."""
    table = norms(findings, "early")
    return pd.Series({key: table.index[table[key] < LARGE].max() for key in table}).fillna(-1)


def _lead(findings: Findings) -> Sample:
    departure = leaves_chance(findings["gradient"].training)
    return middle((departure - last_small(findings)).dropna())


def _lasting_lead(findings: Findings) -> Sample:
    departure = leaves_chance(findings["gradient"].training)
    return middle((departure - rises(norms(findings, "early"))).dropna())


def _grows(findings: Findings) -> Sample:
    """The norm shortly before the last epoch at chance, relative to 1000 to 500 epochs before it."""
    rows, table = findings["gradient"].training, norms(findings, "early")
    learned = leaves_chance(rows).dropna().index
    at_chance = rows[rows["accuracy"] <= CHANCE].groupby("network")["epoch"].max()
    ratios = []
    for key in learned:
        last = at_chance.get(key, -1)
        near = table.loc[(table.index > last - 100) & (table.index <= last), key].median()
        far = table.loc[(table.index > last - 1000) & (table.index <= last - 500), key].median()
        ratios.append(near / far)
    return middle(ratios)


CLAIMS = [
    Claim(
        name="fig09.gradient_precedes_accuracy",
        figure="fig09",
        place="App. D, Fig. 9B",
        sentence="The gradient norm rises before the accuracy leaves chance.",
        statistic=f"epochs from the last ‖dL/dh0‖ < {LARGE:g} (-1: never) to the first from which accuracy stays"
        " above 60 %, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=_lead,
        tried="This is the last small norm of the whole training, which in networks that solve the task comes"
        " at the end: there the loss, and every gradient of it, is small. The next claim, added for that reason after"
        " these data were seen, takes the first lasting rise.",
    ),
    Claim(
        name="fig09.lasting_rise_precedes_accuracy",
        figure="fig09",
        place="App. D, Fig. 9B",
        sentence="The gradient norm rises before the accuracy leaves chance.",
        statistic=f"epochs from the first of at least 100 with ‖dL/dh0‖ ≥ {LARGE:g} to the first from which accuracy"
        " stays above 60 %, median over networks that have both",
        criterion=Criterion(above=0.0),
        sample=_lasting_lead,
    ),
    Claim(
        name="fig09.gradient_grows_at_chance",
        figure="fig09",
        place="App. D, Fig. 9A",
        sentence="The gradient norm grows over epochs while the accuracy is still at chance.",
        statistic="median ‖dL/dh0‖ in the last 100 epochs up to the last accuracy ≤ 50 %, relative to 500-1000 epochs"
        " before it; median over networks whose accuracy stays above 60 % from some epoch on",
        criterion=Criterion(above=1.5),
        sample=_grows,
    ),
]
