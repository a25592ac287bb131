"""A paper's claims and statements together: verdicts of statements, and the sets of networks that claims share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from floss.papers.claim import NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Result
from floss.papers.statement import Statement

SHOWN, UNMEASURED = "shown in a panel", "not measured"
"""What becomes of statements without claims."""


@dataclass(frozen=True)
class Stated:
    """A statement beside the results of the claims that measure it."""

    statement: Statement
    results: tuple[Result, ...]

    @property
    def verdict(self) -> str:
        """Reproduced where all of its claims are, not reproduced where any is not, else open; or why there is none."""
        verdicts = {result.verdict for result in self.results}
        if not verdicts:
            return SHOWN if self.statement.panels else UNMEASURED
        if NOT_REPRODUCED in verdicts:
            return NOT_REPRODUCED
        return REPRODUCED if verdicts == {REPRODUCED} else NOT_ENOUGH


def stated(statements: Sequence[Statement], results: Sequence[Result]) -> list[Stated]:
    """Every statement beside the results of its claims."""
    by_name = {result.claim.name: result for result in results}
    claims = [result.claim for result in results]
    return [Stated(one, tuple(by_name[claim.name] for claim in one.measured_by(claims))) for one in statements]


def tally(statements: Sequence[Stated]) -> dict[str, int]:
    """How many statements have each verdict, or none."""
    counter = Counter(one.verdict for one in statements)
    return {name: counter[name] for name in (REPRODUCED, NOT_REPRODUCED, NOT_ENOUGH, SHOWN, UNMEASURED)}


def independent_sets(results: Sequence[Result]) -> list[list[Result]]:
    """Claims in groups of which no two share a network; those without networks are in none.

    Connected components of the graph in which claims that looked at runs with the same network are neighbours.
    """
    groups: list[tuple[set[str], list[Result]]] = []
    for result in results:
        if not result.identities:
            continue
        joined = [group for group in groups if group[0] & result.identities]
        names = set(result.identities).union(*(group[0] for group in joined))
        members = [member for group in joined for member in group[1]]
        groups = [group for group in groups if not any(group is other for other in joined)]
        groups.append((names, [*members, result]))
    return [members for _, members in groups]
