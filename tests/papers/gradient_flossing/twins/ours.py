"""Twins of the claims of figures of ours."""

import math
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import Row
from papers.gradient_flossing.twins.rows import by_epoch, groups, select, share, solved


def more_solve(more: list[Row], less: list[Row]) -> float:
    first, second = solved(more), solved(less)
    return mean(first[seed] - second[seed] for seed in first.keys() & second.keys())


def twin_control(t: Any) -> dict[str, float]:
    return {
        f"{penalty}_{schedule}_{d}": share(solved(select(t[penalty]["summary"], flossing=schedule, d=d)))
        for penalty in ("spectral_radius", "one_step")
        for schedule, d in (("early", 70), ("during", 40))
    }


def twin_budget(t: Any) -> dict[str, float]:
    def rows(schedule: str, epochs: int) -> list[Row]:
        return select(t[schedule]["summary"], **{"flossing.epochs": epochs})

    return {
        "cannot_be_replaced": mean(solved(rows("pre", 2500)).values()),
        "more_before_helps": more_solve(rows("pre", 2500), rows("pre", 500)),
        "early_beats_pre": more_solve(rows("early", 500), rows("pre", 2500)),
        "early_beats_pre_with_500": more_solve(rows("early", 100), rows("pre", 500)),
    }


def twin_until(t: Any) -> dict[str, float]:
    return {
        "more_solve": more_solve(t["until"]["summary"], t["fixed"]["summary"]),
        "costs_no_more": median(r["floss_epochs"] for r in t["until"]["summary"]),
    }


def twin_capacity(t: Any) -> dict[str, float]:
    def rows(schedule: str, n: int) -> list[Row]:
        return select(t["sizes"]["summary"], flossing=schedule, **{"arch.n": n})

    return {
        "larger_solves": mean(solved(rows("early", 112)).values()),
        "larger_helps_during": more_solve(rows("during", 112), rows("during", 80)),
    }


def twin_items(t: Any) -> dict[str, float]:
    def rows(schedule: str, d: int, items: int) -> list[Row]:
        return [r for r in select(t[f"d{d}"]["summary"], flossing=schedule) if r["task.hold"] * items == d]

    return {
        "few_over_long_delays": mean(solved(rows("early", 160, 20)).values()),
        "fewer_are_easier": more_solve(rows("early", 80, 20), rows("early", 80, 80)),
        "delay_matters_at_equal_items": more_solve(rows("early", 40, 20), rows("early", 160, 20)),
        "delay_limits_unflossed": mean(solved(rows("none", 160, 5)).values()),
    }


def twin_spectra(t: Any) -> dict[str, float]:
    rows = [r for r in t["watched"]["metrics"] if r["phase"] == "train" and not math.isnan(r["near_zero"])]
    accuracy = {r["network"]: r["final_accuracy"] for r in t["watched"]["summary"]}
    ends: dict[bool, list[float]] = {True: [], False: []}
    for network, own in groups(rows, "network").items():
        final = accuracy[network]
        if final > 0.95 or math.isnan(final) or final < 0.55:
            ends[final > 0.95].append(max(own, key=by_epoch)["near_zero"])
    kept = []
    for own in groups(select(rows, flossing="during"), "network").values():
        at = {r["epoch"]: r["near_zero"] for r in own}
        if 0 in at and 480 in at and (at[0] or at[480]):  # none of none is no share
            kept.append(at[480] / at[0] if at[0] else math.inf)
    return {"solvers_have_more": median(ends[True]) - median(ends[False]), "fall_back": median(kept)}
