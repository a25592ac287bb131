"""Hand-made tables of analyses, what is drawn from them, and what is to be seen there."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import functools
import math

import numpy as np
import pandas as pd
from made_up_bench import scans, table
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing import fig01, fig02, fig06, fig15, fig16, one_step, overlap, table1

INF, NAN = math.inf, math.nan


def finding(name: str = "run", **tables: pd.DataFrame) -> Finding:
    return Finding(name=name, scale="smoke", command="floss spectrum", tables=tables)


def identity(seed: int, k: float = NAN, target: float = NAN) -> dict[str, object]:
    return {
        "arch": "vanilla",
        "n": 4,
        "init": "gaussian",
        "g": 0.5 + seed,
        "seed": seed,
        "flossing": "before" if math.isnan(k) else "after",
        "k": k,
        "target": target,
    }


def flossing(courses: dict[tuple[float, float], list[list[float]]]) -> pd.DataFrame:
    """flossing.csv of λ₁[seed][epoch] for each (k, target)."""
    return pd.DataFrame(
        [
            identity(seed, k, target)
            | {"epoch": epoch, "lambda_1": value, "floss_loss": (value - target) ** 2, "lambda_k": value}
            for (k, target), networks in courses.items()
            for seed, course in enumerate(networks)
            for epoch, value in enumerate(course)
        ]
    )


def spectra(networks: dict[float, list[list[float]]]) -> pd.DataFrame:
    """spectrum.csv of λ_i[seed][i] for each k."""
    return pd.DataFrame(
        [
            identity(seed, k, NAN if math.isnan(k) else 0.0) | {"state": 0, "i": i, "lambda": value}
            for k, several in networks.items()
            for seed, own in enumerate(several)
            for i, value in enumerate(own, start=1)
        ]
    )


TARGETS = {(1, target): [[-1.0, target - 0.1], [-2.0, target - 0.3]] for target in (-1.0, -0.5, 0.0, 0.5)}
FASTER = {key: [[first, last + 0.05] for first, last in courses] for key, courses in TARGETS.items()}
NUMBERS = {(1, 0.0): [[-1.0, -0.1], [-3.0, -0.3]], (2, 0.0): [[-1.0, -0.5], [-2.0, -0.1]]}
SPECTRA = {NAN: [[-1.0, -2, -3, -4], [-2.0, -3, -4, -5]], 1: [[0.0, -2, -3, -4]] * 2, 2: [[0.0, -0.2, -3, -4]] * 2}


def first() -> dict[str, Finding]:
    return {
        "targets": finding(flossing=flossing(TARGETS)),
        "targets_faster": finding(flossing=flossing(FASTER)),
        "numbers": finding(flossing=flossing(NUMBERS), spectrum=spectra(SPECTRA)),
        "numbers_longer": finding(flossing=flossing(NUMBERS), spectrum=spectra(SPECTRA)),
    }


def condition(slope: float = 1.0, ceiling: float = 20.0) -> pd.DataFrame:
    """condition.csv: log10 κ₂ = slope (m - 1) t / 10 for each of two networks, half of it after flossing."""
    rows = []
    for seed in (0, 1):
        for k, factor in ((NAN, 1.0), (15, 0.5), (40, 0.25)):
            for t, dims in ((10, (15, 80)), (20, (1, 15, 30, 80)), (40, (15, 80))):
                for m in dims:
                    value = slope * factor * (1 + seed) * (m - 1) * t / 100
                    for method, own in (("exact", value), ("theory", 0.9 * value), ("bits=256", min(value, ceiling))):
                        rows.append(
                            identity(seed, k, 0.0) | {"horizon": t, "m": m, "method": method, "log10_condition": own}
                        )
    return pd.DataFrame(rows)


def second(values: pd.DataFrame | None = None) -> dict[str, Finding]:
    """k = 15 in both runs, k = 40 in the one with few bits alone, which has one network and another scale."""
    values = condition() if values is None else values
    first = values[(values["method"] != "bits=256") & (values["k"] != 40)]
    other = values[values["seed"] == 0]
    again = (other["method"] != "bits=256") & (other["k"] != 40)
    other = other.assign(log10_condition=other["log10_condition"].where(~again, 9999))
    return {"condition": finding(condition=first), "saturating": finding(condition=other)}


SIXTH = ("lstm", "lstm_faster", "lstm_target", "relu_scaled", "relu_scaled_faster", "relu_wide")


def sixth() -> dict[str, Finding]:
    course = {(1, 0.0): [[-0.5, -0.2, 0.0], [-0.3, -0.1, 0.1]]}
    runs = {name: finding(name, flossing=flossing(course)) for name in SIXTH}
    silent = {(1, 0.0): [[-INF] * 3, [-0.5, -INF, -INF]]}
    unstable = {(1, 0.0): [[1.0, 0.5, 0.0], [1.2, NAN, 0.1]]}
    return runs | {
        "relu": finding("relu", flossing=flossing(silent)),
        "relu_unstable": finding("relu_unstable", flossing=flossing(unstable)),
    }


def fifteenth() -> dict[str, Finding]:
    tables = one_step.tables(one_step.OneStepJob(seed=15, maps=3, results=""))
    return {"step": finding(**{name: pd.DataFrame(rows, columns=columns) for name, (columns, rows) in tables.items()})}


def sixteenth() -> dict[str, Finding]:
    rows = [
        identity(0) | {"state": state, "step": step, "i": i, "lambda": -i + (state - 1) / step}
        for i in (1, 20)
        for state in (0, 1, 2)
        for step in (1, 2, 4)
    ]
    return {"convergence": finding(convergence=pd.DataFrame(rows))}


def seconds(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["flossing", "epochs", "seconds", "floss_seconds"])


SECONDS = seconds(("none", 1000, 12.0, 2.0), ("pre", 1000, 12.0, 2.0), ("during", 1000, 12.0, 2.0))


def cost() -> dict[str, Finding]:
    bench = table([*scans(loop="train"), *scans(loop="floss"), *scans(loop="train", engine="native")])
    return {"cost": finding(bench=bench), "share": Finding(name="share", scale="smoke", command="", summary=SECONDS)}


def trained(accuracies: dict[str, list[float]], overlaps: dict[str, list[float]], d: int) -> Finding:
    """Rows of metrics.csv every 20 epochs, of training and flossing."""
    text = ["d,seed,epoch,phase,accuracy,clv_overlap,network\n"]
    for seed, (key, values) in enumerate(accuracies.items()):
        own = zip(values, overlaps[key], strict=True)
        rows = [f"{d},{seed},{20 * e},train,{a:.9g},{o:.9g},{key}\n" for e, (a, o) in enumerate(own)]
        text.append(f"{d},{seed},0,floss,,,{key}\n" + "".join(rows).replace("nan", ""))
    return Finding(name="overlap", scale="smoke", command="", texts=tuple(text))


ACCURACIES = {"a": [0.5, 0.7, 0.8, 0.9], "b": [0.5, 0.5, 0.7, 0.8], "c": [0.5, 0.5, 0.5, 0.5]}
OVERLAPS = {"a": [0.1, 0.4, 0.3, 0.2], "b": [0.1, 0.2, 0.5, 0.2], "c": [NAN, 0.1, NAN, 0.1]}


def spanned() -> Finding:
    """The overlaps as shares of spans of 20 dimensions beyond chance; of all 80 in the last rows of b."""
    text = ["d,seed,epoch,phase,accuracy,neutral_share,neutral_vectors,network\n"]
    for key in "ab":
        for e, (a, o) in enumerate(zip(ACCURACIES[key], OVERLAPS[key], strict=True)):
            all_of_them = (key, e) == ("b", 3)
            share, vectors = (1.0, 80) if all_of_them else (0.25 + 0.75 * o, 20)
            text.append(f"70,{'ab'.index(key)},{20 * e},train,{a:.9g},{share:.9g},{vectors},{key}\n")
    return Finding(name="overlap", scale="smoke", command="", texts=tuple(text))


def appendix() -> dict[str, Finding]:
    return {
        "flossed": trained(ACCURACIES, OVERLAPS, 70),
        "span": spanned(),
        "unflossed": trained(dict(list(ACCURACIES.items())[:2]), OVERLAPS, 20),
    }


ALL = {
    fig01: first,
    fig02: second,
    fig06: sixth,
    fig15: fifteenth,
    fig16: sixteenth,
    table1: cost,
    overlap: appendix,
}


def drawn(module, findings: Findings) -> Figure:
    """A figure whose artists were all drawn, without the layout, which takes most of the time."""
    figure = module.draw(findings)
    plt.close(figure)
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    return figure


@functools.cache
def usual(module) -> Figure:
    """The figure of the tables above."""
    return drawn(module, ALL[module]())


def panel(figure: Figure, letter: str) -> Axes:
    (found,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith(f"{letter}  "))
    return found


def lines(axes: Axes, *, thick: bool) -> list[list[float]]:
    """The values of the medians (thick), or of the single networks (thin)."""
    chosen = [line for line in axes.lines if (line.get_linewidth() == 1.8) == thick and line.get_zorder() > 0]
    return [list(np.asarray(line.get_ydata(), dtype=float)) for line in chosen]


def written(figure: Figure) -> str:
    """All texts outside of ticks, and those of the legends."""
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    legends += [legend for part in figure.subfigs for legend in part.legends]
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]
    texts += [text for legend in legends if legend for text in (*legend.get_texts(), legend.get_title())]
    return "\n".join(text.get_text() for text in texts)
