#!/usr/bin/env python3
"""Computes the values behind some claims again, from the committed CSV files alone, and compares them with claims.csv.

Nothing of floss, pandas or NumPy is used, so that a mistake there is seen here: `python3 scripts/recompute_claims.py`.
"""

import csv
import gzip
import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).resolve().parent.parent / "results"
Row = dict[str, str]


class Network:
    """Rows of one network of results/paper/ensembles."""

    def __init__(self, summary: Row, training: list[Row]) -> None:
        self.summary, self.training = summary, training
        self.d, self.k, self.seed = (int(summary[name]) for name in ("d", "k", "seed"))
        self.flossing = summary["flossing"]
        self.accuracy = float(summary["final_accuracy"] or 0.5)
        self.loss = float(summary["final_loss"] or math.inf)


def networks() -> list[Network]:
    """Every finished network."""
    found = {}
    for folder in sorted((ROOT / "paper/ensembles").iterdir()):
        if not (folder / "summary.csv").exists():
            continue
        training: dict[str, list[Row]] = defaultdict(list)
        packed = folder / "metrics.csv.gz"
        with gzip.open(packed, "rt") if packed.exists() else (folder / "metrics.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["phase"] == "train":
                    training[row["network"]].append(row)
        with (folder / "summary.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] in ("done", "diverged"):
                    found[row["network"]] = Network(row, training[row["network"]])
    return list(found.values())


def of(
    everyone: list[Network], task: str, *, init: str = "gaussian", watched: str = "", epochs: int = 10_000
) -> list[Network]:
    """Those of one task, initial weights, diagnostic (its column, or none) and length."""
    columns = {"grad_norm_h0", "sv_1", "lambda_10", "clv_overlap"}

    def fits(one: Network) -> bool:
        s, seen = one.summary, {name for name in columns if one.training and one.training[0].get(name)}
        length = int(one.training[-1]["epoch"]) + 1 if one.training else 0
        right = s["task"] == task and s["init"] == init and (s["diverged_at"] or length == epochs)
        return bool(right) and seen == ({watched} if watched else set())

    return [one for one in everyone if fits(one)]


def courses(group: list[Network], schedule: str, column: str) -> list[dict[int, float]]:
    """A column by epoch, of each network of a schedule."""
    return [
        {int(row["epoch"]): float(row[column] or "nan") for row in one.training}
        for one in group
        if one.flossing == schedule
    ]


def values() -> dict[str, float]:
    """What the claims measure."""
    everyone = networks()
    copy, continuous = of(everyone, "copy"), of(everyone, "xor_continuous")
    temporal = of(everyone, "xor")
    spatial = of(everyone, "spatial_xor", watched="lambda_10")
    orthogonal = of(everyone, "xor", init="orthogonal")
    gradients = of(everyone, "xor", watched="grad_norm_h0")
    out: dict[str, float] = {}

    def learned(group: list[Network], schedule: str, guessing: float, first: int, last: int) -> float:
        chosen = [one for one in group if one.flossing == schedule and first <= one.d <= last]
        return mean(one.loss < guessing / 2 for one in chosen)

    out["fig03.copy_flossed_learns_40"] = learned(copy, "pre", 1 / 12, 40, 40)
    out["fig03.copy_unflossed_fails_40"] = learned(copy, "none", 1 / 12, 40, 40)
    out["fig03.copy_unflossed_beyond_20"] = learned(copy, "none", 1 / 12, 21, 999)
    out["fig03.copy_unflossed_up_to_20"] = learned(copy, "none", 1 / 12, 0, 20)
    out["fig03.xor_flossed_learns_40"] = learned(continuous, "pre", 1 / 18, 40, 40)
    out["fig03.xor_unflossed_fails_40"] = learned(continuous, "none", 1 / 18, 40, 40)

    def accuracy(group: list[Network], schedule: str, first: int = 0, last: int = 999, k: int = 75) -> float:
        return mean(one.accuracy for one in group if one.flossing == schedule and first <= one.d <= last and one.k == k)

    for figure, group in (("fig04", temporal), ("fig14", orthogonal)):
        out[f"{figure}.during_at_70"] = accuracy(group, "during", 70, 70)
        out[f"{figure}.pre_at_70"] = accuracy(group, "pre", 70, 70)
        out[f"{figure}.none_from_40"] = accuracy(group, "none", 40)
        out[f"{figure}.pre_helps"] = accuracy(group, "pre") - accuracy(group, "none")
    out["fig04.none_at_70"] = accuracy(temporal, "none", 70, 70)
    out["fig04.spatial_pre_helps"] = accuracy(spatial, "pre") - accuracy(spatial, "none")
    out["fig04.spatial_pre_fails_beyond_60"] = accuracy(spatial, "pre", 61)
    out["fig04.spatial_during_helps_more"] = accuracy(spatial, "during", 61) - accuracy(spatial, "pre", 61)

    for figure, schedule in (("fig05", "during"), ("fig07", "early")):
        group = [one for one in temporal if one.flossing == schedule]
        few, many = min(one.k for one in group), max(one.k for one in group)
        fewest = [one for one in group if one.k == few]  # with its one k, Fig. 4 may have more networks and delays
        seeds, delays = {one.seed for one in fewest}, {one.d for one in fewest}
        group = [one for one in group if one.seed in seeds]
        short, long = min(delays), max(delays)
        few_long = accuracy(group, schedule, long, long, few)
        out[f"{figure}.few_fail"] = accuracy(group, schedule, short, short, few) - few_long
        out[f"{figure}.many_help"] = accuracy(group, schedule, long, long, many) - few_long
    out["fig07.pre_never_solves"] = accuracy(temporal, "pre", 70, 70, 80)

    throughout = courses(gradients, "throughout", "accuracy")
    out["fig12.never_100"] = median(max(course.values()) for course in throughout)
    late = [[a for e, a in course.items() if e % 100 == 0 and e > max(course) / 2] for course in throughout]
    out["fig12.drops_to_chance"] = median(map(mean, late))

    solved = [one for one in spatial if one.flossing == "during" and one.accuracy > 0.95]
    for column, name in (("lambda_1", "fig13.lambda1_follows_fit"), ("lambda_10", "fig13.lambda10_follows_fit")):
        off = [abs(float(one.training[-1][column]) / (-0.2 * math.exp(-0.03 * one.d)) - 1) for one in solved]
        out[name] = median(off)
    return out


def main() -> int:
    """Print both values of each claim; 1 if any differ."""
    with (ROOT / "claims.csv").open(newline="") as file:
        published = {row["claim"]: float(row["value"] or "nan") for row in csv.DictReader(file)}
    wrong = 0
    for name, value in values().items():
        same = math.isclose(value, published[name], rel_tol=1e-5, abs_tol=1e-9)
        wrong += not same
        print(f"{'same' if same else 'DIFFERENT':<10} {name:<36} {value:>12.6g} {published[name]:>12.6g}")
    print(f"{wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
