"""The paper's claims, one file for each figure, and what the data say of them."""

from importlib import import_module

from floss.papers.claim import Claim, Result, judge
from floss.papers.experiments import figures
from floss.papers.findings import Reproduction


def all_claims() -> list[Claim]:
    """Every claim, in the order of the figures."""
    return [
        claim
        for figure in figures()
        for claim in import_module(f"floss.papers.gradient_flossing.claims_{figure}").CLAIMS
    ]


def judged(reproduction: Reproduction) -> list[Result]:
    """Every claim beside what a results folder holds."""
    return [judge(claim, reproduction.findings_for(claim.figure, claim.further)) for claim in all_claims()]
