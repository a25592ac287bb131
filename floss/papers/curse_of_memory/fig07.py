"""Fig. 7: a neuron learns the angle of an eigenvalue, in three parametrisations and by two rules.

The paper claims: learning the angle is hard, and a parametrisation that is optimal at the optimum gets stuck. Its code
takes steps along the sign of the gradient, where the text says Adam: both are drawn.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from floss.figures.panels import legend_below
from floss.figures.style import COLOURS, DASHES, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.plots import PARAMETRISATIONS, RULES
from floss.papers.finding import Findings
from floss.papers.samples import formula

_LEAST = 1e-13
"""Losses below this are rounding errors."""


def draw(findings: Findings) -> Figure:
    """Above: both paths over the loss, a panel for each parametrisation; below: their losses against the step."""
    tables = findings["learning"].tables
    with house_style():
        figure, grid = plt.subplots(2, 3, figsize=(9.6, 6.2))
        for (name, words), above, below in zip(PARAMETRISATIONS.items(), *grid, strict=True):
            _contours(above, tables["contours"], name)
            for place, (rule, called) in enumerate(RULES.items()):
                rows = tables["paths"]
                rows = rows[(rows["rule"] == rule) & (rows["parametrisation"] == name)]
                style = {"color": (COLOURS[1], COLOURS[2])[place], "linestyle": DASHES[place], "label": called}
                above.plot(rows["w_nu"], rows["w_theta"], linewidth=1.5, **style)
                below.plot(rows["step"] + 1, rows["loss"].clip(lower=_LEAST), linewidth=1, **style)
            start = tables["paths"][tables["paths"]["parametrisation"] == name].iloc[0]
            above.plot(start["w_nu"], start["w_theta"], "o", color="black", markersize=5, label="start")
            above.plot(*_teacher(name), "*", color="black", markersize=9, label="teacher")
            above.set_title(f"{'ABC'[list(PARAMETRISATIONS).index(name)]}  {words.capitalize()}")
            above.set_xlabel(r"$\omega_\nu$, ν = tanh $\omega_\nu$")
            above.set_ylabel({"polar": "θ", "exp": r"$\omega_\theta$ = log θ"}.get(name, r"$\omega_\theta$"))
            below.set_xscale("log")
            below.set_yscale("log")
            below.set_xlabel("step")
            below.set_ylim(_LEAST / 3, 1e2)
        grid[1][0].set_ylabel("loss, ½ E |h − h*|²")
        legend_below(figure, grid[0], ncols=4)
        return figure


def _contours(axes: Axes, table: pd.DataFrame, name: str) -> None:
    rows = table[table["parametrisation"] == name]
    loss = rows.pivot(index="w_theta", columns="w_nu", values="loss")
    levels = 10.0 ** np.arange(-2, 3.1, 0.5)
    values = loss.to_numpy(dtype=float).clip(levels[0], levels[-1])
    axes.contourf(loss.columns, loss.index, values, levels=levels, norm=LogNorm(1e-2, 1e5), cmap="Greys")
    axes.set_xlim(loss.columns.min(), loss.columns.max())
    axes.set_ylim(loss.index.min(), loss.index.max())


def _teacher(name: str) -> tuple[float, float]:
    nu, theta = 0.99, np.pi / 100
    angle = {"polar": theta, "exp": np.log(theta), "optimal": theta * nu * np.sqrt(1 + nu**2) / (1 - nu**2)}
    return float(np.arctanh(nu)), float(angle[name])


# --- claims ---


def end(findings: Findings, rule: str, name: str) -> pd.Series:
    """How one path turned and ended."""
    table = findings["learning"].tables["ends"]
    return table[(table["rule"] == rule) & (table["parametrisation"] == name)].iloc[0]


def _loss(findings: Findings, rule: str, name: str, column: str) -> Sample:
    return formula([float(end(findings, rule, name)[column])], np.max)


def _reached(findings: Findings, rule: str) -> Sample:
    """The later of the first steps of polar and exp with a loss below 1e-6; infinite where there is none."""
    steps = [end(findings, rule, name)["below_1e-6"] for name in ("polar", "exp")]
    return formula([np.nan_to_num(float(step), nan=1e12) for step in steps], np.max)


def _decrease(findings: Findings, rule: str) -> Sample:
    """Share of the way from the first magnitude ω_ν to 0 that the polar and exp paths go before they return."""
    first = float(np.arctanh(0.99))
    return formula([1 - float(end(findings, rule, name)["turn_w_nu"]) / first for name in ("polar", "exp")], np.min)


CLAIMS = [
    Claim(
        name="fig07.magnitude_first",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="The network first forgets, by lowering |λ|, before it finds the angle.",
        statistic="decrease of ω_ν on the path by the sign of the gradient, relative to its first value; the smaller"
        " of the polar and the exponential parametrisation",
        criterion=Criterion(above=0.1),
        sample=partial(_decrease, rule="sign"),
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.magnitude_first_adam",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="It does so with Adam as well.",
        statistic="decrease of ω_ν on the path by Adam, relative to its first value; the smaller of the polar and the"
        " exponential parametrisation",
        criterion=Criterion(above=0.1),
        sample=partial(_decrease, rule="adam"),
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.polar_oscillates",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="In polar coordinates the loss ends in a band from 8 × 10⁻⁴ to 0.12: steps are too large for the sharp"
        " optimum.",
        statistic="largest loss over the last tenth of 50 000 steps, by the sign of the gradient",
        criterion=Criterion(above=0.08, below=0.18),
        sample=partial(_loss, rule="sign", name="polar", column="most"),
        control=partial(_loss, rule="adam", name="polar", column="most"),
        control_says="Adam",
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.exp_closer",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="In the exponential parametrisation it ends below 10⁻⁴.",
        statistic="largest loss over the last tenth of 50 000 steps, by the sign of the gradient",
        criterion=Criterion(below=1e-4),
        sample=partial(_loss, rule="sign", name="exp", column="most"),
        control=partial(_loss, rule="sign", name="polar", column="most"),
        control_says="polar coordinates",
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.optimal_sticks",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="In the parametrisation that is optimal at the optimum, learning gets stuck far from it.",
        statistic="least loss over the last tenth of 50 000 steps, by the sign of the gradient",
        criterion=Criterion(above=10),
        sample=partial(_loss, rule="sign", name="optimal", column="least"),
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.optimal_sticks_adam",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="It gets stuck with Adam as well.",
        statistic="least loss over the last tenth of 50 000 steps, by Adam",
        criterion=Criterion(above=10),
        sample=partial(_loss, rule="adam", name="optimal", column="least"),
        after_data="The paths themselves, from a first computation.",
    ),
    Claim(
        name="fig07.adam_is_hard",
        figure="fig07",
        place="App. B, Fig. 7",
        sentence="With Adam, as the text has it, polar and exponential parametrisations do not reach the optimum.",
        statistic="steps of Adam until the loss is below 10⁻⁶, the later of both parametrisations (10¹² where it never"
        " is)",
        criterion=Criterion(above=50_000),
        sample=partial(_reached, rule="adam"),
        tried="The authors' code never carries the state of Adam over, so that every step is along the sign of the"
        " gradient; with that rule neither loss falls below 10⁻⁶ in 50 000 steps.",
        control=None,
        after_data="The paths themselves, from a first computation.",
    ),
]
