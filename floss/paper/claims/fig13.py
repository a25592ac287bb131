"""What the paper claims of Fig. 13: the exponents of networks that have learnt follow the delay."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import numpy as np
import pandas as pd

from floss.figures.finding import Findings
from floss.paper.claims.claim import Claim, Criterion, Sample
from floss.paper.claims.samples import SOLVED, middle


def trained(findings: Findings) -> pd.DataFrame:
    """λ₁ and λ₁₀ at the last epoch at which they were measured, beside the row of summary.csv, by network."""
    rows = findings["spatial"].training.dropna(subset=["lambda_1"]).sort_values("epoch")
    last = rows.groupby("network")[["lambda_1", "lambda_10"]].last()
    return findings["spatial"].summary.set_index("network").join(last)


def fit(d: pd.Series) -> pd.Series:
    """The paper's empirical fit."""
    return -0.2 * np.exp(-0.03 * d)


def _off_fit(findings: Findings, column: str) -> Sample:
    table = trained(findings)
    table = table[(table["final_accuracy"] > SOLVED) & (table["flossing"] == "during")]
    return middle((table[column] / fit(table["d"])).sub(1).abs())


def _smaller(findings: Findings) -> Sample:
    table = trained(findings)[["lambda_1", "final_accuracy"]].dropna()

    def statistic(rows: pd.DataFrame) -> float:
        solved = rows["final_accuracy"] > SOLVED
        failed = rows["final_accuracy"] < 0.55
        if not solved.any() or not failed.any():
            return np.nan
        return float(rows["lambda_1"][solved].median() - rows["lambda_1"][failed].median())

    return Sample(table, statistic, len(table))


def _rises(findings: Findings) -> Sample:
    table = trained(findings)
    table = table[(table["final_accuracy"] > SOLVED) & (table["flossing"] == "during")][["d", "lambda_1"]].dropna()
    return Sample(table, lambda rows: float(rows["d"].rank().corr(rows["lambda_1"].rank())), len(table))


CLAIMS = [
    Claim(
        name="fig13.lambda1_follows_fit",
        figure="fig13",
        place="App. D.3, Fig. 13B",
        sentence="The first exponent of successful networks is about -0.2 exp(-0.03 d).",
        statistic="|λ₁ / fit - 1|, median over networks with accuracy > 95 %, during",
        criterion=Criterion(below=0.5),
        sample=partial(_off_fit, column="lambda_1"),
    ),
    Claim(
        name="fig13.lambda10_follows_fit",
        figure="fig13",
        place="App. D.3, Fig. 13D",
        sentence="The same fit describes the tenth exponent.",
        statistic="|λ₁₀ / fit - 1|, median over networks with accuracy > 95 %, during",
        criterion=Criterion(below=0.5),
        sample=partial(_off_fit, column="lambda_10"),
    ),
    Claim(
        name="fig13.lambda1_rises_with_delay",
        figure="fig13",
        place="App. D.3, Fig. 13B",
        sentence="The longer the delay, the closer to zero is the first exponent of successful networks.",
        statistic="rank correlation of λ₁ with d over networks with accuracy > 95 %, during",
        criterion=Criterion(above=0.5),
        sample=_rises,
    ),
    Claim(
        name="fig13.unsuccessful_are_smaller",
        figure="fig13",
        place="App. D.3, Fig. 13A, B",
        sentence="Networks at chance have a much smaller first exponent.",
        statistic="median λ₁ of networks with accuracy > 95 % minus that of networks below 55 %, none and during",
        criterion=Criterion(above=0.05),
        sample=_smaller,
    ),
]
