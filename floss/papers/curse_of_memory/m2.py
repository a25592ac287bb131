"""A figure of ours: LRUs and complex diagonal students whose ring of eigenvalues is flossed to one magnitude.

What is expected, from the theory of Fig. 1 and before any data: the best target is the teacher's own memory; beyond it
the gradient of the angles grows as 1 / λ°², which an LRU tolerates better than a dense network, and free eigenvalues
cross the unit circle.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.flossed_jobs import NONE
from floss.papers.curse_of_memory.hessian_jobs import GROUPS
from floss.papers.curse_of_memory.plots import STUDENTS
from floss.papers.curse_of_memory.students import decades, losses_panel, tuned
from floss.papers.curse_of_memory.study import MAGNITUDES, TARGETS, at, least_loss, with_memory, zero_loss
from floss.papers.finding import Findings
from floss.papers.samples import count, middle

PLACES = ("none", *MAGNITUDES.values())
"""Ticks: no flossing, and the targets as magnitudes of eigenvalues."""
OWN = {False: TARGETS[1], True: TARGETS[3]}
"""Target at the least magnitude of the teacher's eigenvalues, of the short and of the long memory."""
SHORTER = {False: TARGETS[0], True: TARGETS[1]}
"""A target that is clearly shorter."""


def draw(findings: Findings) -> Figure:
    """A, B: loss at the best rate against the target; C, D: squared gradients right after flossing."""
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(9.6, 6.8))
        for place, (student, upper, lower) in enumerate(zip(("lru", "diagonal"), *panels, strict=True)):
            _losses(upper, findings, student, f"{'AB'[place]}  {STUDENTS[student]}: loss at the best rate")
            _gradients(lower, findings, student, f"{'CD'[place]}  {STUDENTS[student]}: right after flossing, ν₀ = 0.99")
        for axes in panels.flat:
            axes.set_xticks(range(len(PLACES)), PLACES)
            axes.set_xlabel("target of flossing, as |λ|")
        return figure


def _losses(axes: Axes, findings: Findings, student: str, title: str) -> None:
    groups = []
    for longest in (False, True):
        none, pre = (with_memory(findings[run].summary, longest) for run in (f"{student}_none", student))
        results = [tuned(none), *(tuned(at(pre, [target])) for target in TARGETS)]
        nu = _nu(findings, student, longest)
        groups.append((f"ν₀ = {nu:g}", list(range(len(results))), results))
        axes.axhline(zero_loss(nu), color=COLOURS[len(groups) - 1], linestyle=":", linewidth=0.9)
    losses_panel(axes, groups)
    where = {"loc": "lower left", "bbox_to_anchor": (0.38, 0.5)}
    axes.legend(title="teacher; dotted: a student that says nothing", title_fontsize=7, fontsize=7, **where)
    axes.set_title(title)


def _gradients(axes: Axes, findings: Findings, student: str, title: str) -> None:
    rows = findings[f"flossed_{student}"].tables["gradients"]
    for place, group in enumerate(GROUPS[student]):
        own = rows[rows["group"] == group]
        medians = [own[np.isclose(own["target"], t, atol=1e-6)]["mean_square"].median() for t in (NONE, *TARGETS)]
        axes.plot(range(len(medians)), medians, marker=MARKERS[place], color=COLOURS[place], label=group, markersize=4)
    axes.set_yscale("log")
    axes.set_ylabel("mean squared gradient")
    axes.legend(ncols=3, fontsize=7)
    axes.set_title(title)


def _nu(findings: Findings, student: str, longest: bool) -> float:
    values = findings[f"{student}_none"].summary["task.nu"]
    return float(values.max() if longest else values.min())


# --- claims ---


def _rows(findings: Findings, run: str, longest: bool, target: float) -> pd.DataFrame:
    return at(with_memory(findings[run].summary, longest), [target])


def _worse(findings: Findings, student: str, shorter: bool) -> Sample:
    """Decades by which a target on one side of the teacher's memory is worse, the smaller of both teachers' medians."""
    columns, networks = [], 0
    for longest in (False, True):
        own, some = least_loss(_rows(findings, student, longest, OWN[longest]))
        side, others = least_loss(_rows(findings, student, longest, SHORTER[longest] if shorter else 0.0))
        columns.append(decades(side, own))
        networks += some + others
    rows = pd.concat(columns, axis=1).dropna().to_numpy()
    return Sample(rows, lambda values: float(np.median(values, axis=0).min()), networks)


def _slope(findings: Findings, group: str) -> Sample:
    """Slope of log mean squared gradient over log |target| from log 0.9 to log 0.99, per seed; of the LRU."""
    rows = findings["flossed_lru"].tables["gradients"]
    rows = rows[rows["group"] == group]
    far, near = (
        np.log10(rows[np.isclose(rows["target"], TARGETS[i], atol=1e-6)].set_index("seed")["mean_square"])
        for i in (1, 3)
    )
    return middle((near - far) / np.log10(TARGETS[3] / TARGETS[1]), each=2)


