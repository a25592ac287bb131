"""Numbers of the claims of Figs 5 and 13 to 15 and of M5, in plain Python; networks on surrogate embeddings."""

import math
from collections.abc import Callable
from statistics import fmean as mean
from statistics import median
from typing import Any

from papers.curse_of_memory.plain_rows import Row, read, second_moment, select

AUTHORS = {
    "lru": {
        "rest": ((4.4e-7, 5.1e-7), (2.5e-7, 5.0e-7)),
        "ν": ((0.9e-7, 2.6e-7), (1.9e-7, 2.0e-6)),
        "θ": ((0.6e-6, 2.0e-6), (1.3e-3, 1.7e-2)),
    },
    "crnn": {"rest": ((1.0e-6, 1.5e-6), (7.4e5, 2.8e6)), "λ": ((2.1e-6, 4.0e-6), (4.9e9, 4.3e10))},
}
STACKS = {"crnn": ("λ", "rest"), "lru": ("ν", "θ", "rest"), "gru": ("cell", "rest")}


def by_time(rows: list[Row], value: Callable[[list[Row]], float]) -> dict[float, float]:
    """A number of every network's rows, and its mean over networks, for each memory t."""
    networks: dict[float, dict[float, list[Row]]] = {}
    for row in rows:
        networks.setdefault(row["t"], {}).setdefault(row["seed"], []).append(row)
    return {t: mean(value(own) for own in networks[t].values()) for t in sorted(networks)}


def over_parameters(rows: list[Row]) -> float:
    return sum(r["mean_square"] * r["parameters"] for r in rows) / sum(r["parameters"] for r in rows)


def whole_gradient(run: str, group: str) -> dict[float, float]:
    return by_time(select(read("fig05", run, "gradients"), group=group), over_parameters)


def layer_gradient(run: str, group: str, layer: int) -> dict[float, float]:
    return by_time(select(read("fig13", run, "gradients"), group=group, layer=layer), over_parameters)


def decades(values: dict[float, float]) -> float:
    return math.log10(values[100] / values[1])


def twin_fig05() -> dict[str, float]:
    def output(run: str, layer: int) -> dict[float, float]:
        return by_time(select(read("fig05", run, "activity"), layer=layer), lambda rows: rows[0]["mean_square"])

    def spread(values: dict[float, float]) -> float:
        return max(values.values()) / min(values.values())

    networks: dict[float, list[bool]] = {}
    cells, rests = (select(read("fig05", "gru", "gradients"), group=g) for g in ("cell", "rest"))
    for seed in {r["seed"] for r in cells}:
        for t in {r["t"] for r in cells}:
            own = [over_parameters(select(rows, seed=seed, t=t)) for rows in (cells, rests)]
            networks.setdefault(seed, []).append(own[0] < own[1])
    ends = whole_gradient("crnn_norm_shared", "λ")
    ratios = [ends[1] / 1e-7, ends[100] / 1e-4]
    return {
        "crnn_grows": decades(output("crnn", 4)),
        "activity_flat": max(spread(output(run, layer)) for run in ("lru", "gru") for layer in (1, 4)),
        "lru_angle": decades(whole_gradient("lru", "θ")),
        "lru_magnitude": abs(decades(whole_gradient("lru", "ν"))),
        "lru_rest": abs(decades(whole_gradient("lru", "rest"))),
        "crnn_explodes": decades(whole_gradient("crnn", "λ")),
        "norm_tames": decades(ends),
        "norm_values": max(max(r, 1 / r) for r in ratios),
        "norm_rest": spread(whole_gradient("crnn_norm_shared", "rest")),
        "gru_flat": max(spread(whole_gradient("gru_shared", group)) for group in ("cell", "rest")),
        "gru_cell": mean(all(below) for below in networks.values()),
    }


def twin_fig13() -> dict[str, float]:
    layers = {
        (run, group): [layer_gradient(run, group, layer) for layer in (1, 2, 3, 4)]
        for run, names in STACKS.items()
        for group in names
    }
    trends = [abs(math.log10(own[3][t] / own[0][t])) for own in layers.values() for t in own[0]]

    def outside(run: str) -> float:
        factors = [1.0]
        for group, ranges in AUTHORS[run].items():
            for t, (low, high) in zip((1, 100), ranges, strict=True):
                factors += [max(low / own[t], own[t] / high) for own in layers[run, group]]
        return max(factors)

    def per_block(run: str, recurrent: tuple[str, ...]) -> float:
        rows = [r for r in read("fig13", f"depth_{run}", "gradients") if r["group"] in recurrent]
        squares = [
            [over_parameters(select(rows, seed=seed, layers=n)) for n in (2, 8)] for seed in {r["seed"] for r in rows}
        ]
        return math.exp(mean(math.log(deep / shallow) for shallow, deep in squares) / 6)

    tame = [per_block("lru", ("ν", "θ")), per_block("gru", ("cell",)), per_block("crnn_norm", ("λ",))]
    return {
        "no_trend": max(trends),
        "lru_values": outside("lru"),
        "crnn_values": outside("crnn"),
        "exponential": min(tame),
        "exponential_crnn": per_block("crnn", ("λ",)),
    }


