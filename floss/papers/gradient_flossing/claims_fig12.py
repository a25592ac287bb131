"""What the paper claims of Fig. 12: flossing throughout training does harm."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false, reportOperatorIssue=false

import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import ACCURACY, accuracies, difference, middle


def _courses(findings: Findings) -> pd.DataFrame:
    """Accuracy by epoch (rows) and network (columns), flossed throughout."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == "throughout"]
    return rows.pivot_table(index="epoch", columns="network", values="accuracy", dropna=False)


def _drops(findings: Findings) -> Sample:
    courses = _courses(findings)
    last = courses.index.max()
    right_after = courses[(courses.index % 100 == 0) & (courses.index > last / 2)]
    return middle(right_after.mean())


def _recovers(findings: Findings) -> Sample:
    courses = _courses(findings)
    late = courses[courses.index > courses.index.max() / 2]
    before, after = (late[late.index % 100 == phase].mean() for phase in (90, 0))
    return middle(before - after)


def _never_all(findings: Findings) -> Sample:
    return middle(_courses(findings).max())


def _early_better(findings: Findings) -> Sample:
    return difference(accuracies(findings["gradient"].summary), "early", "throughout")


CLAIMS = [
    Claim(
        name="fig12.drops_to_chance",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed every 100 epochs, accuracy drops close to chance after each episode.",
        statistic="mean accuracy of the first epoch after an episode, second half of training, median over networks,"
        " throughout",
        criterion=Criterion(below=0.6),
        sample=_drops,
    ),
    Claim(
        name="fig12.recovers_between",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Between the episodes accuracy recovers quickly.",
        statistic="mean accuracy 90 epochs after an episode minus right after it, second half of training, median over"
        " networks, throughout",
        criterion=Criterion(above=0.1),
        sample=_recovers,
    ),
    Claim(
        name="fig12.never_100",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Flossed throughout training, networks never reach an accuracy of 100 %.",
        statistic="highest accuracy of a logged epoch, median over networks, throughout",
        criterion=Criterion(below=0.995),
        sample=_never_all,
    ),
    Claim(
        name="fig12.early_is_better",
        figure="fig12",
        place="App. D.2, Fig. 12A",
        sentence="Five early episodes lead to a higher accuracy than flossing throughout.",
        statistic=f"mean {ACCURACY}, early minus throughout",
        criterion=Criterion(above=0.0),
        sample=_early_better,
    ),
]
