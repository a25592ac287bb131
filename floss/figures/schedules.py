"""What legends and titles call the schedules of conf/flossing, in words that need no explanation."""

SCHEDULES = {
    "none": "never flossed",
    "pre": "flossed before training",
    "during": "flossed before and during training",
    "early": "flossed in five early episodes",
    "throughout": "flossed throughout training",
}
"""Words for each schedule, in the order of their colours, so that a schedule looks the same in every figure."""


def in_words(schedule: str) -> str:
    """What a legend calls a schedule; one of a user's own by the name that it has."""
    return SCHEDULES.get(schedule, schedule)


def place(label: str) -> int | None:
    """Place of a schedule, by its name or in words, among those above; None of all else."""
    for i, names in enumerate(SCHEDULES.items()):
        if label in names:
            return i
    return None
