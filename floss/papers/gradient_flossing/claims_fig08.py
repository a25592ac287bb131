"""What the paper claims of Fig. 8: flossing makes the last step's gradient reach the initial state."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

import numpy as np
import pandas as pd

from floss.figures.departure import LARGE, leaves_chance
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle, share

EPISODES = (0, 100, 200, 300, 400)


def norms(findings: Findings, schedule: str) -> pd.DataFrame:
    """‖dL/dh0‖ by epoch (rows) and network (columns)."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == schedule]
    return rows.pivot_table(index="epoch", columns="network", values="grad_norm_h0", dropna=False)


def _unflossed(findings: Findings) -> Sample:
    table = norms(findings, "none")
    return middle(table[table.index >= 100].median())


def _spikes(findings: Findings) -> Sample:
    table = norms(findings, "early")
    after = pd.DataFrame({e: table[(table.index >= e) & (table.index < e + 50)].max() for e in EPISODES})
    return Sample((after > 1e-2).to_numpy(dtype=float), np.mean, len(after))


def _coincide(findings: Findings) -> Sample:
    """Of the networks that leave chance: whether the gradient is macroscopic around then."""
    rows = findings["gradient"].training
    departure = leaves_chance(rows[rows["flossing"] == "early"]).dropna()
    table = norms(findings, "early")
    around = [table.loc[(table.index >= e - 200) & (table.index <= e + 200), key].max() for key, e in departure.items()]
    return share([value > LARGE for value in around])


def _before(findings: Findings) -> Sample:
    """Of the networks that leave chance late: whether the gradient was small for most of the time before."""
    rows = findings["gradient"].training
    departure = leaves_chance(rows[rows["flossing"] == "early"]).dropna()
    table = norms(findings, "early")
    before = [
        table.loc[(table.index >= EPISODES[-1] + 100) & (table.index < e - 200), key].median()
        for key, e in departure.items()
    ]
    return middle(np.log10(before))


CLAIMS = [
    Claim(
        name="fig08.unflossed_vanishes",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Without flossing, the gradient of the last step with respect to h0 falls below 10⁻⁶ and stays there.",
        statistic="median over epochs ≥ 100 of ‖dL/dh0‖, median over networks, none, d = 70",
        criterion=Criterion(below=1e-6),
        sample=_unflossed,
    ),
    Claim(
        name="fig08.episodes_spike",
        figure="fig08",
        place="App. D, Fig. 8A",
        sentence="Each episode of flossing makes the norm spike above 10⁻².",
        statistic="share of networks and episodes (0, 100, ..., 400) with ‖dL/dh0‖ > 10⁻² at an epoch from 0 to 49"
        " after the episode, early, d = 70",
        criterion=Criterion(above=0.9),
        sample=_spikes,
    ),
    Claim(
        name="fig08.accuracy_follows_gradient",
        figure="fig08",
        place="App. D, Fig. 8C, D",
        sentence="Accuracy leaves chance about when the gradient becomes macroscopic.",
        statistic=f"share of learning networks with ‖dL/dh0‖ > {LARGE:g} within 200 epochs of leaving chance for good"
        " (accuracy stays above 60 %), early",
        criterion=Criterion(above=0.9),
        sample=_coincide,
    ),
    Claim(
        name="fig08.small_before",
        figure="fig08",
        place="App. D, Fig. 8A, C",
        sentence="Between the episodes and that moment the gradient stays small, around 10⁻⁴.",
        statistic="log₁₀ of the median ‖dL/dh0‖ from epoch 500 to 200 before leaving chance for good (accuracy stays"
        " above 60 %), median over learning networks, early",
        criterion=Criterion(below=-3.0),
        sample=_before,
    ),
]
