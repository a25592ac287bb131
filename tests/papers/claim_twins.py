"""Twins of the numbers of the first paper's claims, in plain Python.

A twin is a function of the rows of a figure's runs, with its name; a claim without one fails.
"""

import contextlib
import csv
import functools
import io
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import BASE, EPISODES, Row

from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing import PAPER

CLAIMS = {each.name: each for each in PAPER.claims()}


TEXTS = {"network", "flossing", "task", "phase", "method", "engine", "loop", "status"}


class Fields(dict[str, Any]):
    """One row of a CSV file: numbers, texts, and NaN for nothing; a field is read when it is asked for."""

    def __init__(self, place: dict[str, int], fields: list[str]) -> None:
        super().__init__()
        self.place, self.fields = place, fields

    def __missing__(self, column: str) -> Any:
        field: Any = self.fields[self.place[column]]
        if column not in TEXTS:
            with contextlib.suppress(ValueError):
                field = float(field or "nan")
        self[column] = field
        return field


def rows_of(tables: dict[str, str]) -> dict[str, list[Row]]:
    """The rows of CSV files."""
    found: dict[str, list[Row]] = {}
    for name, content in tables.items():
        columns, *lines = csv.reader(io.StringIO(content))
        place = {column: i for i, column in enumerate(columns)}
        found[name] = [Fields(place, fields) for fields in lines]
    return found


def select(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(v(r[c]) if callable(v) else r[c] == v for c, v in wanted.items())]


def groups(rows: list[Row], *columns: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        key = tuple(row[c] for c in columns)
        found.setdefault(key[0] if len(key) == 1 else key, []).append(row)
    return found


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


def by_epoch(row: Row) -> float:
    return row["epoch"]


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


def accuracy(rows: list[Row], **wanted: Any) -> float:
    return mean(0.5 if r["status"] == "diverged" else r["final_accuracy"] for r in select(rows, **wanted))


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


def sizes(rows: list[Row], column: str) -> list[Any]:
    return sorted({row[column] for row in rows})


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


def typical(rows: list[Row], d: int, k: int) -> float:
    return median(r["final_accuracy"] for r in select(rows, d=d, k=k))


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


def training(t: Any, run: str = "gradient", **wanted: Any) -> list[list[Row]]:
    """The training rows of each network, by epoch."""
    rows = groups(select(t[run]["metrics"], phase="train", **wanted), "network").values()
    return [sorted(own, key=by_epoch) for own in rows]


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


def solved(rows: list[Row]) -> dict[float, bool]:
    """Whether the network of each seed has a final accuracy above 95 %."""
    return {r["seed"]: r["final_accuracy"] > 0.95 for r in rows}


def share(of_seeds: dict[float, bool]) -> float:
    """NaN of none: a delay that only the larger scale has."""
    return mean(of_seeds.values()) if of_seeds else math.nan


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


class Committed(dict[str, Any]):
    """Rows of the runs of a figure, and of further ones, by run and table; none is read before it is asked for."""

    def __init__(self, runs: Findings) -> None:
        super().__init__()
        self.runs = runs

    def __missing__(self, run: str) -> "CommittedTables":
        self[run] = CommittedTables(self.runs[run])
        return self[run]


class CommittedTables(dict[str, Any]):
    """Rows of the tables of one run, from the text of the files."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding

    def __missing__(self, table: str) -> list[Row]:
        finding = self.finding
        if table == "summary":
            content = finding.summary.to_csv(index=False)
        elif table == "metrics":
            content = "".join(finding.texts)
        else:
            content = (finding.folders[0] / f"{table}.csv").read_text(encoding="utf-8")
        self[table] = rows_of({table: content})[table]
        return self[table]


def measured(figure: str, data: Findings) -> dict[str, float]:
    """The values of a figure's claims."""
    samples = {one.name.partition(".")[2]: one.sample(data) for one in CLAIMS.values() if one.figure == figure}
    return {
        name: float(sample.statistic(sample.rows)) if len(sample.rows) else math.nan for name, sample in samples.items()
    }


def twin(figure: str, runs: Any) -> dict[str, float]:
    """The numbers of a figure's claims in plain Python, from its rows by run and table."""
    return globals()[f"twin_{figure}"](runs)