def _tolerates(findings: Findings) -> Sample:
    """Decades that the target 0 costs a dense student, beside log 0.99, minus those that it costs an LRU; per seed."""
    costs, networks = [], 0
    for run in ("m1/pre", "lru"):
        (zero, some), (long, others) = (least_loss(_rows(findings, run, True, target)) for target in (0.0, OWN[True]))
        costs.append(decades(zero, long))
        networks += some + others
    sample = middle(costs[0] - costs[1])
    return Sample(sample.rows, sample.statistic, networks)


def _crosses(findings: Findings, student: str) -> Sample:
    """Of how many networks flossed to 0 an eigenvalue is outside the unit circle."""
    rows = findings[f"flossed_{student}"].tables["networks"]
    return count(rows[rows["target"] == 0.0]["largest_growth"] > 0)


def _lost(findings: Findings) -> Sample:
    """log₁₀ of the loss of a complex diagonal student flossed to 0 over that of one that says nothing; per seed."""
    losses, networks = least_loss(_rows(findings, "diagonal", True, 0.0))
    nothing = pd.Series(zero_loss(_nu(findings, "diagonal", True)), index=losses.index)
    sample = middle(decades(losses, nothing))
    return Sample(sample.rows, sample.statistic, networks)


_SIDES = (
    "log₁₀ of the final loss with the target {} over that with the least log |λ| of the teacher, each at the learning"
    " rate that is best for the other seeds, median over seeds; the smaller of ν₀ = 0.9 and 0.99"
)
_SEEN = "Losses of complex diagonal students without flossing (Fig. 3), by which their learning rates were chosen."
_TRIED = (
    "With ν₀ = 0.9 it does, by a factor of two. With ν₀ = 0.99 log 0.9 and log 0.97 are better than log 0.99: free"
    " eigenvalues find the longer memory by themselves."
)
_SHORT = "log 0.5 (ν₀ = 0.9) or log 0.9 (ν₀ = 0.99)"

CLAIMS = [
    *(
        Claim(
            name=f"m2.{student}_{name}",
            figure="m2",
            place="M2",
            sentence=f"{words} flossed to a {'shorter' if shorter else 'longer'} memory than its teacher's learns worse"
            " than one flossed to it.",
            statistic=_SIDES.format(_SHORT if shorter else "0"),
            criterion=Criterion(above=0.3),
            sample=partial(_worse, student=student, shorter=shorter),
            ours=True,
            after_data=_SEEN if student == "diagonal" else "",
            tried=_TRIED if student == "diagonal" and shorter else "",
        )
        for student, words in (("lru", "An LRU"), ("diagonal", "A complex diagonal student"))
        for name, shorter in (("too_short", True), ("too_long", False))
    ),
    Claim(
        name="m2.angle_gradient",
        figure="m2",
        place="M2",
        sentence="The squared gradient of an LRU's angles grows as 1 / λ°² with the target λ° of flossing.",
        statistic="slope of log mean squared gradient of ω_θ right after flossing over log |λ°|, from λ° = log 0.9 to"
        " log 0.99, median over seeds",
        criterion=Criterion(above=-2.5, below=-1.5),
        sample=partial(_slope, group="θ"),
        ours=True,
    ),
    Claim(
        name="m2.magnitude_gradient",
        figure="m2",
        place="M2",
        sentence="That of its magnitudes does not grow.",
        statistic="slope of log mean squared gradient of ω_ν right after flossing over log |λ°|, from λ° = log 0.9 to"
        " log 0.99, median over seeds",
        criterion=Criterion(above=-0.5, below=0.5),
        sample=partial(_slope, group="ν"),
        ours=True,
    ),
    Claim(
        name="m2.lru_tolerates",
        figure="m2",
        place="M2",
        sentence="An LRU tolerates a memory that is too long better than a dense student does.",
        statistic="log₁₀ of the final loss with the target 0 over that with log 0.99, of the dense student minus that"
        " of the LRU, each at the learning rate that is best for the other seeds, ν₀ = 0.99, median over seeds",
        criterion=Criterion(above=0.5),
        sample=_tolerates,
        further=("m1",),
        ours=True,
    ),
    Claim(
        name="m2.diagonal_crosses",
        figure="m2",
        place="M2",
        sentence="Free eigenvalues that are flossed to 0 cross the unit circle.",
        statistic="complex diagonal networks flossed to 0 of which some |λ| > 1",
        criterion=Criterion(above=0.5),
        sample=partial(_crosses, student="diagonal"),
        control=partial(_crosses, student="lru"),
        control_says="LRUs, whose |λ| cannot be larger",
        tried="By rounding alone: flossing ends on the circle, the largest |λ| is 1 + 2 × 10⁻⁷. The criterion should"
        " have asked for more than that.",
        ours=True,
    ),
    Claim(
        name="m2.diagonal_diverges",
        figure="m2",
        place="M2",
        sentence="A complex diagonal student that is flossed to 0 diverges in training, or ends above one"
        " that says nothing.",
        statistic="log₁₀ of its final loss over that of a student that says nothing, at the learning rate that is best"
        " for the other seeds, ν₀ = 0.99, median over seeds",
        criterion=Criterion(above=0.0),
        sample=_lost,
        tried="It still learns: its eigenvalues begin on the unit circle, outside by no more than rounding, 2 × 10⁻⁷.",
        ours=True,
        after_data=_SEEN,
    ),
]
