"""What the paper claims of Fig. 11: Fig. 10 is no single case."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.claims_fig10 import peaks
from floss.papers.samples import share


def _others(findings: Findings) -> Sample:
    return share(peaks(findings, 20) > 0.5)


CLAIMS = [
    Claim(
        name="fig11.other_networks",
        figure="fig11",
        place="App. D.1, Fig. 11",
        sentence="The peak of the small singular values is seen in other networks as well.",
        statistic="share of networks whose log₁₀ ratio of σ₂₀ (as in Fig. 10, median over the episodes) is above 0.5,"
        " early",
        criterion=Criterion(above=0.9),
        sample=_others,
    ),
]
