"""What the paper claims of Fig. 10: flossing raises the small singular values of dL/dW, and hardly the first one."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false, reportOperatorIssue=false

from functools import partial

import numpy as np
import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

EPISODES = (100, 200, 300, 400)
"""Those with training before them."""


def singular_values(findings: Findings, schedule: str, i: int) -> pd.DataFrame:
    """σ_i of dL/dW by epoch (rows) and network (columns)."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == schedule]
    return rows.pivot_table(index="epoch", columns="network", values=f"sv_{i}", dropna=False)


def peaks(findings: Findings, i: int) -> pd.Series:
    """log₁₀ of how much higher σ_i is within 25 epochs after an episode than before: each network's median."""
    table = singular_values(findings, "early", i)
    ratios = {}
    for e in EPISODES:
        after = table[(table.index >= e) & (table.index < e + 25)].max()
        before = table[(table.index >= e - 25) & (table.index < e)].median()
        ratios[e] = np.log10(after / before)
    return pd.DataFrame(ratios).median(axis=1)


def _peak(findings: Findings, i: int) -> Sample:
    return middle(peaks(findings, i))


def _diminish(findings: Findings, i: int) -> Sample:
    table = singular_values(findings, "none", i)
    late = table[table.index >= table.index.max() * 0.9].median()
    return middle(np.log10(late / table[table.index == 0].median()))


def _comparable(findings: Findings) -> Sample:
    rows = findings["gradient"].training
    table = rows.groupby(["seed", "flossing"])["sv_1"].median().unstack("flossing")
    pairs = table.reindex(columns=["early", "none"]).dropna().to_numpy()
    return Sample(pairs, lambda rows: np.log10(np.median(rows[:, 0]) / np.median(rows[:, 1])), pairs.size)


_PEAK = (
    "log₁₀ of the highest {} at an epoch from 0 to 24 after an episode over the median of the 25 before: median over"
    " the episodes at 100, 200, 300, 400, then over networks, early"
)

CLAIMS = [
    Claim(
        name="fig10.sv20_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="At episodes of flossing the twentieth singular value of dL/dW peaks.",
        statistic=_PEAK.format("σ₂₀"),
        criterion=Criterion(above=0.5),
        sample=partial(_peak, i=20),
    ),
    Claim(
        name="fig10.sv40_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="At episodes of flossing the fortieth singular value of dL/dW peaks.",
        statistic=_PEAK.format("σ₄₀"),
        criterion=Criterion(above=0.5),
        sample=partial(_peak, i=40),
    ),
    Claim(
        name="fig10.sv1_hardly_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value has only a slight peak.",
        statistic=_PEAK.format("σ₁"),
        criterion=Criterion(below=0.5),
        sample=partial(_peak, i=1),
        tried="Nothing else. Beside the peaks of the two smaller singular values its own is small.",
    ),
    Claim(
        name="fig10.unflossed_diminishes",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="Without flossing the fortieth singular value quickly becomes extremely small.",
        statistic="log₁₀ of the median σ₄₀ over the last tenth of the epochs over that of the first epoch, median"
        " over networks, none",
        criterion=Criterion(below=-1.0),
        sample=partial(_diminish, i=40),
    ),
    Claim(
        name="fig10.sv1_comparable",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value is about as large with flossing as without.",
        statistic="log₁₀ of the median over networks of the median σ₁ over epochs, early, over that of none",
        criterion=Criterion(above=-1.0, below=1.0),
        sample=_comparable,
    ),
]
