"""What `floss collect` asks for."""

from dataclasses import dataclass, replace

from floss.jobs.keys import key, one_of, one_or_more, optional, real, text, whole

_TEXTS = replace(optional(one_or_more(text())), allowed="words, separated by commas")


_WHOLES = replace(optional(one_or_more(whole(0))), allowed="whole numbers, separated by commas")


_REALS = replace(optional(one_or_more(real())), allowed="numbers, separated by commas")


_STATUSES = optional(one_or_more(one_of("done", "diverged", "failed", "interrupted")))


@dataclass(frozen=True, kw_only=True)
class CollectJob:
    """All keys of `floss collect`: columns of summary.csv, and where the tables go."""

    task: tuple[str, ...] | None = key(_TEXTS, "names of the tasks")
    d: tuple[int, ...] | None = key(_WHOLES, "delays d")
    arch: tuple[str, ...] | None = key(_TEXTS, "architectures")
    init: tuple[str, ...] | None = key(_TEXTS, "distributions of initial weights")
    g: tuple[float, ...] | None = key(_REALS, "gains g of the initial weights")
    flossing: tuple[str, ...] | None = key(_TEXTS, "schedules, as the rows name them")
    k: tuple[int, ...] | None = key(_WHOLES, "numbers of flossed exponents")
    t_ons: tuple[int, ...] | None = key(_WHOLES, "orthonormalisation intervals")
    seed: tuple[int, ...] | None = key(_WHOLES, "seeds of the networks")
    status: tuple[str, ...] | None = key(
        replace(_STATUSES, allowed="some of done, diverged, failed, interrupted"), "how far the networks are"
    )
    results: str = key(text(), "folder whose networks are collected")
    to: str | None = key(optional(text()), "folder of the tables; null: collected, in that folder")
