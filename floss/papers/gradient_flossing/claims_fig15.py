"""What the paper claims of Fig. 15: one QR step keeps the area."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

import numpy as np

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.fig15 import areas
from floss.papers.samples import middle


def _areas(findings: Findings) -> Sample:  # noqa: ARG001
    matrices = np.random.default_rng(15).normal(size=(100, 2, 2))
    pairs = [areas(matrix) for matrix in matrices]
    return middle([abs(rectangle / parallelogram - 1) for parallelogram, rectangle in pairs], each=0)


CLAIMS = [
    Claim(
        name="fig15.area_kept",
        figure="fig15",
        place="App. J, Fig. 15",
        sentence="The parallelogram that an orthonormal pair is mapped to has the area R₁₁ R₂₂ of the rectangle.",
        statistic="|R₁₁ R₂₂ / |det| - 1|, median over 100 random 2 x 2 maps",
        criterion=Criterion(below=1e-12),
        sample=_areas,
    ),
]
