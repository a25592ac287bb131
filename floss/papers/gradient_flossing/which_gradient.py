"""What Fig. 8 measures of ‖dL/dh0‖, of each of the three numbers that may be meant by it.

The author's published example takes the gradient of the whole training loss, and evaluates it after the optimizer has
written its step into the same array; Eq. 18 of the paper has the loss of the last step alone. The claims are about the
whole loss; the other two stand beside it in results/README.md.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from collections.abc import Callable

import numpy as np
import pandas as pd

from floss.papers import samples
from floss.papers.claim import Sample
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing.courses import EPISODES, SETTLED, course_of, departures, last_small, window
from floss.papers.samples import middle

WHOLE = "grad_norm_h0"
NORMS = {
    WHOLE: "whole loss",
    "grad_norm_h0_last": "loss of the last step (Eq. 18)",
    "adam_step_h0": "step of Adam",
}
"""Columns of metrics.csv, and what they are of."""
NEAR = 200
"""Epochs within which two events coincide, of a training of 10⁴."""
AHEAD = 200
"""Hundreds of epochs."""
MANY = "fig09/gradient"
"""The flossed networks of Fig. 9, which are more than those that Fig. 8 draws."""


def norms_of(finding: Finding, schedule: str, column: str = WHOLE) -> pd.DataFrame:
    """‖dL/dh0‖ by epoch (rows) and network (columns)."""
    return course_of(finding, schedule, column)


def highest(findings: Findings, schedule: str = "none", column: str = WHOLE) -> Sample:
    """The highest norm of each network from epoch 100 on."""
    return middle(window(norms_of(findings["gradient"], schedule, column), 100, np.inf).max())


def spikes(findings: Findings, schedule: str = "early", column: str = WHOLE) -> Sample:
    """Whether the norm surpasses 10⁻² within 50 epochs, of each network and episode."""
    table = norms_of(findings["gradient"], schedule, column)
    after = pd.DataFrame({e: window(table, e, e + 50).max() for e in EPISODES})
    return Sample((after > 1e-2).to_numpy(dtype=float), np.mean, len(after))


def coincide(findings: Findings, shift: int = 0) -> Sample:
    """Of the networks that leave chance: whether the norm becomes large for good around then.

    With a shift the departure is that of another network, so many places further on.
    """
    left = departures(findings[MANY], "early")
    apart = last_small(norms_of(findings[MANY], "early"))[left.index].to_numpy() - np.roll(left.to_numpy(), shift)
    return samples.count(np.abs(apart) <= NEAR)


def before(findings: Findings, column: str = WHOLE) -> Sample:
    """log₁₀ of the norm long before leaving chance, of the networks that leave it late."""
    table, left = norms_of(findings[MANY], "early", column), departures(findings[MANY], "early")
    values = [window(table, EPISODES[-1] + 100, e - 200)[key].median() for key, e in left.items()]
    return middle(np.log10(pd.Series(values, dtype=float)))


def unflossed(findings: Findings) -> Sample:
    """log₁₀ of the norm of networks that are never flossed, from epoch 500 to 1000."""
    return middle(np.log10(window(norms_of(findings["gradient"], "none"), 500, 1000).median()))


def leaving(findings: Findings, column: str = WHOLE) -> Sample:
    """log₁₀ of the norm around the epoch of leaving chance, of the networks that do so when the spikes are over."""
    table, left = norms_of(findings[MANY], "early", column), departures(findings[MANY], "early")
    around = [window(table, e - 50, e + 50)[key].median() for key, e in left[left >= SETTLED + 50].items()]
    return middle(np.log10(pd.Series(around, dtype=float)))


def ahead(findings: Findings) -> Sample:
    """Whether the norm is large for good hundreds of epochs before a network leaves chance."""
    left = departures(findings[MANY], "early")
    return samples.count(left - last_small(norms_of(findings[MANY], "early"))[left.index] >= AHEAD)


def lead(finding: Finding, column: str = WHOLE) -> Sample:
    """Epochs from the last small norm to leaving chance, of each network that leaves it."""
    left = departures(finding, "early")
    return middle(left - last_small(norms_of(finding, "early", column))[left.index])


MEASURES: dict[str, tuple[str, Callable[[Findings, str], Sample]]] = {
    "never flossed: highest from epoch 100 on": ("< 10⁻⁶", lambda f, column: highest(f, column=column)),
    "share of episodes that are followed by a spike > 10⁻²": ("each", lambda f, column: spikes(f, column=column)),
    "log₁₀ long before leaving chance": ("around -4", before),
    "log₁₀ when leaving chance": ("around -2", leaving),
    "epochs from the last norm < 10⁻³ to leaving chance": ("> 0", lambda f, column: lead(f[MANY], column)),
}
"""What is measured, what the paper says, and how: of the findings of Figs 8 and 9, and a column."""
