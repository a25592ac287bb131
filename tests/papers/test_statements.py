"""What the paper states: each claim belongs to a statement, each name exists, and sets of networks that share none."""

import fnmatch
import re

import pytest

from floss.papers.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Claim, Criterion, Result, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing import PAPER
from floss.papers.report.tables import overview, statements_markdown
from floss.papers.statement import Statement
from floss.papers.summary import SHOWN, UNMEASURED, independent_sets, stated, tally

STATEMENTS = PAPER.statements()
NAMES = [claim.name for claim in PAPER.claims()]


def test_every_claim_of_the_paper_belongs_to_a_statement():
    measured = {claim.name for statement in STATEMENTS for claim in statement.measured_by(PAPER.claims())}
    assert {claim.name for claim in PAPER.claims() if not claim.ours} == measured


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: f"{s.place}: {s.sentence}"[:60])
def test_what_measures_a_statement_exists(statement):
    for name in statement.claims:
        assert fnmatch.filter(NAMES, name), name
    for panel in statement.panels:
        assert re.fullmatch(r"\w+( [A-Z])?", panel)
        assert panel.split()[0] in PAPER.figures()
    for words in (statement.place, statement.sentence, statement.unmeasured):
        assert words == " ".join(words.split())
    assert statement.place
    assert statement.sentence.endswith(".") or statement.sentence.endswith(").")


def test_no_statement_stands_twice():
    assert len({(statement.place, statement.sentence) for statement in STATEMENTS}) == len(STATEMENTS)


@pytest.mark.parametrize(
    "more", [{}, {"claims": ("a.b",), "unmeasured": "Why."}, {"panels": ("a",), "unmeasured": "Why."}]
)
def test_a_statement_is_measured_or_says_why_not(more):
    with pytest.raises(ValueError, match=r"Sec\. 1: a statement has claims or panels, or says why"):
        Statement("Sec. 1", "So it is.", **more)


def no_sample(_: Findings) -> Sample:
    raise AssertionError("nothing is measured here")


def result(name: str, networks: str = "", *, value: float = 0.9, width: float = 0.05, ours: bool = False) -> Result:
    claim = Claim(name, "fig01", "Sec. 1", "So it is.", "a number", Criterion(above=0.8), no_sample, ours=ours)
    return Result(claim, value, value - width, value + width, 9, ("paper",), (), 9, identities=frozenset(networks))


def test_the_verdict_of_a_statement_is_that_of_its_claims():
    results = [result("a.yes"), result("a.no", value=0.5), result("a.open", width=0.2), result("b.yes")]
    statements = [
        Statement("Sec. 1", "One.", claims=("a.yes", "b.*")),
        Statement("Sec. 1", "Two.", claims=("a.yes", "a.no", "a.open")),
        Statement("Sec. 1", "Three.", claims=("a.yes", "a.open")),
        Statement("Sec. 1", "Four.", panels=("fig01 A",)),
        Statement("Sec. 1", "Five.", unmeasured="Nothing does."),
    ]
    found = stated(statements, results)
    assert [one.verdict for one in found] == [REPRODUCED, NOT_REPRODUCED, NOT_ENOUGH, SHOWN, UNMEASURED]
    assert tally(found) == dict.fromkeys((REPRODUCED, NOT_REPRODUCED, NOT_ENOUGH, SHOWN, UNMEASURED), 1)
    assert overview(found, results).startswith(
        "The paper makes 5 statements about what is seen: 3 are measured (1 reproduced, 1 not reproduced, 1 not yet"
        " enough data), 1 is shown in a panel, and for 1 it is said why"
    )
    _, _, *rows = statements_markdown(found).splitlines()
    assert rows[0] == "| Sec. 1 | One. | a.yes, b.yes | ✓ reproduced |"
    assert rows[3:] == [
        "| Sec. 1 | Four. | panel fig01 A | shown in a panel |",
        "| Sec. 1 | Five. | Nothing does. | not measured |",
    ]


def test_claims_that_share_networks_are_one_set():
    results = [
        result("a", "ab"),
        result("b", "cd"),
        result("c", "e"),
        result("d", ""),
        result("e", "bf"),
        result("f", "fc"),
    ]
    sets = [sorted(r.claim.name for r in own) for own in independent_sets(results)]
    assert sorted(sets) == [["a", "b", "e", "f"], ["c"]]
    assert "5 claims that measure them on networks stand on 2 sets" in overview([], results)
    ours = [result("a", "a"), result("b", "b", ours=True)]
    assert "1 claim that" in overview([], ours).replace("claims", "claim")
    assert "1 set of" in overview([], ours)
