"""Ids of networks: a letter, and twelve hexadecimal digits of the hash of what a network computes.

The letter is there for other programs: of the digits alone, 4321467e7953 is an infinite number to whatever reads a CSV
file. Files of earlier versions have the digits alone, and are read as if they had the letter.
"""

import re

_LETTER = "n"


def network_id(digits: str) -> str:
    """The id of the network whose hash begins with these twelve digits."""
    return _LETTER + digits


def digits_of(identity: str) -> str:
    """The digits of an id, which name what was stored before ids had a letter."""
    return identity.removeprefix(_LETTER)


def current(identity: str) -> str:
    """An id as it is written now, of one that may be from an earlier version."""
    return network_id(identity) if re.fullmatch(r"[0-9a-f]{12}", identity) else identity


def with_current_id(rows: str, identity: str) -> str:
    """Rows of metrics.csv of one network, whose last field is its id, with the id as it is written now."""
    return rows.replace(f",{identity}\n", f",{current(identity)}\n") if current(identity) != identity else rows
