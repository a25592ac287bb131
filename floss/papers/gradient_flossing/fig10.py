"""Fig. 10: singular values of the gradient of the recurrent weights, ∂L/∂W, and accuracy, of one network.

The paper claims: flossing raises the small singular values of dL/dW, and hardly the first one.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.panels import accuracy_axis, at_delay, by_schedule, epoch_axis, legend_below, mark_schedules, pad
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.gradient_flossing.courses import FEWEST, SETTLED, boosts, course_of, departures, growth
from floss.papers.samples import middle

_VALUES = {"sv_1": ("σ₁", "-"), "sv_20": ("σ₂₀", "--"), "sv_40": ("σ₄₀", ":")}
"""What the legend calls each singular value, and its line style."""


def draw(findings: Findings, *, latest: bool = False) -> Figure:
    """Singular values (A) and accuracy (B) against the epoch, of one seed without flossing and with early episodes.

    The flossed networks are put in the order in which they leave chance: by the epoch from which on their accuracy
    stays above 60 %, then by seed, and those that never leave it last. Shown is the first of them; with `latest` the
    last other one that leaves chance, or the next in the order where no other does.
    """
    d, training = at_delay(findings["gradient"].training)
    seed, departure = _chosen(training, latest)
    pair = training[training["seed"] == seed]
    when = "does not leave chance" if departure is None else f"leaves chance at epoch {departure}"
    with house_style():
        figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6.4), sharex=True, height_ratios=(3, 2))
        for group in by_schedule(pair):
            _singular_values(upper, group.rows, group.label, group.colour)
            lower.plot(group.rows["epoch"], group.rows["accuracy"], color=group.colour, linewidth=1.5)
        rows = mark_schedules(upper, training)
        upper.set_title(
            f"A  gradient of the recurrent weights, d = {d}, seed {seed} (flossed, it {when})", pad=pad(rows)
        )
        upper.set_yscale("log")
        upper.set_ylabel("singular value σᵢ of ∂L/∂W")
        lower.set_title("B  accuracy of the same networks")
        accuracy_axis(lower)
        lower.set_ylabel("test accuracy")
        epoch_axis(lower, training)
        legend_below(figure, (upper, lower), title="n = 1 network each", ncols=4)
        return figure


def _singular_values(axes: Axes, rows: pd.DataFrame, label: str, colour: str) -> None:
    for column, (name, dashes) in _VALUES.items():
        if column in rows:  # a network of fewer units does not have it
            values = rows[column].where(rows[column] > 0)  # zero cannot be shown
            axes.plot(rows["epoch"], values, color=colour, linestyle=dashes, linewidth=1.4, label=f"{label}: {name}")


def _chosen(training: pd.DataFrame, latest: bool) -> tuple[int, int | None]:
    """The seed to show, and the epoch when its flossed network leaves chance."""
    flossed = training[training["flossing"] != "none"]
    table = pd.DataFrame({"seed": flossed.groupby("network")["seed"].first(), "epoch": leaves_chance(flossed)})
    order = table.sort_values(["epoch", "seed"])
    row, others = order.iloc[0], order.iloc[1:]
    if latest and len(others):
        row = others[others["epoch"].notna()].iloc[-1] if others["epoch"].notna().any() else others.iloc[0]
    return int(row["seed"]), None if np.isnan(row["epoch"]) else int(row["epoch"])


# --- claims ---


def peaks(findings: Findings, column: str, schedule: str = "early") -> pd.Series:
    """log₁₀ of how much higher a measure of dL/dW is within 25 epochs after an episode: each network's median."""
    return boosts(course_of(findings["gradient"], schedule, column))


def _peak(findings: Findings, column: str, schedule: str = "early") -> Sample:
    return middle(peaks(findings, column, schedule))


def _diminish(findings: Findings, column: str, schedule: str) -> Sample:
    table = course_of(findings["gradient"], schedule, column)
    late = table[table.index >= table.index.max() * 0.9].median()
    return middle(np.log10(late / table[table.index == 0].median()))


def _comparable(findings: Findings, column: str) -> Sample:
    rows = findings["gradient"].training
    table = rows.groupby(["seed", "flossing"])[column].median().unstack("flossing")
    pairs = table.reindex(columns=["early", "none"]).dropna().to_numpy()
    return Sample(pairs, lambda rows: np.log10(np.median(rows[:, 0]) / np.median(rows[:, 1])), pairs.size)


def _predicts(findings: Findings, column: str) -> Sample:
    """Growth up to the epoch of leaving chance, of the networks that do so when the spikes are over."""
    finding = findings["gradient"]
    return middle(growth(course_of(finding, "early", column), departures(finding, "early")))


