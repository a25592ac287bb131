"""What the paper claims of Fig. 16: the exponents converge."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

import numpy as np

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings


def _converge(findings: Findings) -> Sample:
    table = findings["convergence"].tables["convergence"]
    steps = sorted(table["step"].unique())
    first, last = min(s for s in steps if s >= steps[-1] / 10), steps[-1]
    courses = table.pivot(index="state", columns=["step", "i"], values="lambda")
    ends = np.stack([courses[step] for step in (first, last)], axis=1)

    def statistic(rows: np.ndarray) -> float:
        early, late = rows.std(axis=0)
        return (late / early).max()

    return Sample(ends, statistic, 1)


CLAIMS = [
    Claim(
        name="fig16.converges",
        figure="fig16",
        place="App. J, Fig. 16",
        sentence="The estimates from different initial states of one network converge to the same exponents.",
        statistic="standard deviation over ten initial states after 100 steps, relative to that after 10; largest of"
        " i = 1, 20, 60, 80",
        criterion=Criterion(below=0.5),
        sample=_converge,
    ),
]
