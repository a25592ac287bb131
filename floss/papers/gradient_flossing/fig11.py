"""Fig. 11: Fig. 10 for another network, the one that is the last to leave chance.

The paper claims: fig. 10 is no single case.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from matplotlib.figure import Figure

from floss.papers import samples
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing import fig10
from floss.papers.gradient_flossing.fig10 import peaks


def draw(findings: Findings) -> Figure:
    """Singular values (A) and accuracy (B) against the epoch; fig10.draw says which network is chosen."""
    return fig10.draw(findings, latest=True)


# --- claims ---


def _others(findings: Findings) -> Sample:
    return samples.count(peaks(findings, 20) > 0.5)


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
