"""Hand-made tables of trained networks, what is drawn from them, and what is to be seen there."""

import functools
import importlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from floss.papers.finding import Finding, Findings

NAN = math.nan
Network = dict[str, object]
Course = Callable[[Network, int], dict[str, float]]
"""What a network measures at an epoch; nothing where it has stopped."""


def networks(
    task: str = "xor", d: Iterable[int] = (70,), flossing: Iterable[str] = ("none",), k: Iterable[int] = (75,), seeds=3
) -> list[Network]:
    return [
        {"task": task, "d": one, "flossing": f, "k": number, "seed": seed}
        for one in d
        for f in flossing
        for number in k
        for seed in range(seeds)
    ]


def quality(network: Network) -> float:
    """Another number between 0 and 1 for each network."""
    d, k, seed, f = (network[name] for name in ("d", "k", "seed", "flossing"))
    return (7 * int(str(d)) + 3 * int(str(k)) + 11 * int(str(seed)) + 5 * len(str(f))) ** 2 % 97 / 97


def steady(network: Network, epoch: int) -> dict[str, float]:
    q = quality(network)
    return {"loss": 0.1 + q / (epoch + 1), "accuracy": 0.5 + q / 2, "grad_norm_h0": q * 1e-3}


def finding(
    every: list[Network],
    course: Course = steady,
    epochs: Iterable[int] = (0, 5, 10),
    final: Callable[[Network], float] = lambda one: 0.5 + quality(one) / 2,
) -> Finding:
    """A finding of these networks; the final loss is 1 less the accuracy, and nothing is there where that is NaN."""
    summary, metrics = [], []
    for place, one in enumerate(every):
        own = {
            **one,
            "arch": "vanilla",
            "init": "gaussian",
            "g": 1.0,
            "t_ons": 1,
            "network": f"{place * 7919 % 1000:04d}",
        }
        value = final(one)
        binary = "xor_" not in str(one["task"]) and one["task"] != "copy"
        summary.append({**own, "final_loss": 1.001 - value, "final_accuracy": value if binary else NAN})
        metrics.append({**own, "epoch": 0, "phase": "floss", "loss": 77.0, "accuracy": 0.77, "lambda_1": -7.7})
        for epoch in epochs:
            if measured := course(one, epoch):
                metrics.append({**own, "epoch": epoch, "phase": "train", **measured})
    text = pd.DataFrame(metrics).to_csv(index=False)
    return Finding("run", "smoke", "floss train", pd.DataFrame(summary), (text,))


def learns(network: Network, epoch: int) -> dict[str, float]:
    """Flossed networks leave chance, each at its epoch; their gradient is large 20 epochs before, the others' is 0."""
    seed, flossed = int(str(network["seed"])), network["flossing"] != "none"
    since = epoch - LEAVES[seed] if flossed else -1000
    wobble = 0.01 * ((epoch // 10 + seed) % 3 - 1)
    return {
        "loss": 0.7 - 0.001 * max(since, 0) - 0.01 * seed,
        "accuracy": (0.61 + 0.0005 * since if since >= 0 else 0.53 if since >= -20 else 0.49) + wobble,
        "grad_norm_h0": 10.0 ** (-2 - seed) if since >= -20 else 1e-9 if flossed else 0.0,
        "sv_1": 1.0 + seed,
        "sv_20": 0.1 * (1 + seed),
        "sv_40": 0.0 if epoch == 0 else 1e-3,
        "lambda_1": -0.1,
        "lambda_10": -0.2,
    }


LEAVES = {0: 300, 1: 150, 2: 150, 3: 420, 4: 10_000}
"""Epochs when the networks of `learns` leave chance, by seed; the last never does."""
LONG = range(0, 501, 10)
GRADIENT = {
    "fig08": ("none", "early"),
    "fig09": ("early",),
    "fig10": ("none", "early"),
    "fig11": ("none", "early"),
    "fig12": ("none", "early", "throughout"),
}


SCHEDULES = ("none", "pre", "during")


def exponents(network: Network, epoch: int) -> dict[str, float]:
    """Known at every other logged epoch; λ₁₀ is twice λ₁."""
    lam = -0.01 * (1 + quality(network)) * (1 + epoch) if epoch % 10 == 0 else NAN
    return {**steady(network, epoch), "lambda_1": lam, "lambda_10": 2 * lam}


def findings(figure: str, d: tuple[int, ...] = (20, 40, 70), seeds: int = 3) -> Findings:
    """What a figure is drawn from."""
    if figure == "fig03":
        return {
            name: finding(networks(task, d, ("none", "pre"), seeds=seeds))
            for name, task in (("copy", "copy"), ("xor", "xor_continuous"))
        }
    if figure in ("fig04", "fig14"):
        spatial = networks("spatial_xor", d, SCHEDULES, seeds=seeds)
        return {"temporal": finding(networks("xor", d, SCHEDULES, seeds=seeds)), "spatial": finding(spatial)}
    if figure in ("fig05", "fig07"):
        names = ("during",) if figure == "fig05" else ("early", "pre")
        return {name: finding(networks("xor", d, (name,), (10, 75, 80), seeds)) for name in names}
    if figure == "fig13":
        spatial = networks("spatial_xor", d, ("none", "during"), seeds=seeds)
        return {"spatial": finding(spatial, exponents, (0, 5, 10, 15))}
    return {"gradient": finding(networks(flossing=GRADIENT[figure], seeds=5), learns, LONG)}


def drawn(figure: str, given: Findings) -> Figure:
    picture = importlib.import_module(f"floss.papers.gradient_flossing.{figure}").draw(given)
    assert isinstance(picture, Figure)
    plt.close(picture)
    return picture


@functools.cache
def example(figure: str) -> tuple[Findings, list[Axes]]:
    """What a figure is drawn from, and its panels; to look at only."""
    given = findings(figure)
    return given, drawn(figure, given).axes


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def title(axes: Axes) -> str:
    return axes.get_title(loc="left")


def line(axes: Axes, label: str) -> Line2D:
    """The one line with something in it that a legend calls so."""
    (found,) = (each for each in axes.lines if each.get_label() == label and len(np.asarray(each.get_xdata())))
    return found


def points(one: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(np.asarray(one.get_xdata()), np.asarray(one.get_ydata()), strict=True)]
