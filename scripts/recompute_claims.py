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
OURS = 100
"""From this seed on networks are those of figures of ours."""
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
    by_key = {}
    for folder in sorted((ROOT / "paper/ensembles").iterdir()):
        if not (folder / "summary.csv").exists():
            continue
        training: dict[str, list[Row]] = defaultdict(list)
        packed = folder / "metrics.csv.gz"
        with (
            gzip.open(packed, "rt", encoding="utf-8")
            if packed.exists()
            else (folder / "metrics.csv").open(encoding="utf-8", newline="") as file
        ):
            for row in csv.DictReader(file):
                if row["phase"] == "train":
                    training[row["network"]].append(row)
        with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] in ("done", "diverged"):
                    by_key[row["network"]] = Network(row, training[row["network"]])
    return list(by_key.values())


def of(
    everyone: list[Network], task: str, *, init: str = "gaussian", watched: str = "", epochs: int = 10_000
) -> list[Network]:
    """The networks of a task, with these initial weights, a diagnostic (its column, or none) and so many epochs."""
    columns = {"grad_norm_h0", "sv_1", "lambda_10", "clv_overlap", "neutral_share"}

    def fits(network: Network) -> bool:
        s, rows = network.summary, network.training
        seen = {name for name in columns if rows and rows[0].get(name)}
        length = int(rows[-1]["epoch"]) + 1 if rows else 0
        right = s["task"] == task and s["init"] == init and (s["diverged_at"] or length == epochs)
        right = right and network.seed < OURS
        return bool(right) and seen == ({watched} if watched else set())

    return [network for network in everyone if fits(network)]


def learned(group: list[Network], schedule: str, guessing: float, first: int, last: int) -> float:
    """Share of a schedule's networks whose loss is below half of that of guessing, over a range of delays."""
    losses = [network.loss for network in group if network.flossing == schedule and first <= network.d <= last]
    return mean(loss < guessing / 2 for loss in losses)


def accuracy(group: list[Network], schedule: str, first: int = 0, last: int = 999, k: int = 75) -> float:
    """Mean final accuracy of a schedule's networks with k flossed exponents over a range of delays."""
    chosen = [network for network in group if network.flossing == schedule and network.k == k]
    return mean(network.accuracy for network in chosen if first <= network.d <= last)


def of_delays(everyone: list[Network]) -> dict[str, float]:
    """Figs 3, 4 and 14."""
    copy, continuous, temporal = (of(everyone, task) for task in ("copy", "xor_continuous", "xor"))
    spatial, orthogonal = of(everyone, "spatial_xor", watched="lambda_10"), of(everyone, "xor", init="orthogonal")
    out = {
        "fig03.copy_flossed_learns_40": learned(copy, "pre", 1 / 12, 40, 40),
        "fig03.copy_unflossed_fails_40": learned(copy, "none", 1 / 12, 40, 40),
        "fig03.copy_unflossed_beyond_20": learned(copy, "none", 1 / 12, 21, 999),
        "fig03.copy_unflossed_up_to_20": learned(copy, "none", 1 / 12, 0, 20),
        "fig03.xor_flossed_learns_40": learned(continuous, "pre", 1 / 18, 40, 40),
        "fig03.xor_unflossed_fails_40": learned(continuous, "none", 1 / 18, 40, 40),
        "fig04.none_at_70": accuracy(temporal, "none", 70, 70),
        "fig04.spatial_pre_helps": accuracy(spatial, "pre") - accuracy(spatial, "none"),
        "fig04.spatial_pre_fails_beyond_60": accuracy(spatial, "pre", 61),
        "fig04.spatial_during_helps_more": accuracy(spatial, "during", 61) - accuracy(spatial, "pre", 61),
    }
    for figure, group in (("fig04", temporal), ("fig14", orthogonal)):
        out[f"{figure}.during_at_70"] = accuracy(group, "during", 70, 70)
        out[f"{figure}.pre_at_70"] = accuracy(group, "pre", 70, 70)
        out[f"{figure}.none_from_40"] = accuracy(group, "none", 40)
        out[f"{figure}.pre_helps"] = accuracy(group, "pre") - accuracy(group, "none")
    return out


def of_numbers(everyone: list[Network]) -> dict[str, float]:
    """Figs 5 and 7."""
    temporal = of(everyone, "xor")
    out = {}
    for figure, schedule in (("fig05", "during"), ("fig07", "early")):
        group = [network for network in temporal if network.flossing == schedule]
        few, many = min(network.k for network in group), max(network.k for network in group)
        # Of the k that Fig. 4 has, there may be more networks and delays than of the others.
        fewest = [network for network in group if network.k == few]
        seeds, delays = {network.seed for network in fewest}, sorted({network.d for network in fewest})
        group = [network for network in group if network.seed in seeds]

        def solving(d: int, k: int, group: list[Network] = group) -> float:
            return mean(network.accuracy > 0.95 for network in group if (network.d, network.k) == (d, k))

        numbers = sorted({network.k for network in group if network.d == delays[0]})
        solved = [d for d in delays if any(solving(d, k) > 0.9 for k in numbers)]
        falls = accuracy(group, schedule, delays[0], delays[0], few) - accuracy(
            group, schedule, solved[-1], solved[-1], few
        )
        out[f"{figure}.few_fail"] = falls
        out[f"{figure}.many_help"] = solving(solved[-1], many) - solving(solved[-1], few)
    return out


def of_courses(everyone: list[Network]) -> dict[str, float]:
    """Figs 12 and 13."""
    throughout = [
        {int(row["epoch"]): float(row["accuracy"] or "nan") for row in network.training}
        for network in of(everyone, "xor", watched="grad_norm_h0")
        if network.flossing == "throughout"
    ]
    late = [[a for e, a in course.items() if e % 100 == 0 and e > max(course) / 2] for course in throughout]
    out = {
        "fig12.never_100": mean(max(course.values()) < 0.995 for course in throughout),
        "fig12.drops_to_chance": median(map(mean, late)),
    }
    solved = [
        network
        for network in of(everyone, "spatial_xor", watched="lambda_10")
        if network.flossing == "during" and network.accuracy > 0.95
    ]
    for column, name in (("lambda_1", "fig13.lambda1_follows_fit"), ("lambda_10", "fig13.lambda10_follows_fit")):
        fits = [-0.2 * math.exp(-0.03 * network.d) for network in solved]
        last = [float(network.training[-1][column]) for network in solved]
        out[name] = median(abs(exponent / fit - 1) for exponent, fit in zip(last, fits, strict=True))
    return out


def of_maps() -> dict[str, float]:
    """Fig. 15."""
    (maps,) = (ROOT / "paper/analyses").glob("one_step-*/maps.csv")
    with maps.open(encoding="utf-8", newline="") as file:
        return {"fig15.area_kept": median(float(row["difference"]) for row in csv.DictReader(file))}


def values() -> dict[str, float]:
    """What the claims measure."""
    everyone = networks()
    return of_delays(everyone) | of_numbers(everyone) | of_courses(everyone) | of_maps()


def main() -> int:
    """Print both values of each claim; 1 if any differ."""
    with (ROOT / "claims.csv").open(encoding="utf-8", newline="") as file:
        published = {row["claim"]: float(row["value"] or "nan") for row in csv.DictReader(file)}
    wrong = 0
    for name, value in values().items():
        same = math.isclose(value, published[name], rel_tol=1e-5, abs_tol=1e-20)
        wrong += not same
        print(f"{'same' if same else 'DIFFERENT':<10} {name:<36} {value:>12.6g} {published[name]:>12.6g}")
    print(f"{wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
