"""Fig. 13: first and tenth Lyapunov exponent of networks trained on the spatial XOR task, against the delay.

The paper claims: the exponents of networks that have learnt follow the delay.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from floss.figures.panels import CHANCE, TASKS, count, delay_axis, legend_below
from floss.figures.schedules import in_words
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import AT_CHANCE, SOLVED
from floss.papers.samples import median, middle_of, number_of, rank_correlation

_WIDTH = 0.6
"""Width over which the networks of one delay are spread, by seed, as a part of the smallest gap between delays."""
_EXPONENTS = {"lambda_1": "λ₁", "lambda_10": "λ₁₀"}
_SCHEDULES = ("none", "during")
_COLOURS, _MAP = Normalize(CHANCE, 1), "cividis"


def draw(findings: Findings) -> Figure:
    """λ₁ (A, B) and λ₁₀ (C, D) at the end of training: unflossed networks left, flossed during training right.

    The end of training is the last logged epoch at which both exponents were measured.
    """
    finding = findings["spatial"]
    summary = _with_exponents(finding.summary, finding.training)
    n = count(summary, ["d", "flossing"], "lambda_1")
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8.2, 6.8), sharex=True, sharey="row")
        for place, axes in enumerate(panels.flat):
            (column, name), schedule = list(_EXPONENTS.items())[place // 2], _SCHEDULES[place % 2]
            _networks(axes, summary, schedule, column)
            _guide(axes, summary)
            axes.set_title(f"{'ABCD'[place]}  {name}, {in_words(schedule)}")
            axes.set_ylabel(f"{name} after training (nats per step)")
            delay_axis(axes, summary)
            axes.label_outer()
        colours = ScalarMappable(_COLOURS, _MAP)
        figure.colorbar(
            colours, ax=panels, label="final test accuracy", aspect=40, format=PercentFormatter(1, symbol=" %")
        )
        legend_below(figure, panels.flat, title=f"{TASKS[summary['task'].iloc[0]]}, {n} networks for each delay")
        return figure


def _with_exponents(summary: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """The networks with the exponents of their last row in which they are known."""
    last = training.dropna(subset=list(_EXPONENTS)).sort_values("epoch").groupby("network").last()
    return summary.assign(**{column: number_of(summary["network"], last[column]) for column in _EXPONENTS})


def _networks(axes: Axes, summary: pd.DataFrame, schedule: str, column: str) -> None:
    """Every network at its delay, moved sideways by its seed."""
    delays, seeds = sorted(summary["d"].unique()), sorted(summary["seed"].unique())
    gap = min(np.diff(delays)) if len(delays) > 1 else 1
    shift = {seed: _WIDTH * gap * ((place + 0.5) / len(seeds) - 0.5) for place, seed in enumerate(seeds)}
    networks = summary[(summary["flossing"] == schedule) & summary[column].notna()]
    accuracy = networks["final_accuracy"]
    for label, marker, where in (
        (f"accuracy > {100 * SOLVED:g} %", "o", accuracy > SOLVED),
        (f"accuracy ≤ {100 * SOLVED:g} %", "X", accuracy <= SOLVED),
        ("stopped early (diverged)", "s", accuracy.isna()),
    ):
        rows = networks[where]
        if rows.empty:
            continue
        colours = [plt.get_cmap(_MAP)(_COLOURS(value)) if value == value else "0.8" for value in rows["final_accuracy"]]
        place = rows["d"] + rows["seed"].map(shift)
        axes.scatter(place, rows[column], c=colours, marker=marker, edgecolors="black", linewidths=0.3, s=28)
        axes.plot([], [], marker, color="0.5", markeredgecolor="black", markeredgewidth=0.3, label=label)


def _guide(axes: Axes, summary: pd.DataFrame) -> None:
    d = np.linspace(summary["d"].min(), summary["d"].max(), 100)
    axes.plot(d, fit(d), color="black", linestyle="--", linewidth=1, label="−0.2 exp(−0.03 d)")


# --- claims ---


def trained(findings: Findings) -> pd.DataFrame:
    """λ₁ and λ₁₀ at the last epoch at which they were measured, beside the row of summary.csv, by network."""
    rows = findings["spatial"].training.dropna(subset=["lambda_1"]).sort_values("epoch")
    last = rows.groupby("network")[["lambda_1", "lambda_10"]].last()
    return findings["spatial"].summary.set_index("network").join(last)


def fit(d: Any) -> Any:
    """The paper's empirical fit to λ₁ of the delay, in nats per step."""
    return -0.2 * np.exp(-0.03 * d)


def _solved(findings: Findings) -> pd.DataFrame:
    table = trained(findings)
    return table[(table["final_accuracy"] > SOLVED) & (table["flossing"] == "during")]


def _by_seed(table: pd.DataFrame, *columns: str) -> np.ndarray:
    """Some columns of the networks of each seed, [seeds, columns, networks]; NaN where a seed has fewer networks."""
    table = table.dropna(subset=list(columns))
    groups = [group[list(columns)].to_numpy(dtype=float).T for _, group in table.groupby("seed")]
    most = max((group.shape[1] for group in groups), default=0)
    padded = [np.pad(group, ((0, 0), (0, most - group.shape[1])), constant_values=np.nan) for group in groups]
    return np.array(padded).reshape(len(groups), len(columns), most)


