"""Made-up data of every figure of the paper, for which all its claims are true, or false, or neither."""

import functools
import io
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from floss.analysis.bench.measurement import COLUMNS as BENCH
from floss.figures.growth import cost
from floss.papers.finding import Finding, Findings
from floss.runtime.files import csv_text
from floss.sweep.columns import METRICS, SUMMARY

Row = dict[str, Any]
World = dict[str, dict[str, list[Row]]]
"""Rows of each table of each run: summary and metrics of trained networks, or those of an analysis."""


class Pick:
    """Numbers with which claims are true, with which they are false, or anything between the two."""

    def __init__(self, mode: str) -> None:
        self.mode, self.random = mode, np.random.default_rng(7)

    def __call__(self, true: float, false: float) -> float:
        if self.mode == "random":
            return self.random.uniform(min(true, false), max(true, false))
        return (true if self.mode == "true" else false) + 0.002 * abs(true - false) * self.random.uniform(-1, 1)


SEEDS = range(8)
MANY = range(40)
"""Of claims about how many networks do something: all of eight of them prove less than "more than 0.9"."""
EPISODES = {
    "none": (),
    "pre": (0,),
    "during": (0, 500),
    "early": (0, 100, 200, 300, 400),
    "throughout": range(0, 10**5, 100),
}


def product(**axes: Iterable[Any]) -> list[Row]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def networks(
    schedules: str,
    delays: Iterable[int] = (70,),
    k: Iterable[int] = (75,),
    seeds: Iterable[int] = SEEDS,
    **more: Any,
) -> list[Row]:
    """Rows of summary.csv, without what was measured."""
    rows = product(flossing=schedules.split(), d=delays, k=k, seed=seeds)
    same = {"task": "xor", "arch": "vanilla", "init": "gaussian", "g": 1.0, "t_ons": 1, "epochs": 2000, **more}
    # Keys that sort in another order than the seeds do.
    return [
        same | row | {"network": f"{(7 * i + 3) % len(rows):03x}{i:03x}", "status": "done"}
        for i, row in enumerate(rows)
    ]


def courses(rows: list[Row], epochs: Iterable[int], measure: Callable[[Row, int], Row]) -> list[Row]:
    """Rows of metrics.csv of some networks, and a flossing epoch of each, which no claim is about."""
    own = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed", "network")
    found = []
    for row in rows:
        identity = {name: row[name] for name in own}
        found.append(identity | {"epoch": 0, "phase": "floss", "lambda_1": 9.0, "floss_loss": 1.0})
        found += [identity | {"epoch": epoch, "phase": "train", "loss": 1.0} | measure(row, epoch) for epoch in epochs]
    return found


def analysed(rows: list[Row]) -> list[Row]:
    return [{"arch": "vanilla", "n": 32, "init": "gaussian", "g": 1.0, "state": 0} | row for row in rows]


def make_fig01(pick: Pick) -> World:
    targets = product(seed=MANY, target=(-1.0, -0.5, 0.0, 0.5))
    away = [pick(0.01, 0.4) if row["target"] <= 0 else pick(0.6, 0.01) for row in targets]
    flossing = [
        row | {"epoch": epoch, "lambda_1": row["target"] - (0.7 if epoch == 0 else off if epoch < 100 else 0.0)}
        for row, off in zip(targets, away, strict=True)
        for epoch in (0, 50, 99, 100, 150)
    ]
    losses = [
        row | {"floss_loss": pick(1.0, 1.0) if row["epoch"] == 0 else pick(0.01, 0.9)}
        for row in product(epoch=(499, 100, 0), k=(1, 16, 32), seed=SEEDS)
    ]
    before = [
        row | {"lambda": -0.5 - 0.05 * row["i"] + 0.05 * pick.random.normal()}
        for row in product(flossing=("before",), k=(None,), seed=SEEDS, i=range(1, 33))
    ]
    after = [
        row | {"k": k, "flossing": "after", "lambda": pick(near if row["i"] <= k else rest, -0.5 + 0.1 * noise)}
        for k, row in itertools.product((1, 16, 32), before)
        for noise in [pick.random.normal()]
        for near, rest in [(0.01 * noise, row["lambda"] if k == 1 else -0.1 * (row["i"] - k))]
    ]
    for row in after:
        if row["k"] == 1 and row["i"] > 1:  # a control, which is the same in every world
            row["lambda"] = -0.5 - 0.05 * row["i"]
    numbers = {"flossing": analysed(losses), "spectrum": analysed(before + after)}
    return {
        "targets": {"flossing": analysed(flossing)},
        "targets_faster": {"flossing": analysed(flossing)},
        "numbers": numbers,
        "numbers_longer": numbers,
    }


