"""What the paper claims of Fig. 6: flossing works for LSTM and ReLU networks."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportReturnType=false, reportCallIssue=false

from functools import partial

import pandas as pd

from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.claims_fig01 import reaches
from floss.papers.samples import middle, share


def _arrive(findings: Findings, run: str) -> Sample:
    tables = findings[run].tables
    reached = reaches(tables["flossing"]).droplevel("target")
    # A network that diverges in its first epoch has no row there, and does not arrive.
    return share(reached.reindex(tables["spectrum"]["seed"].unique(), fill_value=False))


def _first_and_last(findings: Findings, run: str) -> pd.DataFrame:
    course = findings[run].tables["flossing"].sort_values("epoch").groupby("seed")["lambda_1"]
    return pd.DataFrame({"first": course.first(), "last": course.last()})


def _stabilised(findings: Findings) -> Sample:
    ends = _first_and_last(findings, "relu_unstable")
    return middle(ends["last"][ends["first"] > 0])


_RELU = (
    "With W ~ N(-0.1, g²/N) no unit responds and the exponents are minus infinity, so there is nothing to floss. The"
    " same networks with mean 0 (stable) and 0.1 (unstable at first), and a learning rate of 0.01 with mean 0, are in"
    " the figure."
)

CLAIMS = [
    Claim(
        name="fig06.lstm_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6A",
        sentence="The first exponent of LSTM networks converges to zero in fewer than 100 flossing epochs.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.001",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="lstm"),
        tried="A learning rate of 0.003, which the next claim is about.",
    ),
    Claim(
        name="fig06.lstm_reaches_zero_faster",
        figure="fig06",
        place="App. B.1, Fig. 6A",
        sentence="The first exponent of LSTM networks converges to zero in fewer than 100 flossing epochs.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.003",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="lstm_faster"),
    ),
    Claim(
        name="fig06.relu_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="The first exponent of ReLU networks with weights of mean -0.1 converges to zero as fast.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.001, W of mean -0.1",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="relu"),
        tried=_RELU,
    ),
    Claim(
        name="fig06.relu_centred_reaches_zero",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="The first exponent of ReLU networks (here with weights of mean 0) converges to zero.",
        statistic="share of networks with |λ₁| < 0.05 at any epoch from 0 to 99, learning rate 0.01, W of mean 0",
        criterion=Criterion(above=0.9),
        sample=partial(_arrive, run="relu_centred"),
    ),
    Claim(
        name="fig06.unstable_relu_stabilised",
        figure="fig06",
        place="App. B.1, Fig. 6C",
        sentence="ReLU networks that are unstable at first (here with weights of mean 0.1) are stabilised.",
        statistic="median λ₁ at the last epoch, of networks whose λ₁ is positive at the first, W of mean 0.1",
        criterion=Criterion(below=0.05),
        sample=_stabilised,
    ),
]
