"""What the paper claims of Fig. 14: Fig. 4 holds for orthogonal initial weights, which do slightly better."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import pandas as pd

from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample
from floss.paper.claims.fig04 import better, chance_at_70, chance_from_40, during_at_70
from floss.paper.claims.samples import accuracies


def _orthogonal_better(findings: Findings) -> Sample:
    own, other = (accuracies(findings[name].summary) for name in ("temporal", "fig04/temporal"))
    columns = [column for column in own if column in other]
    seeds = [seed for seed in own.index if seed in other.index]
    table = own.loc[seeds, columns] - other.loc[seeds, columns]
    return Sample(pd.DataFrame(table), lambda rows: float(rows.to_numpy().mean()), 2 * table.size)


CLAIMS = [
    during_at_70("fig14", "App. G, Fig. 14A, C", "orthogonal networks"),
    chance_at_70(
        "fig14", "App. G, Fig. 14A, C", "pre", "Orthogonal networks flossed before training only stay close to"
    ),
    chance_from_40("fig14", "App. G, Fig. 14C"),
    Claim(
        name="fig14.pre_helps",
        figure="fig14",
        place="App. G, Fig. 14C",
        sentence="Flossing before training improves the accuracy of orthogonal networks on temporal XOR.",
        statistic="mean final accuracy over all delays, temporal XOR, pre minus none",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="temporal", more="pre", less="none"),
    ),
    Claim(
        name="fig14.spatial_during_helps_more",
        figure="fig14",
        place="App. G, Fig. 14D",
        sentence="Flossing during training improves orthogonal networks further on spatial XOR.",
        statistic="mean final accuracy over delays above 60, spatial XOR, during minus pre",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="spatial", more="during", less="pre", first=61),
    ),
    Claim(
        name="fig14.orthogonal_slightly_better",
        figure="fig14",
        place="App. G, Fig. 14",
        sentence="Orthogonal initial weights do slightly better than Gaussian ones.",
        statistic="mean final accuracy on temporal XOR over all schedules and delays, orthogonal minus Gaussian",
        criterion=Criterion(above=0.0),
        sample=_orthogonal_better,
        further=("fig04",),
    ),
]
