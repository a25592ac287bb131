"""What Appendix D claims of covariant Lyapunov vectors: the gradient turns to the first of them when accuracy rises."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import pandas as pd

from floss.figures.departure import leaves_chance
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

AROUND = 500
"""Epochs before and after leaving chance that are compared."""
SHORTLY, LONG = (-150, 0), (-600, -300)
"""Epochs shortly and long before leaving chance."""


def _change(findings: Findings, run: str, later: tuple[int, int], earlier: tuple[int, int]) -> Sample:
    """Median overlap in one span of epochs, counted from leaving chance, minus that in another, of each network."""
    rows = findings[run].training
    table = rows.pivot_table(index="epoch", columns="network", values="clv_overlap", dropna=False)
    changes = []
    for key, e in leaves_chance(rows).dropna().items():
        spans = (
            table.loc[(table.index >= e + first) & (table.index < e + last), key] for first, last in (later, earlier)
        )
        to, start = (span.median() for span in spans)
        changes.append(to - start)
    return middle(pd.Series(changes, dtype=float))


def _rises(run: str, what: str) -> Claim:
    return Claim(
        name=f"overlap.{run}_rises",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases when accuracy leaves"
        f" chance, {what}.",
        statistic=f"median |cos| in the {AROUND} epochs from the first from which accuracy stays above 60 % on minus"
        f" in the {AROUND} before it, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=partial(_change, run=run, later=(0, AROUND), earlier=(-AROUND, 0)),
        tried="An increase that is over when accuracy leaves chance, which another claim, added after these data were"
        " seen, is about. The paper does not say from which past its vector comes; here it is half of the run.",
    )


def _peaks(run: str, what: str) -> Claim:
    return Claim(
        name=f"overlap.{run}_peaks",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases around the epoch at"
        f" which accuracy leaves chance, {what}.",
        statistic="median |cos| in the 150 epochs before the first from which accuracy stays above 60 % minus that 600"
        " to 300 epochs before it, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=partial(_change, run=run, later=SHORTLY, earlier=LONG),
        tried="Added after the data were seen, since the claim before it looks too late.",
    )


_FLOSSED = ("flossed", "with flossing (d = 70)")
_UNFLOSSED = ("unflossed", "without flossing (d = 20)")
CLAIMS = [_rises(*_FLOSSED), _peaks(*_FLOSSED), _rises(*_UNFLOSSED), _peaks(*_UNFLOSSED)]