def make_fig02(pick: Pick) -> World:
    rows = []
    for own in product(flossing=("before", "after"), seed=SEEDS):
        before = own["flossing"] == "before"
        noise = {t: pick.random.uniform(-0.1, 0.1) for t in range(10, 501, 10)}
        size = 0.3 * pick.random.normal()  # in which networks of the same statistics differ
        at = {(t, m) for t in noise for m in (15, 75, 80)} | {(100, m) for m in range(1, 80, 2)}
        for t, m in sorted(at):
            true, false = (0.1 if before else 0.05) * t + size, (20 if before else 21) + noise[t] + size
            log = m / 15 * pick(true, false)
            same = own | {"k": None if before else 15, "horizon": t, "m": m}
            rows += [same | {"method": "exact", "log10_condition": log}]
            rows += [same | {"method": "theory", "log10_condition": pick(log - 1, 0.08 * t - 2 * size)}]
    other = [row | {"k": 40, "log10_condition": 0.0} for row in rows if row["flossing"] == "after"]
    many = [row if row["flossing"] == "before" else row | {"k": 75} for row in rows if row["m"] in (15, 75, 80)]
    return {"condition": {"condition": analysed(rows + other)}, "saturating": {"condition": analysed(many)}}


def make_fig03(pick: Pick) -> World:
    def run(task: str, delays: tuple[int, ...]) -> dict[str, list[Row]]:
        rows = networks("none pre", delays, seeds=range(20), task=task, epochs=10_000)
        crossed: dict[str, float] = {}
        for row in rows:
            d, none = row["d"], row["flossing"] == "none"
            true, false = (d <= 20) if none else (d <= 40), none and (d > 20 or task == "xor_continuous")
            row["final_loss"] = pick(*(0.001 if learned else 0.1 for learned in (true, false)))
            never = math.inf
            sooner = (1000 if d <= 20 else 6000 if d == 30 else never) if none else (300 if d <= 40 else never)
            same = 300 if d <= 20 else 6000 if d == 30 else never
            choice = pick.random.choice([300, 1000, 3000, 6000])
            crossed[row["network"]] = {"true": sooner, "false": same, "random": choice}[pick.mode]
        epochs = (0, 100, 300, 600, 1000, 3000, 6000, 9999)
        metrics = courses(rows, epochs, lambda row, epoch: {"loss": 0.001 if epoch >= crossed[row["network"]] else 0.1})
        return {"summary": rows, "metrics": metrics}

    return {
        "copy": run("copy", (10, 20, 30, 40, 80)),
        "copy_example": run("copy", (20, 30, 40)),
        "xor": run("xor_continuous", (10, 20, 40, 80)),
        "xor_example": run("xor_continuous", (40,)),
    }


SOLVES = {
    "temporal": {"none": 20, "pre": 40, "during": 70},
    "spatial": {"none": 20, "pre": 60, "during": 70},
}
"""The longest delay that networks of each schedule solve where the claims of Figs 4 and 14 are true."""


