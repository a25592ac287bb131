"""What the paper claims of Fig. 13: the exponents of networks that have learnt follow the delay."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import numpy as np
import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import AT_CHANCE, SOLVED, median


def trained(findings: Findings) -> pd.DataFrame:
    """λ₁ and λ₁₀ at the last epoch at which they were measured, beside the row of summary.csv, by network."""
    rows = findings["spatial"].training.dropna(subset=["lambda_1"]).sort_values("epoch")
    last = rows.groupby("network")[["lambda_1", "lambda_10"]].last()
    return findings["spatial"].summary.set_index("network").join(last)


def fit(d: pd.Series) -> pd.Series:
    """The paper's empirical fit."""
    return -0.2 * np.exp(-0.03 * d)


def _solved(findings: Findings) -> pd.DataFrame:
    table = trained(findings)
    return table[(table["final_accuracy"] > SOLVED) & (table["flossing"] == "during")]


def _by_seed(table: pd.DataFrame, *columns: str) -> np.ndarray:
    """Some columns of the networks of each seed, [seeds, columns, networks]; NaN where a seed has fewer networks."""
    table = table.dropna(subset=list(columns))
    groups = [group[list(columns)].to_numpy(dtype=float).T for _, group in table.groupby("seed")]
    most = max((group.shape[1] for group in groups), default=0)
    padded = [np.pad(group, ((0, 0), (0, most - group.shape[1])), constant_values=np.nan) for group in groups]
    return np.array(padded).reshape(len(groups), len(columns), most)


def _off_fit(findings: Findings, column: str) -> Sample:
    table = _solved(findings)
    rows = _by_seed(table.assign(off=(table[column] / fit(table["d"])).sub(1).abs()), "off")
    return Sample(rows, median, _count(rows))


def _count(rows: np.ndarray) -> int:
    return int((~np.isnan(rows[:, 0])).sum())


def _smaller(findings: Findings) -> Sample:
    rows = _by_seed(trained(findings), "lambda_1", "final_accuracy")

    def statistic(rows: np.ndarray) -> float:
        exponents, accuracy = rows[:, 0], rows[:, 1]
        return median(exponents[accuracy > SOLVED]) - median(exponents[accuracy < AT_CHANCE])

    return Sample(rows, statistic, _count(rows))


def _rises(findings: Findings) -> Sample:
    rows = _by_seed(_solved(findings), "d", "lambda_1")

    def statistic(rows: np.ndarray) -> float:
        d, exponents = (_ranks(column[~np.isnan(column)]) for column in (rows[:, 0], rows[:, 1]))
        d, exponents = d - d.mean(), exponents - exponents.mean()
        return (d @ exponents) / np.sqrt((d @ d) * (exponents @ exponents))

    return Sample(rows, statistic, _count(rows))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Their ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


CLAIMS = [
    Claim(
        name="fig13.lambda1_follows_fit",
        figure="fig13",
        place="App. D.3, Fig. 13B",
        sentence="The first exponent of successful networks is about -0.2 exp(-0.03 d).",
        statistic="|λ₁ / fit - 1|, λ₁ of the last logged epoch, median over networks with final accuracy > 95 %,"
        " during",
        criterion=Criterion(below=0.5),
        sample=partial(_off_fit, column="lambda_1"),
    ),
    Claim(
        name="fig13.lambda10_follows_fit",
        figure="fig13",
        place="App. D.3, Fig. 13D",
        sentence="The same fit describes the tenth exponent.",
        statistic="|λ₁₀ / fit - 1|, λ₁₀ of the last logged epoch, median over networks with final accuracy > 95 %,"
        " during",
        criterion=Criterion(below=0.5),
        sample=partial(_off_fit, column="lambda_10"),
    ),
    Claim(
        name="fig13.lambda1_rises_with_delay",
        figure="fig13",
        place="App. D.3, Fig. 13B",
        sentence="The longer the delay, the closer to zero is the first exponent of successful networks.",
        statistic="Spearman's rank correlation of λ₁ (last logged epoch) with d over networks with final accuracy >"
        " 95 %, during",
        criterion=Criterion(above=0.5),
        sample=_rises,
    ),
    Claim(
        name="fig13.unsuccessful_are_smaller",
        figure="fig13",
        place="App. D.3, Fig. 13A, B",
        sentence="Networks at chance have a much smaller first exponent.",
        statistic="median λ₁ (last logged epoch) of networks with final accuracy > 95 % minus that of networks below"
        " 55 %, none and during",
        criterion=Criterion(above=0.05),
        sample=_smaller,
    ),
]
