"""What the paper claims of Fig. 16: the exponents converge."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

import pandas as pd

from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample


def _converge(findings: Findings) -> Sample:
    table = findings["convergence"].tables["convergence"]
    courses = table.pivot_table(index="state", columns=["i", "step"], values="lambda", dropna=False)
    steps = courses.columns.get_level_values("step")
    first, last = min(s for s in steps if s >= steps.max() / 10), steps.max()

    def statistic(rows: pd.DataFrame) -> float:
        spread = rows.std()
        return float((spread.xs(last, level="step") / spread.xs(first, level="step")).max())

    return Sample(courses, statistic, len(courses))


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
