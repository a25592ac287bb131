"""Numbers with their nouns."""


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A count: 1 network, 2 networks; the plural where it has no mere s."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
