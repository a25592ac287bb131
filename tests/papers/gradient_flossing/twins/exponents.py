"""Twins of claims on exponents, Jacobians and costs."""

import itertools
import math
import statistics
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import BASE, EPISODES, Row
from papers.gradient_flossing.twins.rows import by_epoch, groups, select, sizes


def reached(rows: list[Row], last: int = 99) -> dict[Any, bool]:
    near = lambda r: r["epoch"] <= last and abs(r["lambda_1"] - r["target"]) < 0.05  # noqa: E731
    return {key: any(map(near, own)) for key, own in groups(rows, "seed", "target").items()}


def twin_fig01(t: Any) -> dict[str, float]:
    faster = t["targets_faster"]["flossing"]

    def all_reached(run: str) -> float:
        found = reached(select(t[run]["flossing"], target=lambda x: x <= 0))
        seeds = {seed for seed, _ in found}
        return mean(all(found.get((seed, target), False) for target in (-1, -0.5, 0)) for seed in seeds)

    positive = groups(select(faster, target=0.5), "seed").values()

    def falls(run: str, k: int) -> float:
        own = groups(select(t[run]["flossing"], k=k), "seed").values()
        return median(max(r, key=by_epoch)["floss_loss"] / min(r, key=by_epoch)["floss_loss"] for r in own)

    def spectra(run: str, k: int) -> list[list[float]]:
        rows = groups(select(t[run]["spectrum"], flossing="after", k=k), "seed")
        return [[r["lambda"] for r in sorted(rows[seed], key=lambda r: r["i"])] for seed in sorted(rows)]

    def near(run: str, k: int) -> float:
        return mean(abs(x) for own in spectra(run, k) for x in own[:k])

    def contrast(own: list[float]) -> float:
        return statistics.stdev(own[16:]) / statistics.stdev(own[:16])

    rows = groups(select(t["numbers_longer"]["spectrum"], flossing="before"), "seed")
    before = [[r["lambda"] for r in sorted(rows[seed], key=lambda r: r["i"])] for seed in sorted(rows)]
    pairs = zip(spectra("numbers_longer", 16), before, strict=True)
    runs = {"": "numbers_longer", "_at_500": "numbers"}
    names = {"one_near_zero": 1, "first_k_near_zero": 16, "all_near_zero": 32}
    return {
        "targets_reached": all_reached("targets"),
        "targets_reached_faster": all_reached("targets_faster"),
        "positive_not_reached": mean(any(r["epoch"] <= 99 and r["lambda_1"] > 0.05 for r in own) for own in positive),
        **{f"loss_falls{when}": max(falls(run, k) for k in (1, 16, 32)) for when, run in runs.items()},
        **{f"{name}{when}": near(run, k) for name, k in names.items() for when, run in runs.items()},
        "the_rest_varies": median(contrast(after) / contrast(old) for after, old in pairs),
    }


def twin_fig02(t: Any) -> dict[str, float]:
    def logs(run: str, method: str, k: int) -> dict[Any, float]:
        rows = [r for r in select(t[run]["condition"], method=method) if r["flossing"] == "before" or r["k"] == k]
        return {(r["flossing"], r["seed"], r["horizon"], r["m"]): r["log10_condition"] for r in rows}

    exact, theory, many = (
        logs("condition", "exact", 15),
        logs("condition", "theory", 15),
        logs("saturating", "exact", 75),
    )
    times, seeds = sorted({key[2] for key in exact}), sorted({key[1] for key in exact})
    both = list(itertools.product(("before", "after"), seeds))

    def course(of: dict[Any, float], when: str, seed: int) -> list[float]:
        return [of[when, seed, time, 15] for time in times]

    def fit(when: str, seed: int) -> float:
        return statistics.correlation(times, course(exact, when, seed)) ** 2

    def slope(when: str) -> float:
        return median(
            statistics.linear_regression(course(theory, when, s), course(exact, when, s)).slope for s in seeds
        )

    def error(when: str, seed: int, time: int) -> float:
        return abs(exact[when, seed, time, 15] - theory[when, seed, time, 15]) / exact[when, seed, time, 15]

    def alike(when: str) -> float:
        return statistics.correlation(*([of[when, s, 500, 15] for s in seeds] for of in (exact, theory)))

    def lowered(time: int, m: int = 15) -> float:
        return median(exact["before", s, time, m] - exact["after", s, time, m] for s in seeds)

    def most(when: str, seed: int) -> int:
        return max(m for (w, s, time, m), log in exact.items() if (w, s, time) == (when, seed, 100) and log <= 5)

    return {
        "exponential_in_time": median(fit(*each) for each in both),
        **{f"theory_slope_{when}": slope(when) for when in ("before", "after")},
        "error_falls": median(error(*each, 500) / error(*each, 50) for each in both),
        **{f"finite_size_{when}": alike(when) for when in ("before", "after")},
        "lowered_by_orders": lowered(500),
        "factor_grows_exponentially": (lowered(500) / 500) / (lowered(250) / 250),
        "more_dimensions": median(most("after", seed) - most("before", seed) for seed in seeds),
        "full_jacobian_lowered": lowered(500, 80),
        "lowered_many": median(
            many["before", s, 500, 75] - many["after", s, 500, 75] for s in sorted({key[1] for key in many})
        ),
    }


