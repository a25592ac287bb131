"""Twins in plain Python of the claims about linear students that are trained or flossed."""

import csv
import io
import math
from statistics import fmean as mean
from statistics import median
from typing import Any

from papers.curse_of_memory.committed import committed

Row = dict[str, Any]
NOTHING = {0.99: 118.686}
"""Loss of a student that says nothing, by the ν₀ of its teacher: the table of the specification."""
TARGETS = (-0.693147, -0.105361, -0.030459, -0.01005, 0.0)


def number(text: str) -> Any:
    try:
        return float(text or "nan")
    except ValueError:
        return text


def networks(figure: str, run: str, **wanted: Any) -> list[Row]:
    """Rows of trained networks that have some values."""
    text = committed(figure)[run].summary.to_csv(index=False)
    rows = [{name: number(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def table(figure: str, run: str, name: str) -> list[Row]:
    with (committed(figure)[run].folders[0] / f"{name}.csv").open(encoding="utf-8") as file:
        return [{column: number(value) for column, value in row.items()} for row in csv.DictReader(file)]


def loss_of(row: Row) -> float:
    return math.inf if math.isnan(row["final_loss"]) else row["final_loss"]


def tuned(rows: list[Row]) -> dict[float, float]:
    """Loss of each seed with what is best for the others: learning rate, and target where there are several."""
    choices: dict[tuple[float, float], dict[float, float]] = {}
    for row in rows:
        target = row.get("flossing.target", math.nan)
        choice = (row["train.lr"], 9.0 if math.isnan(target) else target)
        choices.setdefault(choice, {})[row["seed"]] = loss_of(row)
    chosen = {}
    for seed in {row["seed"] for row in rows}:
        means = {c: mean(loss for s, loss in losses.items() if s != seed) for c, losses in choices.items()}
        chosen[seed] = choices[min(sorted(means), key=means.__getitem__)][seed]
    return chosen


def decades(worse: list[Row], better: list[Row]) -> dict[float, float]:
    first, second = tuned(worse), tuned(better)
    apart = {}
    for seed, loss in first.items():
        if math.isinf(loss) and math.isinf(second[seed]):
            continue
        apart[seed] = max(-6.0, min(6.0, math.log10(loss) - math.log10(second[seed])))
    return apart


def gap(worse: list[Row], better: list[Row]) -> float:
    return median(decades(worse, better).values())


def minus(first: dict[float, float], second: dict[float, float]) -> float:
    return median(first[seed] - second[seed] for seed in first if seed in second)


def twin_fig03() -> dict[str, float]:
    def rows(run: str, nu: float) -> list[Row]:
        return networks("fig03", run, **{"task.nu": nu})

    long = {run: rows(run, 0.99) for run in ("dense", "lru")}
    blocks, diagonal = networks("fig03", "blocks"), networks("fig03", "parts", arch="linear_diagonal")
    return {
        "dense_suffices_for_short_memories": gap(rows("dense", 0.36), rows("lru", 0.36)),
        "lru_wins_from_084_on": gap(rows("dense", 0.92), rows("lru", 0.92)),
        "lru_wins_by_far": gap(long["dense"], long["lru"]),
        "whatever_the_teacher": gap(networks("fig03", "seeded_dense"), networks("fig03", "seeded_lru")),
        "blocks_close_the_gap": gap(long["dense"], blocks),
        "the_rest_is_small": gap(blocks, long["lru"]),
        "diagonal_is_near": gap(diagonal, long["lru"]),
    }


def rates_of_heads(heads: int) -> dict[float, float]:
    """log₁₀ of the effective rate nearest to the middle of training, by seed, at the rate best for the others."""
    rows = networks("fig11", "heads", **{"arch.heads": heads})
    finding = committed("fig11")["heads"]
    text = finding.metrics.to_csv(index=False)
    measured: dict[str, list[tuple[float, float]]] = {}
    last = 0.0
    for row in csv.DictReader(io.StringIO(text)):
        if row["phase"] != "train":
            continue
        last = max(last, float(row["epoch"]))
        rate = number(row["effective_rate_recurrent"])
        if not math.isnan(rate):
            measured.setdefault(row["network"], []).append((float(row["epoch"]), rate))
    found = {}
    for seed in {row["seed"] for row in rows}:
        others: dict[float, list[float]] = {}
        for row in rows:
            if row["seed"] != seed:
                others.setdefault(row["train.lr"], []).append(loss_of(row))
        best = min(sorted(others), key=lambda lr: mean(others[lr]))
        (own,) = [row["network"] for row in rows if row["seed"] == seed and row["train.lr"] == best]
        found[seed] = math.log10(min(measured[own], key=lambda point: abs(point[0] - last / 2))[1])
    return found


def twin_fig11() -> dict[str, float]:
    eight, sixteen = (networks("fig11", "heads", **{"arch.heads": heads}) for heads in (8, 16))
    return {
        "the_jump": gap(eight, sixteen),
        "rates_rise": minus(rates_of_heads(32), rates_of_heads(1)),
    }


def group_rates(student: str, group: str) -> dict[float, Row]:
    rows = table("fig04", "rates", "groups")
    return {row["seed"]: row for row in rows if row["student"] == student and row["group"] == group}


def rate(student: str, group: str) -> float:
    return median(row["median"] for row in group_rates(student, group).values())


def apart(first: tuple[str, str], second: tuple[str, str]) -> float:
    one, other = group_rates(*first), group_rates(*second)
    return median(one[seed]["median"] - other[seed]["median"] for seed in one)


def twin_rates_fig04() -> dict[str, float]:
    return {
        "dense_rates_fall": rate("dense", "A"),
        "dense_momentum": median(row["negative"] / row["entries"] for row in group_rates("dense", "A").values()),
        "diagonal_rates_stay": rate("diagonal", "λ"),
        "rates_apart": apart(("diagonal", "λ"), ("dense", "A")),
    }


def twin_rates_fig09() -> dict[str, float]:
    return {
        "lru_angle_rates": apart(("lru", "ν"), ("lru", "θ")),
        "lru_rest": rate("lru", "ν"),
        "s4_rates": apart(("s4_code", "B"), ("s4_code", "Δ")),
        "s4_rates_of_the_text": apart(("s4", "B"), ("s4", "Δ")),
    }


def twin_losses_fig10() -> dict[str, float]:
    def rows(run: str, theta: float) -> list[Row]:
        return networks("fig10", run, **{"task.theta": theta})

    angles = 0.0314, round(math.pi, 8)  # as tables have them
    narrow, wide = ({run: rows(run, theta) for run in ("dense", "diagonal", "lru")} for theta in angles)
    return {
        "lru_gains": gap(narrow["diagonal"], narrow["lru"]),
        "gap_widens": minus(decades(narrow["diagonal"], narrow["lru"]), decades(wide["diagonal"], wide["lru"])),
        "dense_is_far_worse": gap(narrow["dense"], narrow["lru"]),
    }


def to_target(rows: list[Row], *targets: float) -> list[Row]:
    return [row for row in rows if row["flossing.target"] in targets]


def below(rows: list[Row], part: float) -> dict[float, set[float]]:
    """Learning rates by seed at which the loss is below a part of that of a student that says nothing."""
    found: dict[float, set[float]] = {row["seed"]: set() for row in rows}
    for row in rows:
        if loss_of(row) < part * NOTHING[0.99]:
            found[row["seed"]].add(row["train.lr"])
    return found


def hessians(run: str, target: float, column: str, figure: str = "m1") -> dict[float, float]:
    rows = table(figure, run, "networks")
    return {row["seed"]: row[column] for row in rows if abs(row["target"] - target) < 1e-6}


def twin_m1() -> dict[str, float]:
    none, pre = (networks("m1", run) for run in ("none", "pre"))
    zero, between = to_target(pre, 0.0), to_target(pre, *TARGETS[:-1])
    tenth = below(none, 0.1), below(zero, 0.1)
    alone = below(none, 1.0), below(zero, 1.0)
    sharp, flat = (hessians("flossed", target, "largest") for target in (0.0, TARGETS[0]))
    return {
        "intermediate_helps": gap(none, between),
        "valley": gap(zero, between),
        "fewer_rates": mean(len(tenth[0][seed]) - len(tenth[1][seed]) for seed in tenth[0]),
        "fails_alone": mean(len(alone[0][seed] - alone[1][seed]) for seed in alone[0]),
        "blocks_out_of_reach": gap([*none, *pre], networks("fig03", "blocks")),
        "sharper": median(math.log10(sharp[seed] / flat[seed]) for seed in sharp),
    }


def twin_m2() -> dict[str, float]:
    def rows(run: str, nu: float, target: float, figure: str = "m2") -> list[Row]:
        return to_target(networks(figure, run, **({"task.nu": nu} if figure == "m2" else {})), target)

    def side(run: str, short: float, long: float) -> float:
        return min(
            gap(rows(run, 0.9, short), rows(run, 0.9, TARGETS[1])),
            gap(rows(run, 0.99, long), rows(run, 0.99, TARGETS[3])),
        )

    def slope(group: str) -> float:
        gradients = {
            (row["seed"], target): row["mean_square"]
            for row in table("m2", "flossed_lru", "gradients")
            for target in TARGETS
            if row["group"] == group and abs(row["target"] - target) < 1e-6
        }
        width = math.log10(TARGETS[3] / TARGETS[1])
        return median(
            math.log10(gradients[seed, TARGETS[3]] / gradients[seed, TARGETS[1]]) / width for seed in range(20)
        )

    cost = {figure: decades(*(rows(run, 0.99, t, figure) for t in (0.0, TARGETS[3]))) for figure, run in COSTS}
    lost = tuned(rows("diagonal", 0.99, 0.0))
    return {
        "lru_too_short": side("lru", TARGETS[0], TARGETS[1]),
        "lru_too_long": side("lru", 0.0, 0.0),
        "diagonal_too_short": side("diagonal", TARGETS[0], TARGETS[1]),
        "diagonal_too_long": side("diagonal", 0.0, 0.0),
        "angle_gradient": slope("θ"),
        "magnitude_gradient": slope("ν"),
        "lru_tolerates": minus(cost["m1"], cost["m2"]),
        "diagonal_crosses": mean(g > 0 for g in hessians("flossed_diagonal", 0.0, "largest_growth", "m2").values()),
        "diagonal_diverges": median(min(6.0, math.log10(loss / NOTHING[0.99])) for loss in lost.values()),
    }


COSTS = (("m1", "pre"), ("m2", "lru"))


def ranks(values: list[float]) -> list[float]:
    """Each value's place in ascending order, equal ones at the mean of theirs."""
    return [sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values]


def rank_correlation(first: list[float], second: list[float]) -> float:
    a, b = ranks(first), ranks(second)
    a, b = ([value - mean(each) for value in each] for each in (a, b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def twin_m3() -> dict[str, float]:
    heads = (1, 8, 32)
    rows = {(run, h): networks("m3", run, **{"arch.heads": h}) for run in ("none", "flossed") for h in heads}
    gains = {h: decades(rows["none", h], rows["flossed", h]) for h in heads}
    losses = {key: tuned(own) for key, own in rows.items()}
    measured = {
        (run, h, row["seed"]): row
        for h in heads
        for row in table("m3", f"heads_{h}", "networks")
        for run in ["none" if row["target"] == 9.0 else "flossed"]
    }

    def follows(seed: float, measure: str) -> float:
        loss = [math.log10(losses[key][seed]) for key in rows]
        return rank_correlation([measured[run, h, seed][measure] for run, h in rows], loss)

    seeds = sorted(losses["none", 1])
    return {
        "gain_of_dense": median(gains[1].values()),
        "no_gain_of_blocks": median(gains[32].values()),
        "gain_shrinks": minus(gains[1], gains[32]),
        "off_the_diagonal": median(follows(seed, "off_diagonal") for seed in seeds),
        "not_the_sharpness": median(follows(seed, "off_diagonal") - follows(seed, "largest") for seed in seeds),
    }