def _by_delay(pick: Pick, task: str, delays: Iterable[int], seeds: Iterable[int], **more: Any) -> dict[str, list[Row]]:
    rows = networks("none pre during", delays, seeds=seeds, task=f"{task}_xor".removeprefix("temporal_"), **more)
    for row in rows:
        true = 0.99 if row["d"] <= SOLVES[task][row["flossing"]] else 0.5
        row["final_accuracy"] = pick(true, 0.7)
    return {"summary": rows}


def make_fig04(pick: Pick) -> World:
    runs = {task: _by_delay(pick, task, (20, 40, 50, 60, 70, 80), range(20)) for task in SOLVES}
    return runs | {f"fig14_more/{name}": run for name, run in make_fig14_more(pick).items()}


def make_fig14(pick: Pick) -> World:
    own, other = make_fig04(pick), make_fig04(pick)
    for row in other["temporal"]["summary"]:
        if row["d"] == 40:
            row["final_accuracy"] = pick(0.6, 0.99)
    other["temporal"]["summary"] += networks("none pre during", (90,), seeds=range(20), final_accuracy=0.99)
    return own | {f"fig04/{name}": other[name] for name in SOLVES}


def make_fig14_more(pick: Pick) -> World:
    seeds = range(20, 60)
    runs = {run: _by_delay(pick, "temporal", (70,), seeds) for run in ("gaussian", "orthogonal")}
    long = networks("pre during", (70,), seeds=range(20, 40), task="spatial_xor")
    for row in long:
        row["final_accuracy"] = pick(0.95, 0.5)
    return runs | {"spatial_long": {"summary": long}}


def _by_k(pick: Pick, schedule: str) -> World:
    rows = networks(schedule, (10, 20, 40, 70, 80), (10, 40, 80), range(20))
    for row in rows:
        hardest = 40 if schedule == "pre" else 70
        solved = row["d"] <= 20 or (row["k"] >= row["d"] and row["d"] <= hardest)
        row["final_accuracy"] = pick(0.99 if solved else 0.6, 0.995)
    return {schedule: {"summary": rows}}


def make_fig05(pick: Pick) -> World:
    return _by_k(pick, "during")


def make_fig07(pick: Pick) -> World:
    return _by_k(pick, "early") | _by_k(pick, "pre")


def make_fig06(pick: Pick) -> World:
    world: World = {}
    arriving = ("lstm", "lstm_faster", "relu_scaled", "relu_scaled_faster", "relu")
    for run in (*arriving, "lstm_target", "relu_wide", "relu_unstable"):
        rows, seeds = [], range(200) if run == "relu_wide" else MANY
        for seed in seeds:
            target = -1.0 if run == "lstm_target" else 0.0
            first, last = -2.0, target - (pick(0.4, 0.01) if run == "lstm_target" and seed else pick(0.01, 0.5))
            if run in ("relu_wide", "relu_unstable"):
                few = seed < 5 or run == "relu_unstable"
                first = pick.random.uniform(-1, 1) if pick.mode == "random" else pick(1.2, 1.2 if few else -1.2)
                last = pick(0.0, 1.0)
            values = {0: first, 50: last, 99: last, 100: last if run.startswith("relu_") else target}
            rows += [
                {"seed": seed, "target": target, "epoch": epoch, "lambda_1": values[epoch]}
                for epoch in (100, 99, 50, 0)
            ]
        spectrum = product(seed=seeds, flossing=("before", "after"), i=(1, 2))
        world[run] = {"flossing": analysed(rows), "spectrum": analysed(spectrum)}
    return world


def departure(row: Row) -> int:
    """Spread over many hundreds of epochs, in another order than the seeds'."""
    return 800 + 20 * (37 * row["seed"] % 48)


