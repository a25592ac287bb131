"""Fig. 11: Fig. 10 for another network, the one that is the last to leave chance.

The paper claims: fig. 10 is no single case.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

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


def _others(findings: Findings, schedule: str) -> Sample:
    return samples.count(peaks(findings, "sv_20", schedule) > PEAK)


PEAK = 0.5
"""log₁₀ of a ratio that counts as a peak, as in Fig. 10."""

CLAIMS = [
    Claim(
        name="fig11.other_networks",
        figure="fig11",
        place="App. D.1, Fig. 11",
        sentence="The peak of the small singular values is seen in other networks as well.",
        statistic=f"share of networks whose log₁₀ ratio of σ₂₀ (as in Fig. 10, median over the episodes) is above"
        f" {PEAK:g}, early",
        criterion=Criterion(above=0.9),
        sample=partial(_others, schedule="early"),
        control=partial(_others, schedule="none"),
        control_says="the networks that are never flossed, at the same epochs",
        changed="before, the ratio was of the highest value after an episode, which is above 1 by noise alone",
        after_data="ten of the networks (all of them peak)",
    ),
]
