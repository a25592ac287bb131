"""Twins in plain Python of the claims about flossed and trained tanh networks, M4."""

import csv
import io
import math
from statistics import fmean as mean
from statistics import median

from papers.curse_of_memory.committed import committed
from papers.curse_of_memory.student_twins import networks, number

LEARNT = 0.9


def logged(flossing: str, column: str, epoch: float) -> dict[float, float]:
    """log₁₀ of a column of metrics.csv at an epoch, by seed."""
    text = committed("m4")["course"].metrics.to_csv(index=False)
    values = {}
    for row in csv.DictReader(io.StringIO(text)):
        if (row["phase"], row["flossing"]) == ("train", flossing) and float(row["epoch"]) == epoch:
            value = number(row[column])
            values[float(row["seed"])] = math.log10(value) if value > 0 else math.nan
    return values


def apart(column: str, flossing: str = "pre", epoch: float = 0) -> dict[float, float]:
    with_flossing, without = logged(flossing, column, epoch), logged("none", column, epoch)
    both = {seed: value - without[seed] for seed, value in with_flossing.items() if seed in without}
    return {seed: value for seed, value in both.items() if not math.isnan(value)}


def learners(target_is_zero: bool) -> dict[float, dict[float, bool]]:
    """Whether a network learns, by learning rate and seed."""
    learnt: dict[float, dict[float, bool]] = {}
    for row in networks("m4", "rates"):
        if (row["flossing.target"] == 0) == target_is_zero:
            accuracy = row["final_accuracy"]
            learnt.setdefault(row["train.lr"], {})[row["seed"]] = not math.isnan(accuracy) and accuracy > LEARNT
    return learnt


def twin_m4() -> dict[str, float]:
    sharper, signal = apart("sharpness"), apart("grad_norm_h0")
    begin, end = logged("pre", "sensitivity", 0), logged("pre", "sensitivity", 2999)
    good = {
        row["seed"] for row in networks("m4", "course", flossing="pre") if row["final_accuracy"] > LEARNT
    } & end.keys()
    zero, below = learners(True), learners(False)
    best = {kind: max(sorted(t), key=lambda lr: mean(t[lr].values())) for kind, t in (("0", zero), ("-", below))}
    seeds = list(next(iter(zero.values())))
    return {
        "sensitivity_rises": median(apart("sensitivity").values()),
        "curvature_rises": median(sharper.values()),
        "signal_beats_curvature": median(signal[seed] - sharper[seed] for seed in sharper if seed in signal),
        "memory_stays_enough": median(end[seed] - begin[seed] for seed in good),
        "effective_rate_falls": median(apart("effective_rate_recurrent", "early", 500).values()),
        "target_below_zero_as_good": mean(below[best["-"]][seed] - zero[best["0"]][seed] for seed in seeds),
        "wider_window": mean(
            sum(below[lr][seed] for lr in below) - sum(zero[lr][seed] for lr in zero) for seed in seeds
        ),
    }