def _off_fit(findings: Findings, column: str, *, constant: bool = False) -> Sample:
    """|λ / fit - 1| of successful networks; as the control, of one number for all delays, the median λ of them all."""
    table = _solved(findings)
    value = table[column].median() if constant else table[column]
    rows = _by_seed(table.assign(off=(value / fit(table["d"])).sub(1).abs()), "off")
    return Sample(rows, median, _count(rows))


def _count(rows: np.ndarray) -> int:
    return int((~np.isnan(rows[:, 0])).sum())


def _smaller(findings: Findings, column: str) -> Sample:
    """λ of successful networks minus that of those at chance, at equal delay: the median over the delays with both."""
    rows = _by_seed(trained(findings), "d", column, "final_accuracy")

    def statistic(rows: np.ndarray) -> float:
        d, exponents, accuracy = (rows[:, i] for i in range(3))
        return _at_equal_delay(d, exponents, accuracy > SOLVED, accuracy < AT_CHANCE)

    return Sample(rows, statistic, _count(rows))


def _no_smaller(findings: Findings, column: str) -> Sample:
    """The control: successful networks of the one half of the seeds minus those of the other half."""
    table = trained(findings)
    table = table[table["final_accuracy"] > SOLVED]
    halves = table.assign(half=table["seed"] % 2)
    rows = _by_seed(halves, "d", column, "half")

    def statistic(rows: np.ndarray) -> float:
        d, exponents, half = (rows[:, i] for i in range(3))
        return _at_equal_delay(d, exponents, half == 0, half == 1)

    return Sample(rows, statistic, _count(rows))


def _at_equal_delay(d: np.ndarray, exponents: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    differences = []
    for own in np.unique(d[~np.isnan(d)]):
        there = d == own
        pair = exponents[first & there], exponents[second & there]
        if all(map(len, pair)):
            differences.append(middle_of(pair[0]) - middle_of(pair[1]))
    return median(np.array(differences))


def _rises(findings: Findings) -> Sample:
    rows = _by_seed(_solved(findings), "d", "lambda_1")

    def statistic(rows: np.ndarray) -> float:
        return rank_correlation(*(column[~np.isnan(column)] for column in (rows[:, 0], rows[:, 1])))

    return Sample(rows, statistic, _count(rows))


def _follows(column: str, name: str, place: str, sentence: str) -> Claim:
    return Claim(
        name=f"fig13.{name}_follows_fit",
        figure="fig13",
        place=place,
        sentence=sentence,
        statistic=f"|{_EXPONENTS[column]} / fit - 1|, {_EXPONENTS[column]} of the last logged epoch, median over"
        " networks with final accuracy > 95 %, during",
        criterion=Criterion(below=0.2),
        sample=partial(_off_fit, column=column),
        control=partial(_off_fit, column=column, constant=True),
        control_says="one number for all delays, the median of the same networks",
        changed="Was below 0.5, which a single number for all delays meets as well.",
    )


def _unsuccessful(column: str, name: str, panels: str, changed: str = "", after_data: str = "") -> Claim:
    order = {"lambda_1": "first", "lambda_10": "tenth"}[column]
    return Claim(
        name=f"fig13.{name}",
        figure="fig13",
        place=f"App. D.3, Fig. 13{panels}",
        sentence=f"Networks at chance have a much smaller {order} exponent.",
        statistic=f"median {_EXPONENTS[column]} (last logged epoch) of networks with final accuracy > 95 % minus that"
        " of networks below 55 % at the same delay, none and during; median over the delays that have both",
        criterion=Criterion(above=0.05),
        sample=partial(_smaller, column=column),
        control=partial(_no_smaller, column=column),
        control_says="successful networks of even seeds minus those of odd seeds",
        changed=changed,
        after_data=after_data,
    )


CLAIMS = [
    _follows(
        *("lambda_1", "lambda1", "App. D.3, Fig. 13B"),
        sentence="The first exponent of successful networks is about -0.2 exp(-0.03 d).",
    ),
    _follows(
        *("lambda_10", "lambda10", "App. D.3, Fig. 13D"),
        sentence="The same fit describes the tenth exponent.",
    ),
    Claim(
        name="fig13.lambda1_rises_with_delay",
        figure="fig13",
        place="App. D.3, Fig. 13B",
        sentence="The longer the delay, the closer to zero is the first exponent of successful networks.",
        statistic="Spearman's rank correlation of λ₁ (last logged epoch) with d over networks with final accuracy >"
        " 95 %, during",
        criterion=Criterion(above=0.5),
        sample=_rises,
    ),
    _unsuccessful(
        *("lambda_1", "unsuccessful_are_smaller", "A, B"),
        changed="Compared successful networks of short delays with failing ones of long delays.",
    ),
    _unsuccessful("lambda_10", "unsuccessful_lambda10_smaller", "C, D", after_data="All of them."),
]
