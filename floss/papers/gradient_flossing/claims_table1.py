"""What the paper claims in Table 1: the orders of the costs, and that flossing takes a small share of the time."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import numpy as np

from floss.figures.growth import growth
from floss.figures.panels import episodes
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.table1 import costs, flossing_share


def _exponents(findings: Findings, loop: str) -> Sample:
    """Fitted exponents beside those of the orders over the same sizes, of both engines and all sizes."""
    fits = [fit for fit in growth(findings["cost"].tables["bench"]) if fit.loop == loop and fit.size in _SIZES[loop]]
    return Sample(np.array([fit.exponent - fit.orders for fit in fits]), np.max, 0)


def _share(findings: Findings) -> Sample:
    """Share of flossing in a training with the schedule `during`."""
    summary = findings["share"].summary
    rows, number = costs(summary), len(episodes("during", int(summary["epochs"].max())))
    return Sample(rows, partial(flossing_share, number=number), len(rows))


_SIZES = {"train": ("n", "t", "batch"), "floss": ("n", "t", "k")}
_FASTER = "Overheads that do not grow make an exponent smaller than its order, which is no contradiction."

CLAIMS = [
    Claim(
        name="table1.training_order",
        figure="table1",
        place="Table 1",
        sentence="A step of training costs no more than the order N² b.",
        statistic="fitted exponent of an epoch's time minus that of N² B T, the largest over engines and over N, T, B",
        criterion=Criterion(below=0.25),
        sample=partial(_exponents, loop="train"),
        tried=_FASTER,
    ),
    Claim(
        name="table1.flossing_order",
        figure="table1",
        place="Table 1",
        sentence="A step of flossing costs no more than the orders N² k and N k².",
        statistic="fitted exponent of an epoch's time minus that of (N² k + N k²) T_f, the largest over engines and"
        " over N, T_f, k",
        criterion=Criterion(below=0.25),
        sample=partial(_exponents, loop="floss"),
        tried=_FASTER,
    ),
    Claim(
        name="table1.share_of_flossing",
        figure="table1",
        place="App. F",
        sentence="Flossing takes a small share of the time of training, about 2 %.",
        statistic="2 f / (2 f + t), f: all flossing seconds over all episodes, t: mean seconds of training without"
        " flossing, temporal XOR, all schedules",
        criterion=Criterion(below=0.05),
        sample=_share,
        tried="Both loops are faster here than in the paper (37 s and 1680 s), training by more; T_f is d + 20.",
    ),
]
