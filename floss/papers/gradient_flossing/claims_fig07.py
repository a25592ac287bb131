"""What the paper claims of Fig. 7: as Fig. 5, and flossing before training alone is never enough."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.claims_fig05 import by_k, claims, ends
from floss.papers.samples import ACCURACY, mean_of


def _all_before(findings: Findings) -> Sample:
    _, last = ends(by_k(findings, "pre"))
    return mean_of(last.iloc[:, -1:])


CLAIMS = [
    *claims("fig07", "early", "App. B.2, Fig. 7A-C", "five early episodes"),
    Claim(
        name="fig07.pre_never_solves",
        figure="fig07",
        place="Sec. 7.1, App. B.2, Fig. 7D",
        sentence="Flossed before training only, networks never solve the hardest task, even with k = N.",
        statistic=f"mean {ACCURACY}, temporal XOR, longest delay, pre, most flossed exponents (k = 80)",
        criterion=Criterion(below=0.9),
        sample=_all_before,
    ),
]