def _gradient(pick: Pick, schedules: str) -> World:
    """Norms that grow from 10⁻⁵ to 10⁻³ and are large from 180 epochs before the departure on, or long after it."""
    rows = networks(schedules, seeds=MANY)
    spike = [pick(-1, -2.5) for _ in MANY]

    def measure(row: Row, epoch: int) -> Row:
        since = epoch - departure(row)
        accuracy = 0.45 + pick(0.02, 0.02) if since < 0 or row["flossing"] == "none" else pick(0.9, 0.8)
        if row["flossing"] == "none":
            norm = pick(-9, -5.5)
        elif epoch % 100 == 60 and epoch < 450:  # too late for an episode
            norm = pick(-4, -1)
        elif epoch % 100 < 50 and epoch < 450:
            norm = spike[row["seed"]]
        elif since < -180:
            part = (epoch - 450) / (departure(row) - 450)
            norm = pick(-5 + 1.9 * part, -5.2 - 2 * part)
        else:
            norm = pick(-2, (-3.5 if since > -60 else -7.2) if since < 400 else -2)
        if row["seed"] % 2 and pick.mode == "random" and row["flossing"] != "none":  # some that are never small
            norm = max(norm, -2.95)
        return {"accuracy": accuracy, "grad_norm_h0": 10**norm, "grad_norm_h0_last": 1.0, "adam_step_h0": 1.0}

    metrics = courses(rows, range(0, 2400, 20), measure)
    for row in rows:
        row["final_accuracy"] = pick(0.99, 0.6) if row["flossing"] == "early" else 0.5
    return {"gradient": {"summary": rows, "metrics": metrics}}


def make_fig08(pick: Pick) -> World:
    return _gradient(pick, "none early") | {"fig09/gradient": _gradient(pick, "early")["gradient"]}


def make_fig09(pick: Pick) -> World:
    during = networks("during", (20, 70), seeds=range(20))
    for row in during:
        row["final_accuracy"] = 0.98 if row["seed"] % 3 == 0 else 0.6
    other = _gradient(pick, "none early")["gradient"]
    return _gradient(pick, "early") | {"fig08/gradient": other, "fig04/temporal": {"summary": during}}


def make_fig10(pick: Pick) -> World:
    rows = networks("none early", seeds=MANY, epochs=1000)
    height = [pick(2, 0) for _ in MANY]

    def measure(row: Row, epoch: int) -> Row:
        none, left = row["flossing"] == "none", 700 + 10 * (row["seed"] % 20)
        peak = not none and epoch in {e + after for e in (100, 200, 300, 400) for after in range(25)}
        falls, rises = none * epoch / 500, (not none) * max(epoch - 450, 0) * 0.003
        logs = {
            "sv_1": pick(0.2 * peak, 0 if none else 2 + peak),
            "sv_20": pick(-4 - falls + rises, -4.1) - 3 * none + height[row["seed"]] * peak,
            "sv_40": pick(-6 + 2 * peak - falls, -6),
            "effective_rank": pick(0.5 + 0.6 * peak, 0.5),
        }
        accuracy = 0.9 if epoch >= left and not none else 0.5
        return {"accuracy": accuracy} | {name: 10**value for name, value in logs.items()}

    metrics = courses(rows, [*range(0, 1000, 5), 999], measure)
    return {"gradient": {"summary": rows, "metrics": metrics}}


make_fig11 = make_fig10


def make_fig12(pick: Pick) -> World:
    rows = networks("none early throughout", seeds=MANY)

    def measure(row: Row, epoch: int) -> Row:
        if row["flossing"] != "throughout":
            early = row["flossing"] == "early"
            return {"accuracy": 0.999 if early else 0.5, "grad_norm_h0": 1e-2 if early else 1e-9, "loss": 0.1}
        after = epoch % 100 == 0
        norm = pick(-2 if epoch >= 450 else -1 if epoch % 100 < 30 else -3, -3)
        accuracy, loss = pick(0.5 if after else 0.9, 0.998), pick(0.7, 0.2) if after else 0.2
        return {"accuracy": accuracy, "grad_norm_h0": 10**norm, "loss": loss}

    metrics = courses(rows, range(0, 1000, 10), measure)
    for row in rows:
        row["final_accuracy"] = pick(
            0.99 if row["flossing"] == "early" else 0.8, 0.5 if row["flossing"] == "early" else 0.9
        )
    return {"gradient": {"summary": rows, "metrics": metrics}}


