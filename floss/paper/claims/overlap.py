"""What Appendix D claims of covariant Lyapunov vectors: the gradient turns to the first of them when accuracy rises."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import pandas as pd

from floss.figures.departure import leaves_chance
from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample
from floss.paper.claims.samples import middle

AROUND = 500
"""Epochs before and after leaving chance that are compared."""


def _rises(findings: Findings, run: str) -> Sample:
    rows = findings[run].training
    table = rows.pivot_table(index="epoch", columns="network", values="clv_overlap", dropna=False)
    changes = {}
    for key, e in leaves_chance(rows).dropna().items():
        before = table.loc[(table.index >= e - AROUND) & (table.index < e), key].median()
        after = table.loc[(table.index >= e) & (table.index < e + AROUND), key].median()
        changes[key] = after - before
    return middle(pd.Series(changes, dtype=float))


def _claim(run: str, what: str) -> Claim:
    return Claim(
        name=f"overlap.{run}_rises",
        figure="overlap",
        place="App. D",
        sentence="The overlap of the gradient with the first covariant Lyapunov vector increases when accuracy leaves"
        f" chance, {what}.",
        statistic=f"median |cos| in the {AROUND} epochs from the first from which accuracy stays above 60 % on minus"
        f" in the {AROUND} before it, median over networks that have one",
        criterion=Criterion(above=0.0),
        sample=partial(_rises, run=run),
    )


CLAIMS = [_claim("flossed", "with flossing (d = 70)"), _claim("unflossed", "without flossing (d = 20)")]
