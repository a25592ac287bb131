"""Twins of claims on gradients along training."""

import functools
import math
import statistics
from collections.abc import Callable
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import EPISODES, Row
from papers.gradient_flossing.twins.rows import accuracy, select, training


def left_chance(own: list[Row]) -> float | None:
    """The first epoch from which accuracy stays above 60 %."""
    stays = None
    for row in reversed(own):
        if not row["accuracy"] > 0.6:
            break
        stays = row["epoch"]
    return stays


def window(own: list[Row], column: str, low: float, high: float) -> list[float]:
    """Values at low ≤ epoch < high."""
    return [r[column] for r in own if low <= r["epoch"] < high]


NORM = "grad_norm_h0"


def learning(courses: list[list[Row]]) -> list[tuple[list[Row], float]]:
    return [(own, left) for own in courses if (left := left_chance(own)) is not None]


def small_until(own: list[Row]) -> float:
    return max((r["epoch"] for r in own if r[NORM] < 1e-3), default=-1)


def twin_fig08(t: Any) -> dict[str, float]:
    early, many = training(t, flossing="early"), learning(training(t, "fig09/gradient", flossing="early"))
    small = [window(own, NORM, 500, left - 200) for own, left in many]
    around = [median(window(own, NORM, left - 50, left + 50)) for own, left in many if left >= 500]
    return {
        "unflossed_vanishes": median(max(window(own, NORM, 100, 1e9)) for own in training(t, flossing="none")),
        "episodes_spike": mean(
            any(x > 1e-2 for x in window(own, NORM, e, e + 50)) for own in early for e in EPISODES["early"]
        ),
        "accuracy_follows_gradient": mean(-200 <= left - small_until(own) <= 200 for own, left in many),
        "small_before": median(math.log10(median(values)) for values in small if values),
        "rises_to_a_hundredth": median(map(math.log10, around)),
        "predicts_success": mean(left - small_until(own) >= 200 for own, left in many),
    }


def per_hundred(own: list[Row], column: str, end: float) -> float:
    part = [r for r in own if 450 <= r["epoch"] <= end]
    return statistics.linear_regression([r["epoch"] / 100 for r in part], [math.log10(r[column]) for r in part]).slope


def twin_fig09(t: Any) -> dict[str, float]:
    own_and_left = learning(training(t))
    chance = [(own, max(r["epoch"] for r in own if r["accuracy"] <= 0.5)) for own, _ in own_and_left]
    solved = {r["seed"]: r["final_accuracy"] > 0.95 for r in t["gradient"]["summary"]}
    during = {r["seed"]: r["final_accuracy"] > 0.95 for r in select(t["fig04/temporal"]["summary"], d=70)}
    return {
        "gradient_precedes_accuracy": median(left - small_until(own) for own, left in own_and_left),
        "gradient_grows_at_chance": median(per_hundred(own, NORM, last) for own, last in chance if last >= 550),
        "early_solves": mean(solved.values()),
        "early_solves_what_during_fails": mean(solved[seed] for seed in during if solved[seed] != during[seed]),
    }


def boost(own: list[Row], column: str) -> float:
    values = [(window(own, column, e, e + 25), window(own, column, e - 25, e)) for e in (100, 200, 300, 400)]
    return median(math.log10(median(after) / median(before)) for after, before in values if after and before)


def twin_fig10(t: Any) -> dict[str, float]:
    early, none = training(t, flossing="early"), training(t, flossing="none")

    def falls(column: str) -> float:
        return median(math.log10(median(window(own, column, 0.9 * 999, 1e9)) / own[0][column]) for own in none)

    typical = [median(median(window(own, "sv_1", 0, 1e9)) for own in courses) for courses in (early, none)]
    return {
        **{f"sv{i}_peaks": median(boost(own, f"sv_{i}") for own in early) for i in (20, 40)},
        "sv1_hardly_peaks": median(boost(own, "sv_1") for own in early),
        "effective_rank_rises": median(boost(own, "effective_rank") for own in early),
        "unflossed_sv20_diminishes": falls("sv_20"),
        "unflossed_diminishes": falls("sv_40"),
        "sv1_comparable": math.log10(typical[0] / typical[1]),
        "sv20_predicts": median(per_hundred(own, "sv_20", left) for own, left in learning(early) if left >= 550),
    }


def twin_fig11(t: Any) -> dict[str, float]:
    return {"other_networks": mean(boost(own, "sv_20") > 0.5 for own in training(t, flossing="early"))}


def twin_fig12(t: Any) -> dict[str, float]:
    courses = training(t, flossing="throughout")
    last = max(r["epoch"] for own in courses for r in own)
    late = {own[0]["seed"]: [r for r in own if r["epoch"] > last / 2] for own in courses}
    at_phase = [{p: [r for r in own if r["epoch"] % 100 == p] for p in (0, 90)} for own in late.values() if own]
    final = functools.partial(accuracy, t["gradient"]["summary"])
    early = {own[0]["seed"]: window(own, NORM, math.floor(last / 2) + 1, 1e9) for own in training(t, flossing="early")}

    def at(phase: int, own: dict[int, list[Row]]) -> float:
        return mean(r["accuracy"] for r in own[phase])

    def log_loss(phase: int, own: dict[int, list[Row]]) -> float:
        return mean(math.log10(r["loss"]) for r in own[phase])

    return {
        "drops_to_chance": median(at(0, own) for own in at_phase),
        "recovers_between": median(at(90, own) - at(0, own) for own in at_phase),
        "error_jumps": median(log_loss(0, own) - log_loss(90, own) for own in at_phase),
        "never_100": mean(max(r["accuracy"] for r in own) < 0.995 for own in courses),
        "initially_boosted": median(boost(own, NORM) for own in courses if window(own, NORM, 100, 400)),
        "norm_indistinguishable": median(
            math.log10(median(r[NORM] for r in own) / median(early[seed])) for seed, own in late.items() if own
        ),
        "early_is_better": final(flossing="early") - final(flossing="throughout"),
    }


def twin_overlap(t: Any) -> dict[str, float]:
    def change(run: str, measure: Callable[[Row], float]) -> float:
        def highest(own: list[Row], first: float) -> list[float]:
            values = [x for r in own if first <= r["epoch"] < first + 120 and (x := measure(r)) == x]
            return [max(values)] if values else []

        changes = []
        for own, left in learning(training(t, run)):
            before = [x for since in (-600, -480, -360) for x in highest(own, left + since)]
            changes += [around - mean(before) for around in highest(own, left - 60) if before]
        return median(changes)

    def beyond(r: Row) -> float:
        share, chance = r["neutral_share"], r["neutral_vectors"] / 80
        return (share - chance) / (1 - chance) if chance < 1 else math.nan

    return {
        **{f"{run}_peaks": change(run, lambda r: r["clv_overlap"]) for run in ("flossed", "unflossed")},
        "flossed_span_peaks": change("span", beyond),
    }