def make_fig13(pick: Pick) -> World:
    rows = networks("none during", (10, 20, 40, 60, 80), task="spatial_xor")
    for row in rows:
        solved = pick.random.uniform() < 0.5 if pick.mode == "random" else row["flossing"] == "during"
        row["final_accuracy"] = pick(0.99, 0.96) if solved else pick(0.5, 0.54)

    def measure(row: Row, epoch: int) -> Row:
        if epoch == 1999:  # not measured: the last one that is counts
            return {"accuracy": 0.5}
        fitted = -0.2 * math.exp(-0.03 * row["d"])
        values = (fitted, -1 - 0.01 * row["d"]) if row["final_accuracy"] > 0.95 else (-0.5, 0.0)
        return {"accuracy": 0.5, "lambda_1": pick(*values) - (epoch == 0), "lambda_10": pick(*values)}

    return {"spatial": {"summary": rows, "metrics": courses(rows, (0, 1000, 1990, 1999), measure)}}


def make_fig16(pick: Pick) -> World:
    shown, rows, several = (1, 20, 60, 80), [], []
    for state, i in itertools.product(range(10), shown):
        off = pick.random.normal()
        for step in range(1, 101):
            value = -i / 100 + off * pick(1 / step, 1 if step > 5 else 0.1)
            rows.append({"seed": 0, "state": state, "step": step, "i": i, "lambda": value})
    for seed, i in itertools.product(SEEDS, shown):
        off = pick.random.normal()
        for step in range(1, 101):
            drift = 1 + 2 / step if step < 20 else 1 + pick(0.0, step / 200)
            several.append({"seed": seed, "step": step, "i": i, "lambda": -(1 + i / 100 + 0.1 * off) * drift})
    return {"convergence": {"convergence": analysed(rows)}, "networks": {"convergence": analysed(several)}}


def make_qr(pick: Pick) -> World:
    def timed(k: int, true: float, false: float) -> list[Row]:
        rows = []
        for number, n in itertools.product(range(10), (55, 28, 19, 11)):
            wave = pick(0.0, 3.0 * (n == 28) - 2.0 * (n == 55))
            rows.append({"k": k, "round": number, "decompositions": n, "ms": 1 + n * pick(true, false) / 55 + wave})
        return rows

    intervals, basis = [], []
    for seed, t_ons in itertools.product(SEEDS, (1, 2, 4, 6, 8)):
        exact, error = 2.5 * t_ons, 10 ** pick(-8, -1) if t_ons < 6 else 0.5
        estimate = exact * pick(0.99, 0.7) if t_ons < 6 else 18.0
        intervals.append({"seed": seed, "t_ons": t_ons, "log10_exact": exact, "log10_estimate": estimate})
        intervals[-1]["error"] = 0.0 if t_ons == 1 else error
    for seed, step, i in itertools.product(SEEDS, (10, 1000, 2000), (1, 20, 60, 80)):
        basis.append({"seed": seed, "step": step, "i": i, "angle": 1.0 if step == 10 else pick(1e-4, 1.0)})
    return {
        "many": {"cost": timed(75, 9.0, 0.1)},
        "few": {"cost": timed(8, 0.2, 0.1)},
        "interval": {"intervals": intervals, "basis": basis},
    }


def _two_kinds(
    pick: Pick, measure: str, *, flossed: tuple[float, float], never: float, **more: Any
) -> dict[str, list[Row]]:
    rows = networks("none pre", (40,), seeds=range(20), **more)
    for row in rows:
        row[measure] = pick(*flossed) if row["flossing"] == "pre" else pick(never, never)
    return {"summary": rows}


