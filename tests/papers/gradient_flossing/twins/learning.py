"""Twins of claims on what networks learn: accuracies, delays, numbers of exponents."""

import itertools
import math
import statistics
from collections.abc import Sequence
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import Row
from papers.gradient_flossing.twins.committed import CLAIMS
from papers.gradient_flossing.twins.rows import accuracy, groups, select, sizes, training, typical


def twin_fig03(t: Any) -> dict[str, float]:
    half = {"copy": 1 / 24, "xor": 1 / 36}

    def learned(run: str, schedule: str, d: float, epoch: int | None = None) -> float:
        lost = {r["network"]: r["final_loss"] for r in select(t[run]["summary"], flossing=schedule, d=d)}
        if epoch is not None:
            rows = {r["network"]: r["loss"] for r in select(t[run]["metrics"], phase="train", epoch=epoch)}
            lost = {network: rows.get(network, math.inf) for network in lost}
        return mean(loss < half[run[: run.find("_")] if "_" in run else run] for loss in lost.values())

    def reach(run: str, schedule: str, epoch: int | None = None) -> float:
        longest = 0
        for d in sorted({r["d"] for r in t[run]["summary"]}):
            if learned(run, schedule, d, epoch) <= 0.5:
                break
            longest = d
        return longest

    def sooner(run: str, d: int) -> float:
        def first(rows: list[Row]) -> float:
            return min((r["epoch"] for r in rows if r["loss"] < half["copy"]), default=math.inf)

        none, pre = (
            groups(select(t[run]["metrics"], phase="train", flossing=schedule, d=d), "seed")
            for schedule in ("none", "pre")
        )
        return median((first(none[seed]) + 1) / (first(pre[seed]) + 1) for seed in none)

    values: dict[str, tuple[Any, ...]] = {
        "copy_flossed_learns_40": ("copy", "pre", 40),
        "copy_unflossed_learns_20": ("copy", "none", 20),
        "copy_unflossed_unreliable_30": ("copy", "none", 30),
        "copy_unflossed_fails_40": ("copy", "none", 40),
        "xor_flossed_learns_40": ("xor", "pre", 40),
        "xor_unflossed_fails_40": ("xor", "none", 40),
    }
    return {
        **{name: learned(f"{run}_example", *rest) for name, (run, *rest) in values.items()},
        **{f"{name}_at_10000": learned(*which) for name, which in values.items()},
        "copy_longer_delays": reach("copy", "pre", 3000) - reach("copy", "none", 3000),
        "copy_converges_sooner": sooner("copy_example", 20),
        "copy_converges_sooner_30": sooner("copy", 30),
        "xor_longer_delays": reach("xor", "pre") - reach("xor", "none"),
    }


def above(rows: list[Row], bound: float, **wanted: Any) -> float:
    """Share of networks whose final accuracy is above a bound; one that diverged has none."""
    return mean(r["final_accuracy"] > bound for r in select(rows, **wanted))


def xor_claims(t: Any, fresh: str) -> dict[str, float]:
    temporal, spatial, more = (t[run]["summary"] for run in ("temporal", "spatial", f"fig14_more/{fresh}"))

    def solved(rows: list[Row], schedule: str, seed: float) -> int:
        return sum(r["final_accuracy"] > 0.95 for r in select(rows, flossing=schedule, seed=seed))

    def pre_solves_more(rows: list[Row]) -> float:
        return mean(solved(rows, "pre", seed) > solved(rows, "none", seed) for seed in sizes(rows, "seed"))

    late = groups(select(temporal, flossing="none", d=lambda d: d >= 40), "seed").values()
    shares = {(s, d): above(spatial, 0.95, flossing=s, d=d) for s in ("pre", "during") for d in (60, 70)}
    return {
        "during_at_70": above(more, 0.8, flossing="during"),
        "pre_at_70": above(more, 0.55, flossing="pre"),
        "none_at_70": above(more, 0.55, flossing="none"),
        "none_from_40": mean(any(r["final_accuracy"] > 0.55 for r in own) for own in late),
        "pre_helps": pre_solves_more(temporal),
        "spatial_pre_helps": pre_solves_more(spatial),
        "spatial_during_at_70": above(spatial, 0.8, flossing="during", d=70),
        "spatial_none_at_70": above(spatial, 0.55, flossing="none", d=70),
        "spatial_pre_fails_beyond_60": shares["pre", 60] - shares["pre", 70],
        "spatial_during_helps_more": shares["during", 70] - shares["pre", 70],
    }


def twin_fig04(t: Any) -> dict[str, float]:
    return xor_claims(t, "gaussian")


def twin_fig14(t: Any) -> dict[str, float]:
    own, other = (t[run]["summary"] for run in ("temporal", "fig04/temporal"))
    better = above(own, 0.95) - above(other, 0.95, d=lambda d: d in sizes(own, "d"))
    values = xor_claims(t, "orthogonal") | {"orthogonal_slightly_better": better}
    return {name: value for name, value in values.items() if f"fig14.{name}" in CLAIMS}


def twin_fig14_more(t: Any) -> dict[str, float]:
    long = t["spatial_long"]["summary"]
    return {f"spatial_long_{s}": above(long, 0.8, flossing=s) for s in ("pre", "during")}