def twin_fig06(t: Any) -> dict[str, float]:
    def arrive(run: str) -> float:
        return sum(reached(t[run]["flossing"]).values()) / len(groups(t[run]["spectrum"], "seed"))

    def ends(run: str) -> list[tuple[float, float]]:
        courses = [sorted(own, key=by_epoch) for own in groups(t[run]["flossing"], "seed").values()]
        return [(own[0]["lambda_1"], own[-1]["lambda_1"]) for own in courses]

    names = ("lstm", "lstm_faster", "relu", "relu_scaled", "relu_scaled_faster")
    claims = {name: f"{name.removesuffix('_faster')}_reaches_zero" for name in names}
    return {
        **{claims[name] + ("_faster" if name.endswith("_faster") else ""): arrive(name) for name in names},
        "lstm_minus_one_only_some": arrive("lstm_target") - arrive("lstm"),
        "some_relu_unstable": mean(first > 0 for first, _ in ends("relu_wide")),
        "wide_relu_stabilised": median(last for first, last in ends("relu_wide") if first > 0),
        "unstable_relu_stabilised": median(last for first, last in ends("relu_unstable") if first > 0),
    }


def twin_fig15(t: Any) -> dict[str, float]:
    return {"area_kept": median(r["difference"] for r in t["step"]["maps"])}


def twin_fig16(t: Any) -> dict[str, float]:
    rows, several = (t[run]["convergence"] for run in ("convergence", "networks"))

    def spread(i: int, step: int) -> float:
        return statistics.stdev(r["lambda"] for r in select(rows, i=i, step=step))

    def change(own: list[Row]) -> float:
        at = {(r["i"], r["step"]): r["lambda"] for r in own}
        return max(abs(at[i, 100] / at[i, 50] - 1) for i in (1, 20, 60, 80))

    return {
        "converges": max(spread(i, 100) / spread(i, 10) for i in (1, 20, 60, 80)),
        "settles": median(map(change, groups(several, "seed").values())),
    }


def twin_qr(t: Any) -> dict[str, float]:
    times = groups(t["many"]["cost"], "decompositions")
    n, ms = list(times), [median(r["ms"] for r in own) for own in times.values()]
    fit = statistics.linear_regression(n, ms)
    intervals = sorted(t["interval"]["intervals"], key=lambda r: r["t_ons"])
    per_network = groups(intervals, "seed").values()
    basis = t["interval"]["basis"]
    last = groups(select(basis, step=max(r["step"] for r in basis)), "seed").values()

    def off(own: list[Row]) -> float:
        resolved = [r for r in own if 4 <= r["log10_exact"] <= 14]
        return mean(abs(r["log10_estimate"] / r["log10_exact"] - 1) for r in resolved)

    def error(own: list[Row]) -> float:
        return [r["error"] for r in own if r["t_ons"] > 1 and r["log10_estimate"] < 12][-1]

    return {
        "bottleneck": fit.slope * 55 / (fit.slope * 55 + fit.intercept),
        "interval_in_cost": statistics.correlation(n, ms) ** 2,
        "condition_by_diagonal": median(map(off, per_network)),
        "often_enough": median(math.log10(error(own)) for own in per_network),
        "one_basis": median(max(r["angle"] for r in own) for own in last),
    }


def twin_table1(t: Any) -> dict[str, float]:
    orders = {
        "train": lambda r: r["n"] ** 2 * r["batch"] * r["t"],
        "floss": lambda r: (r["n"] ** 2 * r["k"] + r["n"] * r["k"] ** 2) * r["t"],
    }

    def excess(loop: str, scanned: tuple[str, ...]) -> float:
        found = []
        for size in scanned:
            others = [name for name in BASE if name != size]
            families = groups(select(t["cost"]["bench"], loop=loop, engine="native"), *others).values()
            family = max(families, key=lambda each: len(sizes(each, size)))
            rows = [own[-1] for _, own in sorted(groups(family, size).items())]
            local = [
                (
                    math.log(b["ms_per_network_epoch"] / a["ms_per_network_epoch"])
                    - math.log(orders[loop](b) / orders[loop](a))
                )
                / math.log(b[size] / a[size])
                for a, b in itertools.pairwise(rows)
            ]
            found += [abs(x) for x in local[len(local) // 2 :]]
        return max(found)

    rows = t["share"]["summary"]
    count = sum(sum(e < r["epochs"] for e in EPISODES[r["flossing"]]) for r in rows)
    f = sum(r["floss_seconds"] for r in rows) / count
    rest = mean(r["seconds"] - r["floss_seconds"] for r in rows)
    return {
        "training_order": excess("train", ("n", "t", "batch")),
        "flossing_order": excess("floss", ("n", "t", "k")),
        "share_of_flossing": f / (f + rest),
    }