def make_linear(pick: Pick) -> World:
    copy = _two_kinds(pick, "final_loss", flossed=(0.001, 0.09), never=0.05, task="copy")
    xor = _two_kinds(pick, "final_accuracy", flossed=(0.5, 0.9), never=0.5)
    fig04 = make_fig04(Pick("true"))["temporal"]
    return {"copy": copy, "xor": xor, "fig04/temporal": fig04}


def make_gated(pick: Pick) -> World:
    return {run: _two_kinds(pick, "final_accuracy", flossed=(0.99, 0.5), never=0.6) for run in ("lstm", "gru")}


def make_overlap(pick: Pick) -> World:
    world: World = {}
    for run, schedule in (("flossed", "early"), ("span", "early"), ("unflossed", "none")):
        rows = networks(schedule)

        def measure(row: Row, epoch: int, run: str = run) -> Row:
            since = epoch - departure(row)
            near = pick(0.4 if -60 <= since < 60 else 0.0, 0.0)
            vectors = 80 if epoch == 300 else 20 + row["seed"]  # where all outlast the delay there is no number
            share = vectors / 80 + (1 - vectors / 80) * near
            overlap = {"clv_overlap": 0.1 + near}
            span = {"neutral_share": share, "neutral_vectors": vectors}
            return {"accuracy": 0.9 if since >= 0 else 0.5, **(span if run == "span" else overlap)}

        world[run] = {"summary": rows, "metrics": courses(rows, range(0, 3000, 20), measure)}
    return world


def make_control(pick: Pick) -> World:
    unflossed = [row | {"final_accuracy": 0.5} for row in networks("none", (40, 70))]
    world: World = {"none": {"summary": unflossed}}
    for penalty in ("exponents", "spectral_radius", "one_step"):
        rows = networks("during early", (40, 70))
        for row in rows:
            row["final_accuracy"] = 0.99 if penalty == "exponents" else pick(0.5, 0.99)
        world[penalty] = {"summary": rows}
    return world


def _key(name: str, value: float) -> dict[str, Any]:
    """A column that tells networks apart besides the identity."""
    return {name: value}


def make_budget(pick: Pick) -> World:
    """A quarter of those that are flossed at once for longest solve the task, which is less than half, and not none."""
    world: World = {}
    for schedule, each in (("pre", (500, 1000, 2500)), ("during", (250, 500, 1250)), ("early", (100, 200, 500))):
        rows = []
        for epochs in each:
            own = networks(schedule, seeds=range(40), **_key("flossing.epochs", epochs))
            for row in own:
                solves = schedule == "early" or (epochs == 2500 and row["seed"] % 4 == 0)
                lasting = schedule == "early" and epochs == 500
                row["final_accuracy"] = 0.99 if lasting else pick(0.99 if solves else 0.5, 0.99)
            rows += own
        world[schedule] = {"summary": rows}
    return world


def make_until(pick: Pick) -> World:
    world: World = {}
    for run in ("fixed", "until"):
        rows = networks("during")
        for row in rows:
            row["floss_epochs"] = round(pick(600, 1400)) if run == "until" else 1000
            row["final_accuracy"] = pick(0.99 if run == "until" else 0.5, 0.5)
        world[run] = {"summary": rows}
    return world


def make_capacity(pick: Pick) -> World:
    rows = [row for n in (80, 112) for row in networks("during early", (80,), **_key("arch.n", n))]
    for row in rows:
        row["final_accuracy"] = pick(0.99, 0.5) if row["arch.n"] == 112 else 0.5
    return {"sizes": {"summary": rows}}


