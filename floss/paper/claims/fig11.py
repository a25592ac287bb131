"""What the paper claims of Fig. 11: Fig. 10 is no single case."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample
from floss.paper.claims.fig10 import peaks
from floss.paper.claims.samples import share


def _others(findings: Findings) -> Sample:
    return share(peaks(findings, 20) > 0.5)


CLAIMS = [
    Claim(
        name="fig11.other_networks",
        figure="fig11",
        place="App. D.1, Fig. 11",
        sentence="The peak of the small singular values is seen in other networks as well.",
        statistic="share of networks whose σ₂₀ is more than 3.2 times as high after the median episode as before",
        criterion=Criterion(above=0.9),
        sample=_others,
    ),
]