def _unflossed(findings: Findings, column: str) -> Sample:
    table = course_of(findings["gradient"], "none", column)
    return middle(growth(table, pd.Series(SETTLED + 500, table.columns)))


_PEAK = (
    "log₁₀ of the median {} in the 25 epochs after an episode over that in the 25 before: median over the episodes at"
    " 100, 200, 300, 400, then over networks, early"
)
_CHANGED = "before, the highest value after an episode over the median before it, which is above 1 by noise alone"
_SAME_EPOCHS = "the networks that are never flossed, at the same epochs"


def _peaks(i: int, word: str, value: str) -> Claim:
    return Claim(
        name=f"fig10.sv{i}_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence=f"At episodes of flossing the {word} singular value of dL/dW peaks.",
        statistic=_PEAK.format("σ₂₀" if i == 20 else "σ₄₀"),
        criterion=Criterion(above=0.5),
        sample=partial(_peak, column=f"sv_{i}"),
        control=partial(_peak, column=f"sv_{i}", schedule="none"),
        control_says=_SAME_EPOCHS,
        changed=_CHANGED,
        after_data=f"ten of the networks ({value})",
    )


def _diminishes(i: int, word: str) -> Claim:
    return Claim(
        name="fig10.unflossed_diminishes" if i == 40 else f"fig10.unflossed_sv{i}_diminishes",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence=f"Without flossing the {word} singular value quickly becomes extremely small.",
        statistic=f"log₁₀ of the median {'σ₂₀' if i == 20 else 'σ₄₀'} over the last tenth of the epochs over that of"
        " the first epoch, median over networks, none",
        criterion=Criterion(below=-1.0),
        sample=partial(_diminish, column=f"sv_{i}", schedule="none"),
        control=partial(_diminish, column=f"sv_{i}", schedule="early"),
        control_says="the networks with five early episodes",
        changed="the control, which was another one until ten of the networks had been seen",
        after_data="" if i == 40 else "ten of the networks, drawn in Fig. 10",
    )


CLAIMS = [
    _peaks(20, "twentieth", "1.15"),
    _peaks(40, "fortieth", "1.23"),
    Claim(
        name="fig10.sv1_hardly_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value has only a slight peak.",
        statistic=_PEAK.format("σ₁"),
        criterion=Criterion(above=0.1, below=0.5),
        sample=partial(_peak, column="sv_1"),
        control=partial(_peak, column="sv_1", schedule="none"),
        control_says=_SAME_EPOCHS,
        changed=f"{_CHANGED}; and the criterion was one-sided (< 0.5), which no peak at all meets as well. Its"
        " lower bound was first 0.05, and raised on the same ten networks",
        after_data="ten of the networks (0.23)",
    ),
    Claim(
        name="fig10.effective_rank_rises",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="Flossing raises the effective rank of dL/dW.",
        statistic=_PEAK.format("effective rank, exp of the entropy of the shares of the singular values,"),
        criterion=Criterion(above=0.3),
        sample=partial(_peak, column="effective_rank"),
        control=partial(_peak, column="effective_rank", schedule="none"),
        control_says=_SAME_EPOCHS,
        after_data="ten of the networks (from 3 to 21)",
    ),
    _diminishes(20, "twentieth"),
    _diminishes(40, "fortieth"),
    Claim(
        name="fig10.sv1_comparable",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value is about as large with flossing as without.",
        statistic="log₁₀ of the median over networks of the median σ₁ over epochs, early, over that of none",
        criterion=Criterion(above=-1.0, below=1.0),
        sample=partial(_comparable, column="sv_1"),
        control=partial(_comparable, column="sv_20"),
        control_says="the twentieth singular value of the same networks",
    ),
    Claim(
        name="fig10.sv20_predicts",
        figure="fig10",
        place="App. D.1, Fig. 10",
        sentence="The smaller singular values rise before the accuracy leaves chance, and so predict it.",
        statistic=f"growth of σ₂₀ from epoch {SETTLED} to leaving chance for good (accuracy stays above 60 %), in"
        f" decades per 100 epochs, by least squares; median over learning networks with {FEWEST} such epochs, early",
        criterion=Criterion(above=0.1),
        sample=partial(_predicts, column="sv_20"),
        control=partial(_unflossed, column="sv_20"),
        control_says=f"networks that are never flossed, epochs {SETTLED} to {SETTLED + 500}",
        after_data="two of the networks, drawn in Figs 10 and 11",
    ),
]
