"""A figure of ours: temporal XOR whose bits stay for several steps, so that the delay does not say how many are stored.

A network that answers x[t - d/2] ⊕ x[t - d] at every step stores d bits. If each of them stays for `task.hold` steps,
it stores d / hold of them over the same delay: is it the delay that is hard to learn, or what is stored over it?
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import CHANCE, Group, accuracy_axis, legend_below
from floss.figures.schedules import in_words
from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.final import SOLVED
from floss.papers.gradient_flossing.outcomes import SOLVES, more_solve, solved, solvers

SCHEDULES = ("none", "early")


def draw(findings: Findings) -> Figure:
    """Share of networks that solve the task (above) and final accuracy (below) against the bits to be stored."""
    runs = [finding.summary for finding in findings.values()]
    table = with_items(pd.concat(runs, ignore_index=True).drop_duplicates())
    delays = sorted(table["d"].unique())
    with house_style():
        figure, panels = plt.subplots(2, 2, figsize=(8.2, 5.8), sharex=True, sharey="row")
        for column, schedule in enumerate(SCHEDULES):
            upper, lower = panels[:, column]
            for place, d in enumerate(delays):
                rows = table[(table["flossing"] == schedule) & (table["d"] == d)]
                _delay(upper, lower, Group(f"d = {d}", rows, COLOURS[place], MARKERS[place], DASHES[place]), place)
            upper.set_title(f"{'AB'[column]}  {in_words(schedule)}")
            upper.set_ylim(-0.05, 1.05)
            lower.set_title(f"{'CD'[column]}  every network")
            accuracy_axis(lower)
            lower.axhline(SOLVED, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
            lower.set_xscale("log", base=2)
            items = sorted(table["items"].unique())
            lower.set_xticks(items, [f"{value:g}" for value in items])
            lower.set_xlabel("bits to be stored, d / hold")
        panels[0, 0].set_ylabel(f"share with a {SOLVES}")
        panels[1, 0].set_ylabel("final test accuracy")
        legend_below(figure, panels[0], title="delay in steps", ncols=len(delays))
        return figure


def _delay(upper: Axes, lower: Axes, group: Group, place: int) -> None:
    """The networks of one delay, a little to the side of those of the others."""
    aside = 2.0 ** (0.12 * (place - 1))
    accuracy = group.rows.assign(final=group.rows["final_accuracy"].fillna(CHANCE))
    share = (accuracy["final"] > SOLVED).groupby(accuracy["items"]).mean()
    style = {"color": group.colour, "marker": group.marker}
    upper.plot(share.index * aside, share, linestyle=group.dashes, label=group.label, **style)
    lower.plot(accuracy["items"] * aside, accuracy["final"], linestyle="none", markersize=3.5, alpha=0.7, **style)


def with_items(summary: pd.DataFrame) -> pd.DataFrame:
    """The same with the column `items`, how many bits are to be stored; NaN where that is not told apart."""
    return summary.assign(items=summary["d"] / summary.reindex(columns=["task.hold"]).iloc[:, 0])


# --- claims ---


def _solve(findings: Findings, schedule: str, d: int, items: int) -> Sample:
    return solvers(with_items(findings[f"d{d}"].summary), flossing=schedule, d=d, items=items)


def _more(findings: Findings, schedule: str, more: tuple[int, int], less: tuple[int, int]) -> Sample:
    kinds = (
        solved(with_items(findings[f"d{d}"].summary), flossing=schedule, d=d, items=items) for d, items in (more, less)
    )
    return more_solve(*kinds)


CLAIMS = [
    Claim(
        name="items.few_over_long_delays",
        figure="items",
        place="Sec. 7.1",
        sentence="Flossed in five early episodes, networks bridge a delay of 160 steps, twice as long as they have"
        " units, where they store 20 bits over it.",
        statistic=f"networks with a {SOLVES}, temporal XOR, d = 160, 20 bits, early",
        criterion=Criterion(above=0.5),
        sample=partial(_solve, schedule="early", d=160, items=20),
        control=partial(_solve, schedule="none", d=160, items=20),
        control_says="networks that were not flossed",
        ours=True,
    ),
    Claim(
        name="items.fewer_are_easier",
        figure="items",
        place="Sec. 7.1",
        sentence="Over 80 steps, more flossed networks store 20 bits than 80.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, d = 80, early, 20 bits minus 80",
        criterion=Criterion(above=0.0),
        sample=partial(_more, schedule="early", more=(80, 20), less=(80, 80)),
        after_data="of the same seeds, none of ten solved it with 80 bits",
        ours=True,
    ),
    Claim(
        name="items.delay_matters_at_equal_items",
        figure="items",
        place="Sec. 7.1",
        sentence="Flossed networks store 20 bits over 160 steps less often than over 40.",
        statistic=f"share of networks with a {SOLVES}, temporal XOR, 20 bits, early, d = 40 minus d = 160",
        criterion=Criterion(above=0.0),
        sample=partial(_more, schedule="early", more=(40, 20), less=(160, 20)),
        ours=True,
    ),
    Claim(
        name="items.delay_limits_unflossed",
        figure="items",
        place="Sec. 7.1",
        sentence="Without flossing it is the delay: even five bits are not stored over 160 steps.",
        statistic=f"networks with a {SOLVES}, temporal XOR, d = 160, 5 bits, none",
        criterion=Criterion(below=0.5),
        sample=partial(_solve, schedule="none", d=160, items=5),
        control=partial(_solve, schedule="early", d=160, items=5),
        control_says="networks with five early episodes",
        ours=True,
    ),
]
