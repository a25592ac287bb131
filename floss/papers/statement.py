"""What a paper states: every sentence about what is seen, beside what measures it here, or why nothing does."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from floss.papers.claim import Claim


@dataclass(frozen=True)
class Statement:
    """A sentence of the paper about what is seen when something is computed.

    Raises:
        ValueError: it is neither measured nor said to be unmeasured, or both.
    """

    place: str
    """Where the paper says it."""
    sentence: str
    """What it says, in our words."""
    claims: tuple[str, ...] = ()
    """Names of the claims that measure it; `fig10.sv*_peaks` for several."""
    panels: tuple[str, ...] = ()
    """Figures, or parts of them, that show it: fig01, `fig01 C`."""
    unmeasured: str = ""
    """Why nothing measures it."""

    def __post_init__(self) -> None:
        """Either something measures it, or a sentence says why nothing does."""
        if bool(self.claims or self.panels) == bool(self.unmeasured):
            raise ValueError(f"{self.place}: a statement has claims or panels, or says why nothing measures it")

    def measured_by(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those of some claims that measure it, in their order."""
        return [claim for claim in claims if any(fnmatch.fnmatchcase(claim.name, name) for name in self.claims)]