def solving(rows: list[Row], d: int, k: int) -> float:
    """Share of networks that solve a delay."""
    return mean(r["final_accuracy"] > 0.95 for r in select(rows, d=d, k=k))


def fewest(rows: list[Row]) -> dict[int, int]:
    """The smallest k that is enough for a delay, of those delays for which there is one."""
    enough = {d: [k for k in sizes(rows, "k") if solving(rows, d, k) > 0.9] for d in sizes(rows, "d")}
    return {d: numbers[0] for d, numbers in enough.items() if numbers}


def spearman(pairs: list[tuple[float, float]]) -> float:
    x, y = zip(*pairs, strict=True)
    return 0.0 if len(set(y)) == 1 else statistics.correlation(ranks(x), ranks(y))


def reach(rows: list[Row]) -> float:
    """Trend with k of the longest delay up to which the median network solves every one."""

    def far(k: int) -> int:
        solved = list(itertools.takewhile(lambda d: typical(rows, d, k) > 0.95, sizes(rows, "d")))
        return solved[-1] if solved else 0

    return spearman([(k, far(k)) for k in sizes(rows, "k")])


def twin_by_k(rows: list[Row]) -> dict[str, float]:
    longest, delays, numbers = max(fewest(rows)), sizes(rows, "d"), sizes(rows, "k")
    few, many = numbers[0], numbers[-1]
    return {
        "more_exponents_needed": reach(rows),
        "few_fail": accuracy(rows, d=delays[0], k=few) - accuracy(rows, d=longest, k=few),
        "many_help": solving(rows, longest, many) - solving(rows, longest, few),
    }


def twin_fig05(t: Any) -> dict[str, float]:
    return twin_by_k(t["during"]["summary"])


def twin_fig07(t: Any) -> dict[str, float]:
    early, pre = (t[run]["summary"] for run in ("early", "pre"))
    delays, numbers = sizes(early, "d"), sizes(early, "k")
    cells = [(d, a, b) for d in delays for a, b in itertools.combinations(numbers, 2)]
    pairs = [(typical(early, d, b), typical(early, d, a)) for d, a, b in cells]
    signs = [1 if more > less else -1 for more, less in pairs if abs(more - less) > 0.05]
    hardest = groups(select(pre, d=80), "seed").values()
    most = max(set(numbers) & set(sizes(pre, "k")))
    longest = max(d for d in delays if solving(early, d, most) > 0.9)
    return twin_by_k(early) | {
        "plane": mean(signs),
        "pre_more_exponents_needed": reach(pre),
        "pre_never_solves": mean(any(r["final_accuracy"] > 0.95 for r in own) for own in hardest)
        if hardest
        else math.nan,
        "pre_no_substitute": solving(early, longest, most) - solving(pre, longest, most),
    }


def twin_fig13(t: Any) -> dict[str, float]:
    last = {own[0]["network"]: [r for r in own if r["lambda_1"] == r["lambda_1"]][-1] for own in training(t, "spatial")}
    done = select(t["spatial"]["summary"], status="done")
    solved = select(done, final_accuracy=lambda x: x > 0.95)
    during = [(r["d"], last[r["network"]]) for r in select(solved, flossing="during")]

    def off(column: str) -> float:
        return median(abs(row[column] / (-0.2 * math.exp(-0.03 * d)) - 1) for d, row in during)

    failed = select(done, final_accuracy=lambda x: x < 0.55)

    def smaller(column: str) -> float:
        both = {r["d"] for r in solved} & {r["d"] for r in failed}
        typical = lambda rows, d: median(last[r["network"]][column] for r in select(rows, d=d))  # noqa: E731
        return median(typical(solved, d) - typical(failed, d) for d in both)

    return {
        "lambda1_follows_fit": off("lambda_1"),
        "lambda10_follows_fit": off("lambda_10"),
        "lambda1_rises_with_delay": statistics.correlation(
            ranks([d for d, _ in during]), ranks([row["lambda_1"] for _, row in during])
        ),
        "unsuccessful_are_smaller": smaller("lambda_1"),
        "unsuccessful_lambda10_smaller": smaller("lambda_10"),
    }


def ranks(values: Sequence[float]) -> list[float]:
    return [sum(y < x for y in values) + (sum(y == x for y in values) + 1) / 2 for x in values]


def both_kinds(rows: list[Row]) -> list[tuple[Row, Row]]:
    """The networks of each seed: flossed, and never."""
    of_seeds = groups(rows, "seed").values()
    return [(select(own, flossing="pre")[0], select(own, flossing="none")[0]) for own in of_seeds]


def twin_linear(t: Any) -> dict[str, float]:
    loss = lambda r: math.inf if r["status"] == "diverged" else r["final_loss"]  # noqa: E731
    return {
        "copy_is_helped": mean(loss(pre) < loss(none) / 2 for pre, none in both_kinds(t["copy"]["summary"])),
        "xor_is_not_learnt": above(t["xor"]["summary"], 0.55, flossing="pre"),
    }


def twin_gated(t: Any) -> dict[str, float]:
    score = lambda r: 0.5 if r["status"] == "diverged" else r["final_accuracy"]  # noqa: E731
    return {
        f"{run}_is_helped": mean(score(pre) > score(none) + 0.02 for pre, none in both_kinds(t[run]["summary"]))
        for run in ("lstm", "gru")
    }