def twin_fig14() -> dict[str, float]:
    def networks(run: str, **wanted: Any) -> dict[float, list[Row]]:
        rows = select(read("fig14", run, "networks"), **wanted)
        return {seed: select(rows, seed=seed) for seed in sorted({r["seed"] for r in rows})}

    def exact(run: str) -> float:
        return mean(
            all(r["nonzero"] == 0 and r["off_law"] < 1e-9 for r in own) for own in networks(run, row="A").values()
        )

    def others(run: str, **wanted: Any) -> float:
        return median(max(r["others_largest"] for r in own) for own in networks(run, **wanted).values())

    def shape(run: str) -> float:
        return median(min(r["correlation"] for r in own) for own in networks(run, row="B").values())

    return {
        "constant_gates": exact("gru"),
        "off_diagonal": others("gru", row="B"),
        "same_shape": shape("gru"),
        "input_gates": mean(own[0]["nonzero"] == 0 for own in networks("gru", row="C", sigma_h=0).values()),
        "breaks": others("gru", row="C", sigma_h=3),
        "lecun": others("lecun", row="B"),
        "lstm_constant_gates": exact("lstm"),
        "lstm_off_diagonal": others("lstm", row="B"),
        "lstm_same_shape": shape("lstm"),
    }


def gate_theory(cell: str, T: float) -> dict[str, float]:
    """E h² and E (∂h/∂b)² of h = Σ (1 - λ) λ^i v_{t-i}; in an LSTM the factor 1 - λ does not move."""
    lam, eps = 1 - 1 / T, 1e-6 / T
    state = sensitivity = 0.0
    for R, rho in ((0.332, 0.0), (0.0430564, 0.9970053)):
        F, S = (second_moment(lam, rho, order) for order in (0, 1))
        slope = (second_moment(lam + eps, rho, 0) - second_moment(lam - eps, rho, 0)) / (2 * eps)  # 2 ∂F/∂a
        state += R * F / T**2
        sensitivity += R * (S / T**2 + ((F - slope / T) if cell == "gru" else 0))
    return {"state": state, "sensitivity": sensitivity * (lam / T) ** 2}


def twin_fig15() -> dict[str, float]:
    rows = read("fig15", "gates", "means")
    moments = ("state", "sensitivity")

    def means(cell: str, gates: str, moment: str) -> dict[float, float]:
        own = select(rows, cell=cell, gates=gates)
        return {
            T: sum(r[moment] for r in select(own, T=T)) / sum(r["weight"] for r in select(own, T=T))
            for T in sorted({r["T"] for r in own})
        }

    def ratios(cell: str, kinds: tuple[str, ...]) -> list[float]:
        return [
            value / gate_theory(cell, T)[moment]
            for gates in kinds
            for moment in moments
            for T, value in means(cell, gates, moment).items()
            if T >= 16
        ]

    twins = {}
    for cell, prefix in (("gru", ""), ("lstm", "lstm_")):
        every = [means(cell, gates, moment) for gates in ("constant", "input", "state") for moment in moments]
        twins[f"{prefix}theory"] = max(abs(r - 1) for r in ratios(cell, ("constant",)))
        twins[f"{prefix}dependent"] = max(max(r, 1 / r) for r in ratios(cell, ("input", "state")))
        twins[f"{prefix}bounded"] = max(max(own.values()) / min(own.values()) for own in every)
    return twins


def twin_m5() -> dict[str, float]:
    def ratios(run: str) -> dict[float, float]:
        """Geometric means over networks, by target."""
        rows = read("m5", run, "networks")
        before = {r["seed"]: r["sensitivity"] for r in select(rows, target="none")}
        after: dict[float, list[float]] = {}
        for r in rows:
            if r["target"] != "none":
                after.setdefault(r["target"], []).append(math.log(r["sensitivity"] / before[r["seed"]]))
        return {target: math.exp(mean(logs)) for target, logs in after.items()}

    twins = {"tanh_grows": ratios("tanh")[0]}
    for run in ("gru", "gru_dependent", "lstm", "lstm_tied"):
        own = ratios(run).values()
        twins[f"{run}_bounded"] = max(own)
        twins[f"{run}_within"] = max(max(r, 1 / r) for r in own)
    return twins


TWINS = {"fig05": twin_fig05, "fig13": twin_fig13, "fig14": twin_fig14, "fig15": twin_fig15, "m5": twin_m5}
"""The function that has the numbers of a figure, by name."""
