"""Fig. 14: Fig. 4 with orthogonal initial weights; the networks are others, the picture is made the same way."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from matplotlib.figure import Figure

from floss.papers.finding import Findings
from floss.papers.gradient_flossing import fig04


def draw(findings: Findings) -> Figure:
    """Accuracy against the epoch at d = 70 (A, B) and at the end against the delay (C, D)."""
    return fig04.draw(findings)
