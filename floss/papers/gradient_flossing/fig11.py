"""Fig. 11: Fig. 10 for another network, the one that is the last to leave chance."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from matplotlib.figure import Figure

from floss.papers.finding import Findings
from floss.papers.gradient_flossing import fig10


def draw(findings: Findings) -> Figure:
    """Singular values (A) and accuracy (B) against the epoch; fig10.draw says which network is chosen."""
    return fig10.draw(findings, latest=True)