def make_items(pick: Pick) -> World:
    world: World = {}
    for d, holds in ((40, (1, 2, 4, 8)), (80, (1, 2, 4, 8, 16)), (160, (2, 4, 8, 16, 32))):
        rows = [
            row for hold in holds for row in networks("none early", (d,), seeds=range(40), **_key("task.hold", hold))
        ]
        for row in rows:
            few = d / row["task.hold"] <= (10 if d == 160 and row["seed"] % 4 == 0 else 20)
            row["final_accuracy"] = pick(0.99, 0.5) if row["flossing"] == "early" and few else pick(0.5, 0.99)
        world[f"d{d}"] = {"summary": rows}
    return world


def make_spectra(pick: Pick) -> World:
    """Networks with early episodes solve the task."""
    rows = networks("none during early")
    for row in rows:
        row["final_accuracy"] = 0.99 if row["flossing"] == "early" else 0.5

    def measure(row: Row, epoch: int) -> Row:
        if epoch == 1999:  # not measured: the last one that is counts
            return {"accuracy": 0.5}
        last = pick(40, 5) if row["flossing"] == "early" else pick(10, 20)
        early = 60.0 if epoch == 0 else pick(12, 58)
        return {"accuracy": 0.5, "near_zero": early if epoch < 1000 else last}

    return {"watched": {"summary": rows, "metrics": courses(rows, (0, 480, 1000, 1980, 1999), measure)}}


BASE = {"n": 80, "k": 75, "t": 300, "batch": 16, "networks": 8}
SCANS = {"n": (32, 64, 128), "k": (8, 32, 75), "t": (75, 150, 600), "batch": (4, 8, 64), "networks": (1, 8, 64)}


def make_table1(pick: Pick) -> World:
    bench = []
    for loop, engine in itertools.product(("train", "floss"), ("torch", "native")):
        own = {"train": ("n", "t", "batch"), "floss": ("n", "t", "k")}[loop]
        for size, values in SCANS.items():
            power = pick(0, 1) if size in own else 3.0
            for value in values:
                sizes = BASE | {size: value}
                ms = cost(loop, **sizes) * (value / BASE[size]) ** power / 1e6
                same = {"engine": engine, "loop": loop, **sizes, "arch": "vanilla"}
                bench.append(same | {"ms_per_network_epoch": ms, "spread": 0.1})
    rows = networks("none pre", (10, 20, 30), task="copy")
    for row in rows:
        row["floss_seconds"] = pick(1.0, 50.0)
        row["seconds"] = 100 + row["floss_seconds"]
    return {"cost": {"bench": bench}, "share": {"summary": rows}}


def make_fig15(pick: Pick) -> World:
    maps = [{"map": number, "difference": 10 ** pick(-16, -2)} for number in range(20)]
    return {"step": {"maps": maps}}


@functools.cache
def world(figure: str, mode: str) -> World:
    return globals()[f"make_{figure}"](Pick(mode))


@functools.cache
def made(figure: str, mode: str) -> Findings:
    return findings(world(figure, mode))


def findings(world: World, scale: str = "paper") -> Findings:
    return {name: _finding(name, text(tables), scale) for name, tables in world.items()}


def text(tables: dict[str, list[Row]]) -> dict[str, str]:
    """Each table as CSV."""
    found = {}
    for name, rows in tables.items():
        known = {"summary": SUMMARY, "metrics": METRICS, "bench": BENCH}.get(name, ())
        columns = dict.fromkeys((*known, *(column for row in rows for column in row)))
        found[name] = csv_text(list(columns), [[row.get(column) for column in columns] for row in rows])
    return found


def _finding(name: str, tables: dict[str, str], scale: str) -> Finding:
    frames = {
        table: pd.read_csv(io.StringIO(content), dtype={"network": str})
        for table, content in tables.items()
        if table != "metrics"
    }
    summary = frames.pop("summary", pd.DataFrame())
    metrics = tuple(tables.get("metrics", "").splitlines(keepends=True))
    return Finding(name, scale, f"floss {name}", summary=summary, texts=metrics, tables=frames)
