"""Fig. 14: Fig. 4 with orthogonal initial weights; the networks are others, the picture is made the same way.

The paper claims: fig. 4 holds for orthogonal initial weights, which do slightly better.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

from matplotlib.figure import Figure

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing import fig04
from floss.papers.gradient_flossing.fig04 import better, chance_at_70, chance_from_40, during_at_70
from floss.papers.gradient_flossing.final import ACCURACY, accuracies
from floss.papers.samples import mean_of


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch at d = 70 (A, B) and at the end against the delay (C, D)."""
    return fig04.draw(findings)


# --- claims ---


def _orthogonal_better(findings: Findings) -> Sample:
    orthogonal, gaussian = (findings[name] for name in ("temporal", "fig04/temporal"))
    accuracy, compared = (accuracies(finding.summary) for finding in (orthogonal, gaussian))
    as_long = (orthogonal.scale == "smoke") == (gaussian.scale == "smoke")  # small and paper scale train for all epochs
    columns = [column for column in accuracy if as_long and column in compared]
    return mean_of((accuracy[columns] - compared[columns]).dropna(how="all"), each=2)


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
        statistic=f"mean {ACCURACY} over all delays, temporal XOR, pre minus none",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="temporal", more="pre", less="none"),
    ),
    Claim(
        name="fig14.spatial_during_helps_more",
        figure="fig14",
        place="App. G, Fig. 14D",
        sentence="Flossing during training improves orthogonal networks further on spatial XOR.",
        statistic=f"mean {ACCURACY} over delays above 60, spatial XOR, during minus pre",
        criterion=Criterion(above=0.0),
        sample=partial(better, task="spatial", more="during", less="pre", first=61),
    ),
    Claim(
        name="fig14.orthogonal_slightly_better",
        figure="fig14",
        place="App. G, Fig. 14",
        sentence="Orthogonal initial weights do slightly better than Gaussian ones.",
        statistic=f"mean {ACCURACY} on temporal XOR over the schedules, delays and seeds that both have, orthogonal"
        " minus Gaussian",
        criterion=Criterion(above=0.0),
        sample=_orthogonal_better,
        tried="On spatial XOR orthogonal networks are trained half as long and not compared; at the longest delay"
        " they do better than those of Fig. 4D nevertheless.",
        further=("fig04",),
    ),
]
